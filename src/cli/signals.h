/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: what the program does when it is told to stop. The first SIGINT,
 * SIGTERM or SIGHUP asks the work to stop; a second SIGINT or SIGTERM removes
 * unfinished files and ends the program at once. (A terminal that goes away
 * may send SIGHUP twice, and once more after SIGTERM: it never counts as the
 * second.) A signal that was ignored when the program started stays ignored.
 * Writes to a closed pipe and beyond `ulimit -f` become ordinary errors.
 */
#ifndef CLSA_CLI_SIGNALS_H
#define CLSA_CLI_SIGNALS_H

#include <stdbool.h>

/* Install the handlers. */
void cli_signals_install(void);

/* Whether the user has asked to stop. */
bool cli_interrupt_seen(void);

/* Waits until something can be read from a descriptor. False: until the user
   asked to stop, also if that was before. */
bool cli_interrupt_wait(int fd);

/* Go on after a SIGINT, as a conversation does when an answer is stopped.
   Returns false if the program itself was told to end. */
bool cli_interrupt_forget(void);

/* cli_interrupt_seen as an exit status: CLI_DONE, or CLI_INTERRUPTED, which is
   reported. */
int cli_interrupt_check(void);

#endif /* CLSA_CLI_SIGNALS_H */
