/* SPDX-License-Identifier: Apache-2.0 */
/*
 * library: models, sessions, policies and tokens for the commands. A progress
 * callback joins the bar and the user's wish to stop to every append.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/minmax.h"
#include "src/cli/files.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

#ifndef CLSA_PKGDATADIR
#error "CLSA_PKGDATADIR is the folder of the installed default model"
#endif

const char *cli_model_path(const struct cli_common *common)
{
    const char *environment = getenv("CLSA_MODEL");
    if (common->model)
        return common->model;
    if (environment && environment[0] != '\0')
        return environment;
    return CLSA_PKGDATADIR "/clsa-tiny-q8_0.gguf";
}

static int on_work(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return cli_interrupt_seen();
}

void cli_model_options(const struct cli_common *common,
                       clsa_model_options *options)
{
    clsa_model_options_init(options);
    options->threads = (uint32_t)common->threads;
    options->simd = common->simd;
    options->numa = common->numa;
    options->memory_limit = common->memory_limit;
    options->on_progress = on_work;
    options->prefill_memory = common->prefill_memory;
    options->index = common->index;
}

/* The path of the model, if it is there or was named. */
static int find_model(const struct cli_common *common, const char **path)
{
    *path = cli_model_path(common);
    if (!common->model && access(*path, R_OK) != 0)
        return cli_fail("%s: %s: give a model with -m FILE or CLSA_MODEL",
                        *path, strerror(errno));
    return CLI_DONE;
}

