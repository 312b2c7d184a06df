/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line: lines of standard input. At a terminal they are edited, and the line
 * discipline, which keeps 4,095 bytes of a line, does not cut them (with GNU
 * readline): Meta-Enter starts a new line in a message, and messages are kept
 * in a history.
 */
#ifndef CLSA_CLI_LINE_H
#define CLSA_CLI_LINE_H

#include <stdbool.h>

#include "src/cli/files.h"

/* Whether lines come from a terminal, and go to one. */
bool cli_line_is_edited(void);

/*
 * Append a line with its '\n' to a text. *more is false, and nothing appended,
 * at the end of input and after a signal (cli_interrupt_seen). `prompt` is
 * shown at a terminal.
 */
int cli_line_read(const char *prompt, struct cli_text *text, bool *more);

/*
 * The same, and the lines that belong to it: after a '\' at the end of a line,
 * and in a block from """ to """. The marks are taken off.
 */
int cli_lines_read(const char *prompt, struct cli_text *text, bool *more);

#endif /* CLSA_CLI_LINE_H */
