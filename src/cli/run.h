/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: the state of one `clsa run` or `clsa chat`, shared by run.c, which sets
 * it up, saves and ends it, turns.c, which reads the messages of the user and
 * has them answered, chat_turns.c, by which the session follows a conversation,
 * and chat_commands.c, what the user types instead of a message.
 */
#ifndef CLSA_CLI_RUN_H
#define CLSA_CLI_RUN_H

#include <stdbool.h>

#include "src/cli/conversation.h"
#include "src/cli/generate.h"

struct cli_run_options {
    struct cli_common common;
    char *prompt;
    const char *file, *session;
    const char *session_ro; /* in place of `session`, never saved */
    char *system;           /* of a chat, or NULL */
    const char *variables;  /* of the chat template, as JSON, or NULL */
    uint64_t tokens;        /* UINT64_MAX: no limit */
    uint64_t top_k, seed;   /* seed UINT64_MAX: a random one */
    double temperature, top_p, min_p, repeat_penalty;
    struct cli_texts stops;
    bool interactive, chat, escape;
    bool commands; /* lines that begin with '/' are no messages */
};

/* The options that both commands have. */
extern const struct cli_option cli_run_table[];

/* One run. `message` is the last message of the user. */
struct cli_run {
    struct cli_run_options options;
    clsa_model *model;
    clsa_session *session;
    clsa_sampler *sampler;
    struct cli_generator generator;
    struct cli_conversation conversation; /* of a chat */
    struct cli_text message, collected;
    bool read_only;         /* the session is not saved */
    bool failed;            /* a command or a turn, and the chat went on */
    bool ended;             /* by a command */
    uint64_t turns;         /* done so far */
    uint64_t prompt_tokens; /* read from the user so far */
    enum cli_end end;
};

/* Read the prompt, where there is one, and the lines of an interactive run,
   and answer them. */
int cli_run_turns(struct cli_run *run, bool have_prompt);

/* Read tokens from the session's end on. */
int cli_run_read(struct cli_run *run, const int32_t *ids, size_t count);

/* Answer what was read. */
int cli_run_answer(struct cli_run *run);

/* A sampler of the options, in place of the one there is. */
int cli_run_sampler(struct cli_run *run);

/* Load the session file `path` into an empty place, and what was said in it. */
int cli_run_load(struct cli_run *run, const char *path);
int cli_run_save(const struct cli_run *run, const char *path);

/* ------------------------------------------------------------ chat_turns.c */

/* Begin a conversation, which may have tokens before it. */
int cli_chat_begin(struct cli_run *run);

/* Read the message as a question. If that fails once the session has changed,
   the turn is there and can be taken back. */
int cli_chat_ask(struct cli_run *run);

/* The answer has come to its end. */
int cli_chat_answered(struct cli_run *run);

/* Forget the last turn; the session stays, and follows the next one. */
int cli_chat_forget(struct cli_run *run);

/* Take back the last turn: the session has the tokens that it had before. */
int cli_chat_undo(struct cli_run *run);

/* Forget the last answer, and answer again. */
int cli_chat_regen(struct cli_run *run);

/* --------------------------------------------------------- chat_commands.c */

/* Whether a line is a command; a '/' in front of another one is taken off. */
bool cli_chat_is_command(struct cli_text *line);

/* Do what a command says. A failure is reported, and the chat can go on. */
int cli_chat_command(struct cli_run *run, const char *line);

#endif /* CLSA_CLI_RUN_H */
