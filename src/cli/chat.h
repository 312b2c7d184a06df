/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: a conversation as the tokens that the chat template of the model writes
 * for it. What the user writes is tokenized as plain text: it cannot contain
 * special tokens.
 */
#ifndef CLSA_CLI_CHAT_H
#define CLSA_CLI_CHAT_H

#include "src/cli/conversation.h"

/* Check that the model has a chat template that writes turns. *end receives
   the special token after an answer, or -1. */
int cli_chat_open(const clsa_model *model, const char *path, int32_t *end);

/*
 * The tokens of a conversation up to where the next answer begins: the template
 * writes all of it anew, since it may leave out what it wrote before, such as
 * thoughts. What the session has as other tokens of the same text stays as it
 * is. *same receives how many tokens the session begins with: fewer than all.
 */
int cli_chat_ids(const clsa_model *model, const struct cli_conversation *c,
                 const clsa_session *session, struct cli_ids *ids,
                 size_t *same);

#endif /* CLSA_CLI_CHAT_H */
