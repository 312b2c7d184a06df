/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: how far the work is, for the bar on a terminal and for the line
 * that an interrupted command ends with. There is one piece of work at a
 * time.
 */
#ifndef CLSA_CLI_PROGRESS_H
#define CLSA_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Start a piece of work of `total` units ("prompt tokens"). The bar shows
   `what` ("reading"); both strings must stay valid. */
void cli_progress_start(const char *what, const char *unit, uint64_t total);
void cli_progress_update(uint64_t done);
void cli_progress_end(void);

/* Take the bar off the terminal; the next update puts it back. */
void cli_progress_clear(void);

/* Say how far the interrupted work was. Returns CLI_INTERRUPTED. */
int cli_progress_interrupted(void);

/* Seconds of a clock that only goes forward. */
double cli_seconds(void);

#endif /* CLSA_CLI_PROGRESS_H */
