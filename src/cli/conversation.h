/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation: what was said in a chat, and how its turns can be taken back.
 * The messages are the truth: the session follows them (chat.h). They are kept
 * in a file of their own beside the session file, FILE.chat.
 */
#ifndef CLSA_CLI_CONVERSATION_H
#define CLSA_CLI_CONVERSATION_H

#include <stdbool.h>

#include "src/cli/library.h"

/* One chat. A turn is a question and what was answered to it. */
struct cli_conversation {
    json_t *messages;  /* [{"role", "content"}] */
    json_t *turns;     /* [struct cli_turn as JSON] */
    json_t *variables; /* of the template, {name: value} */
    uint64_t base;     /* tokens of the session before the first message */
    char now[20];      /* the time that the template sees: it stays the same */
};

/* How a turn changed the session: it kept the first `kept` tokens, dropped
   others, and read tokens up to `prompt`, where the answer begins. */
struct cli_turn {
    size_t messages; /* of the conversation before it */
    uint64_t kept, prompt;
    struct cli_ids dropped;
};

/* An empty conversation in a session of `base` tokens; variables that there
   are stay. */
int cli_conversation_start(struct cli_conversation *c, uint64_t base);
void cli_conversation_free(struct cli_conversation *c);

/* The system text, which comes first; NULL: there is none. */
int cli_conversation_system(struct cli_conversation *c, const char *text);

/* Set a variable of the template, whose reference is taken; NULL removes it. */
int cli_conversation_variable(struct cli_conversation *c, const char *name,
                              json_t *value);

/* Set the variables of a JSON object. */
int cli_conversation_variables(struct cli_conversation *c, const char *text);

/* A question, which makes the next turn as cli_conversation_turn says. */
int cli_conversation_ask(struct cli_conversation *c,
                         const struct cli_text *text);
int cli_conversation_turn(struct cli_conversation *c,
                          const struct cli_turn *turn);

/* More of the answer to the last question. */
int cli_conversation_answer(struct cli_conversation *c, const char *text,
                            size_t size);

/* Bytes of the answer to the last question so far. */
size_t cli_conversation_answer_size(const struct cli_conversation *c);

/* Forget the last answer, or the messages past the first `count`. */
int cli_conversation_no_answer(struct cli_conversation *c);
void cli_conversation_cut(struct cli_conversation *c, size_t count);

/* The last turn, whose ids are to be released; false: there is none. */
int cli_conversation_last(const struct cli_conversation *c,
                          struct cli_turn *turn, bool *found);
void cli_conversation_forget_turn(struct cli_conversation *c);

/* The last question, or NULL. */
const char *cli_conversation_question(const struct cli_conversation *c);

/* Write the conversation beside a session file, and read it from there. *found
   is false, and nothing changed, if there is none, or if the session has other
   tokens by now. */
int cli_conversation_save(const struct cli_conversation *c,
                          const clsa_session *session, const char *path);
int cli_conversation_load(struct cli_conversation *c,
                          const clsa_session *session, const char *path,
                          bool *found);

#endif /* CLSA_CLI_CONVERSATION_H */