int cli_vocab_open(const struct cli_common *common, clsa_model **model)
{
    const char *path;
    clsa_error error;
    CLI_TRY(find_model(common, &path));
    if (clsa_model_open_vocab(model, path, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

int cli_model_open(const struct cli_common *common, clsa_model **model)
{
    const char *path;
    CLI_TRY(find_model(common, &path));
    clsa_model_options options;
    cli_model_options(common, &options);
    clsa_error error;
    if (clsa_model_open(model, path, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    clsa_model_info info;
    clsa_model_get_info(*model, &info, sizeof info);
    if (info.notice[0] != '\0')
        cli_warning("%s", info.notice);
    return CLI_DONE;
}

void cli_common_session(const struct cli_common *common,
                        clsa_session_options *options)
{
    clsa_session_options_init(options);
    options->context = common->context;
    options->kv_type = common->kv_type;
    options->index_type = common->index_type;
    options->attention = common->attention;
    options->prefill = common->prefill;
    options->prompt_attention = common->prompt_attention;
}

void cli_session_options(const struct cli_common *common,
                         const clsa_model *model, uint64_t need,
                         clsa_session_options *options)
{
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    cli_common_session(common, options);
    if (common->context == 0)
        options->context =
            need != 0 ? clsa_min_u64(need, info.context) : info.context;
}

void cli_session_notice(const clsa_session *session)
{
    static bool said;
    const char *notice = clsa_session_notice(session);
    if (*notice != '\0' && !said)
        cli_warning("%s", notice);
    said = said || *notice != '\0';
}

int cli_session_open(const struct cli_common *common, clsa_model *model,
                     uint64_t need, const char *attention,
                     clsa_session **session)
{
    clsa_session_options options;
    cli_session_options(common, model, need, &options);
    if (attention)
        options.attention = attention;
    clsa_error error;
    if (clsa_session_open(session, model, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    cli_session_notice(*session);
    return CLI_DONE;
}

int cli_session_open_file(const struct cli_common *common, clsa_model *model,
                          uint64_t longest, const char *attention,
                          const char *file, const char *what,
                          clsa_session **session)
{
    CLI_TRY(cli_session_open(common, model, longest, attention, session));
    if (longest > clsa_session_context(*session))
        return cli_fail("%s: %s of %" PRIu64 " tokens does not fit the "
                        "context: use -c %" PRIu64,
                        file, what, longest, longest);
    return CLI_DONE;
}

bool cli_is_end(const clsa_model *model, int32_t id)
{
    const int32_t *ids;
    size_t count;
    clsa_model_eog(model, &ids, &count);
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

const char *cli_attention(const struct cli_common *common,
                          const clsa_model *model)
{
    if (common->attention)
        return common->attention;
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    return info.attention;
}

/* ----------------------------------------------------------------- tokens */

/* The user data of an append belongs to on_logits: both are wrapped. */
struct append_progress {
    const clsa_append_options *how;
    uint64_t base;
};

static void on_logits(void *user, uint64_t position, const float *logits)
{
    const struct append_progress *reading = user;
    reading->how->on_logits(reading->how->user, position, logits);
}

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    const struct append_progress *reading = user;
    (void)total;
    if (reading->base != CLI_QUIET)
        cli_progress_update(reading->base + done);
    return cli_interrupt_seen();
}

int cli_append(clsa_session *session, const int32_t *ids, size_t count,
               const clsa_append_options *how, uint64_t base)
{
    struct append_progress reading = {how, base};
    clsa_append_options append = *how;
    CLI_TRY(cli_interrupt_check());
    append.on_logits = how->on_logits ? on_logits : NULL;
    append.on_progress = on_progress;
    append.user = &reading;
    clsa_error error;
    if (clsa_session_append(session, ids, count, &append, &error) != CLSA_OK)
        return cli_fail_error(&error);
    cli_session_notice(session);
    if (base != CLI_QUIET)
        cli_progress_update(base + count);
    return CLI_DONE;
}

static int read_again(const clsa_session *session, const char *attention,
                      clsa_session *fork)
{
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    size_t count = (size_t)clsa_session_length(session);
    clsa_error error;
    if (clsa_session_truncate(fork, 0, &error) != CLSA_OK ||
        clsa_session_set_attention(fork, attention, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return cli_append(fork, clsa_session_tokens(session), count, &only_read,
                      CLI_QUIET);
}

/* Whether a session has read tokens in another way than the policy reads them:
   as prompts under a policy of its own. */
static bool has_read_otherwise(const clsa_session *session,
                               const char *attention)
{
    clsa_session_stats stats;
    clsa_session_get_stats(session, &stats, sizeof stats);
    return clsa_session_length(session) > 0 &&
           strcmp(stats.prompt_attention, "policy") == 0 &&
           strcmp(attention, "dense") != 0;
}

int cli_fork(const clsa_session *session, const char *attention,
             clsa_session **fork)
{
    clsa_error error;
    int status = CLI_DONE;
    if (clsa_session_fork(session, fork, &error) != CLSA_OK)
        return cli_fail_error(&error);
    clsa_status changed = clsa_session_set_attention(*fork, attention, &error);
    if ((changed == CLSA_ERR_UNSUPPORTED && clsa_session_length(session) > 0) ||
        (changed == CLSA_OK && has_read_otherwise(session, attention)))
        status = read_again(session, attention, *fork);
    else if (changed != CLSA_OK)
        status = cli_fail_error(&error);
    if (status)
        clsa_session_close(*fork);
    return status;
}

int cli_session_cut(clsa_session *session, uint64_t length)
{
    static const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    struct cli_ids ids = {0};
    clsa_error error;
    if (length >= clsa_session_length(session))
        return CLI_DONE;
    const clsa_status cut = clsa_session_truncate(session, length, &error);
    if (cut == CLSA_OK)
        return CLI_DONE;
    if (cut != CLSA_ERR_UNSUPPORTED)
        return cli_fail_error(&error);
    CLI_TRY(cli_ids_add(&ids, clsa_session_tokens(session), (size_t)length));
    int status = CLI_DONE;
    if (clsa_session_truncate(session, 0, &error) != CLSA_OK)
        status = cli_fail_error(&error);
    if (!status)
        status = cli_append(session, ids.ids, ids.count, &only_read, CLI_QUIET);
    free(ids.ids);
    return status;
}

int cli_ids_add(struct cli_ids *ids, const int32_t *more, size_t count)
{
    int32_t *grown =
        realloc(ids->ids, (ids->count + count + 1) * sizeof *grown);
    if (!grown)
        return cli_fail_memory();
    if (count > 0)
        memcpy(grown + ids->count, more, count * sizeof *grown);
    ids->ids = grown;
    ids->count += count;
    return CLI_DONE;
}

uint64_t cli_output_rows(const clsa_session *session)
{
    clsa_session_stats stats;
    clsa_session_get_stats(session, &stats, sizeof stats);
    return stats.output_rows;
}

int cli_tokenize(const clsa_model *model, const char *text, size_t size,
                 unsigned flags, struct cli_ids *ids)
{
    int32_t *fresh;
    size_t count;
    clsa_error error;
    if (clsa_tokenize(model, text, size, flags, &fresh, &count, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    const int status = cli_ids_add(ids, fresh, count);
    clsa_free(fresh);
    return status;
}

int cli_tokenize_file(const clsa_model *model, const char *file, unsigned flags,
                      struct cli_ids *ids)
{
    struct cli_text text = {0};
    int status = cli_file_read(file, &text);
    if (status)
        goto done;
    status = cli_tokenize(model, text.data, text.size, flags, ids);
done:
    cli_text_free(&text);
    return status;
}

/* --------------------------------------------------------------- policies */

/* The next name of a list; a comma before a digit belongs to a name, as in
   anchors:512:2,9. */
static const char *next_policy(char **rest)
{
    char *name = *rest, *end = name;
    do
        end += strcspn(end, ",");
    while (*end != '\0' && end[1] >= '0' && end[1] <= '9' && end++);
    *rest = *end == '\0' ? NULL : end + 1;
    *end = '\0';
    return name;
}

int cli_policies_parse(const struct cli_common *common, const clsa_model *model,
                       struct cli_policies *policies)
{
    policies->text = strdup(cli_attention(common, model));
    if (!policies->text)
        return cli_fail_memory();
    policies->names = calloc(strlen(policies->text) + 1, sizeof(char *));
    if (!policies->names)
        return cli_fail_memory();
    policies->count = 0;
    for (char *rest = policies->text; rest;)
        policies->names[policies->count++] = next_policy(&rest);
    return CLI_DONE;
}

int cli_policies_check(const struct cli_policies *policies,
                       clsa_session *session, const char *where)
{
    clsa_error error;
    for (size_t i = 0; i < policies->count; i++)
        if (clsa_session_set_attention(session, policies->names[i], &error) !=
            CLSA_OK)
            return !where ? cli_fail_option(&error)
                          : cli_fail("%s: %s", where, error.message);
    /* what is read for all of them is read by one that computes least */
    if (clsa_session_set_attention(session, "dense", &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

void cli_policies_free(struct cli_policies *policies)
{
    free(policies->text);
    free(policies->names);
    memset(policies, 0, sizeof *policies);
}
