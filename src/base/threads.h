/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads: how many threads the system lets this process have. OpenMP ends the
 * process if it gets fewer than it asks for, so that this is asked before.
 *
 * threads.c prints and reports nothing; the program links it too.
 */
#ifndef CLSA_BASE_THREADS_H
#define CLSA_BASE_THREADS_H

/*
 * Starts `threads` - 1 threads beside the caller's, with stacks as OpenMP gives
 * them, and ends them again. Returns the number that ran at once, the caller's
 * included; if it is below `threads`, errno says why. A limit that others use
 * up in the meantime is not foreseen.
 */
unsigned clsa_threads_try(unsigned threads);

/* The message, of those that ran, those that were asked for, the text of errno,
   and those that ran once more. */
#define CLSA_THREADS_REFUSED                                                   \
    "the system starts %u of %u threads (%s): use fewer (-t %u), or raise "    \
    "the "                                                                     \
    "limits of processes and memory (ulimit -u, ulimit -v, pids.max)"

#endif /* CLSA_BASE_THREADS_H */
