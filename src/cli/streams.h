/* SPDX-License-Identifier: Apache-2.0 */
/* streams: the standard streams as the program finds them. */
#ifndef CLSA_CLI_STREAMS_H
#define CLSA_CLI_STREAMS_H

#include <stdbool.h>

/* Hold the numbers 0 to 2, so that no file gets one of a stream that was
   closed, and let reads and writes wait although whoever shares the streams has
   made them non-blocking. Returns false if a closed stream cannot be held. */
bool cli_streams_prepare(void);

#endif /* CLSA_CLI_STREAMS_H */
