/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library: the calls of the library in the form that commands use them: opened
 * from the common options, with progress and interruption, and with failures
 * reported. Also the list of policies that --attention may hold for
 * evaluations.
 */
#ifndef CLSA_CLI_LIBRARY_H
#define CLSA_CLI_LIBRARY_H

#include "clsa.h"
#include "clsa_bench.h"
#include "src/cli/files.h"
#include "src/cli/options.h"

/* Name of the model file that the options, the environment or the
   installation give, in this order. Static storage, or argv's. */
const char *cli_model_path(const struct cli_common *common);

/* Options of a model, which stops making random values when the user asks. */
void cli_model_options(const struct cli_common *common,
                       clsa_model_options *options);

int cli_model_open(const struct cli_common *common, clsa_model **model);

/* The text part of a model alone. */
int cli_vocab_open(const struct cli_common *common, clsa_model **model);

/* Options of a session as they are given: context 0 is the model's. */
void cli_common_session(const struct cli_common *common,
                        clsa_session_options *options);

/* Options of a session; `need` tokens are enough where -c is not given (0:
   the model's context), but no more than the model's context. */
void cli_session_options(const struct cli_common *common,
                         const clsa_model *model, uint64_t need,
                         clsa_session_options *options);

/* What the system refused to it, as a warning, once for all sessions. */
void cli_session_notice(const clsa_session *session);

/* Open a session of these options with another policy (NULL: --attention). */
int cli_session_open(const struct cli_common *common, clsa_model *model,
                     uint64_t need, const char *attention,
                     clsa_session **session);

/* The same for `longest` tokens of a file, refused where the context is less:
   FILE: `what` of so many tokens does not fit. */
int cli_session_open_file(const struct cli_common *common, clsa_model *model,
                          uint64_t longest, const char *attention,
                          const char *file, const char *what,
                          clsa_session **session);

/* Whether a token ends a generation. */
bool cli_is_end(const clsa_model *model, int32_t id);

/* The policy a session has: --attention, or the model's default. */
const char *cli_attention(const struct cli_common *common,
                          const clsa_model *model);

/*
 * Read tokens as clsa_session_append does; on_progress is taken. Where
 * `base` is not CLI_QUIET, progress counts on from there. Returns
 * CLI_INTERRUPTED, reported already, when the user stops it.
 */
#define CLI_QUIET UINT64_MAX
int cli_append(clsa_session *session, const int32_t *ids, size_t count,
               const clsa_append_options *how, uint64_t base);

/*
 * A fork of a session under another policy. Where the policy cannot go on from
 * what another one has left, the tokens are read again.
 */
int cli_fork(const clsa_session *session, const char *attention,
             clsa_session **fork);

/* Forget the tokens of a session from `length` on. Where the policy cannot
   forget some, those that stay are read again. */
int cli_session_cut(clsa_session *session, uint64_t length);

/* Add ids to those there are. */
int cli_ids_add(struct cli_ids *ids, const int32_t *more, size_t count);

/* Rows that the tokens have read whose logits were wanted, on average over the
   layers that read caches: their sum since the session was opened. */
uint64_t cli_output_rows(const clsa_session *session);

/* Tokenize a text; add the ids to those there are. */
int cli_tokenize(const clsa_model *model, const char *text, size_t size,
                 unsigned flags, struct cli_ids *ids);

/* The same for a file, - for standard input. */
int cli_tokenize_file(const clsa_model *model, const char *file, unsigned flags,
                      struct cli_ids *ids);

/* Policies of --attention "a,b,c", letter for letter, at least one. */
struct cli_policies {
    char *text;
    const char **names;
    size_t count;
};

int cli_policies_parse(const struct cli_common *common, const clsa_model *model,
                       struct cli_policies *policies);

/* Have a session check all of them, before any work; `where` they are, NULL
   for --attention. */
int cli_policies_check(const struct cli_policies *policies,
                       clsa_session *session, const char *where);
void cli_policies_free(struct cli_policies *policies);

#endif /* CLSA_CLI_LIBRARY_H */
