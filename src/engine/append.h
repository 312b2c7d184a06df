/* SPDX-License-Identifier: Apache-2.0 */
/* append: what the appends of one session and of several have in common. */
#ifndef CLSA_ENGINE_APPEND_H
#define CLSA_ENGINE_APPEND_H

#include "src/engine/step.h"

/* Whether tokens are in the vocabulary, and fit in the context. */
clsa_status clsa_append_check_ids(const struct clsa_model *model,
                                  const int32_t *ids, size_t count,
                                  clsa_error *error);
clsa_status clsa_append_check_room(const struct clsa_session *session,
                                   size_t count, clsa_error *error);

/* What a session remembers of its last output, output i of the step. */
void clsa_append_keep_results(const struct clsa_step *step, size_t i);

/* A cancel is answered by the first append that sees it: `done` of `count`
   tokens are read. Returns CLSA_ERR_STOPPED. */
clsa_status clsa_append_stopped(struct clsa_session *session, size_t done,
                                size_t count, clsa_error *error);

#endif /* CLSA_ENGINE_APPEND_H */
