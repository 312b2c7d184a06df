/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat_text: texts of chats as tokens. The special tokens of the template are
 * told from texts of the user that look like them by a mark inside of the
 * latter, a character for private use.
 */
#ifndef CLSA_CLI_CHAT_TEXT_H
#define CLSA_CLI_CHAT_TEXT_H

#include "src/cli/library.h"

/* A message in which what a user wrote has no special tokens; a new
   reference. */
int cli_chat_guard(const clsa_model *model, json_t *message, json_t **guarded);

/* Tokenize a text of guarded messages, and take the guards off; add the ids to
   those there are. */
int cli_chat_tokenize(const clsa_model *model, const char *text, size_t size,
                      struct cli_ids *ids);

/*
 * Compare ids with the tokens of a session. If the session has the same text in
 * other tokens, as a model may write it, the ids become the session's.
 * *same receives how many the session begins with.
 */
int cli_chat_match(const clsa_model *model, const clsa_session *session,
                   struct cli_ids *ids, size_t *same);

#endif /* CLSA_CLI_CHAT_TEXT_H */
