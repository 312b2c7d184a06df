/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line for each request, without its text. */
#ifndef CLSA_SERVE_LOG_H
#define CLSA_SERVE_LOG_H

#include "src/serve/http.h"

/* The call is over; `whole`: its answer was sent. */
void serve_log_call(const struct serve_call *call, bool whole);

#endif /* CLSA_SERVE_LOG_H */
