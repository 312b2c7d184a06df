/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: ChatML, the one chat format that `clsa run --chat` speaks. What the
 * user writes is tokenised as plain text: it cannot contain markup.
 */
#ifndef CLSA_CLI_CHAT_H
#define CLSA_CLI_CHAT_H

#include "src/cli/engine.h"

/* Check that the model speaks ChatML; other templates are refused by name.
 *end receives the token that ends a turn. */
int cli_chat_open(const clsa_model *model, const char *path, int32_t *end);

/* The tokens of a user's turn up to where the answer begins. In a session
   that has tokens they close its last turn first. */
int cli_chat_turn(const clsa_model *model, const clsa_session *session,
                  const struct cli_text *text, struct cli_ids *ids);

#endif /* CLSA_CLI_CHAT_H */
