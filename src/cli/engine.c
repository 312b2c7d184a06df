/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: models, sessions, policies and tokens for the commands. A progress
 * callback joins the bar and the user's wish to stop to every append.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/engine.h"
#include "src/cli/files.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

#ifndef CLSA_PKGDATADIR
#error "CLSA_PKGDATADIR is the folder of the installed default model"
#endif

const char *cli_model_path(const struct cli_common *common)
{
    const char *environment = getenv("CLSA_MODEL");

    if (common->model != NULL)
        return common->model;
    if (environment != NULL && environment[0] != '\0')
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
}

int cli_model_open(const struct cli_common *common, clsa_model **model)
{
    const char *path = cli_model_path(common);
    clsa_model_options options;
    clsa_model_info info;
    clsa_error error;

    if (common->model == NULL && access(path, R_OK) != 0)
        return cli_fail("%s: %s: give a model with -m FILE or CLSA_MODEL", path,
                        strerror(errno));
    cli_model_options(common, &options);
    if (clsa_model_open(model, path, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    clsa_model_get_info(*model, &info);
    if (info.notice[0] != '\0')
        cli_note("%s", info.notice);
    return CLI_DONE;
}

void cli_session_options(const struct cli_common *common,
                         const clsa_model *model, uint64_t need,
                         clsa_session_options *options)
{
    clsa_model_info info;

    clsa_model_get_info(model, &info);
    clsa_session_options_init(options);
    options->context = common->context;
    if (common->context == 0)
        options->context =
            need != 0 && need < info.context ? need : info.context;
    options->kv_type = common->kv_type;
    options->index_type = common->index_type;
    options->attention = common->attention;
    options->prefill = common->prefill;
}

int cli_session_open(const struct cli_common *common, clsa_model *model,
                     uint64_t need, const char *attention,
                     clsa_session **session)
{
    clsa_session_options options;
    clsa_error error;

    cli_session_options(common, model, need, &options);
    if (attention != NULL)
        options.attention = attention;
    if (clsa_session_open(session, model, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    return CLI_DONE;
}

const char *cli_attention(const struct cli_common *common,
                          const clsa_model *model)
{
    clsa_model_info info;

    if (common->attention != NULL)
        return common->attention;
    clsa_model_get_info(model, &info);
    return info.index_size != 0 ? "clsa" : "dense";
}

/* ----------------------------------------------------------------- tokens */

/* The user data of an append belongs to on_logits: both are wrapped. */
struct reading {
    const clsa_append *how;
    uint64_t base;
};

static void on_logits(void *user, uint64_t position, const float *logits)
{
    const struct reading *reading = user;

    reading->how->on_logits(reading->how->user, position, logits);
}

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    const struct reading *reading = user;

    (void)total;
    if (reading->base != CLI_QUIET)
        cli_progress_update(reading->base + done);
    return cli_interrupt_seen();
}

int cli_append(clsa_session *session, const int32_t *ids, size_t count,
               const clsa_append *how, uint64_t base)
{
    struct reading reading = {how, base};
    clsa_append append = *how;
    clsa_error error;

    CLI_TRY(cli_interrupt_check());
    append.on_logits = how->on_logits != NULL ? on_logits : NULL;
    append.on_progress = on_progress;
    append.user = &reading;
    if (clsa_session_append(session, ids, count, &append, &error) != CLSA_OK)
        return cli_fail_error(&error);
    if (base != CLI_QUIET)
        cli_progress_update(base + count);
    return CLI_DONE;
}

static int read_again(const clsa_session *session, const char *attention,
                      clsa_session *fork)
{
    static const clsa_append only_read = {.want = CLSA_WANT_NONE};
    size_t count = (size_t)clsa_session_length(session);
    clsa_error error;

    if (clsa_session_truncate(fork, 0, &error) != CLSA_OK ||
        clsa_session_set_attention(fork, attention, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return cli_append(fork, clsa_session_tokens(session), count, &only_read,
                      CLI_QUIET);
}

int cli_fork(const clsa_session *session, const char *attention,
             clsa_session **fork)
{
    clsa_error error;
    clsa_status changed;
    int status = CLI_DONE;

    if (clsa_session_fork(session, fork, &error) != CLSA_OK)
        return cli_fail_error(&error);
    changed = clsa_session_set_attention(*fork, attention, &error);
    if (changed == CLSA_ERR_UNSUPPORTED && clsa_session_length(session) > 0)
        status = read_again(session, attention, *fork);
    else if (changed != CLSA_OK)
        status = cli_fail_error(&error);
    if (status != CLI_DONE)
        clsa_session_close(*fork);
    return status;
}

int cli_tokenize(const clsa_model *model, const char *text, size_t size,
                 unsigned flags, struct cli_ids *ids)
{
    int32_t *fresh, *grown;
    size_t count;
    clsa_error error;

    if (clsa_tokenize(model, text, size, flags, &fresh, &count, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    grown = realloc(ids->ids, (ids->count + count + 1) * sizeof *grown);
    if (grown == NULL) {
        clsa_free(fresh);
        return cli_fail_memory();
    }
    if (count > 0)
        memcpy(grown + ids->count, fresh, count * sizeof *grown);
    ids->ids = grown;
    ids->count += count;
    clsa_free(fresh);
    return CLI_DONE;
}

int cli_tokenize_file(const clsa_model *model, const char *file, unsigned flags,
                      struct cli_ids *ids)
{
    struct cli_text text = {0};
    int status = cli_file_read(file, &text);

    if (status == CLI_DONE)
        status = cli_tokenize(model, text.data, text.size, flags, ids);
    cli_text_free(&text);
    return status;
}

/* --------------------------------------------------------------- policies */

int cli_policies_parse(const struct cli_common *common, const clsa_model *model,
                       struct cli_policies *policies)
{
    char *rest;

    policies->text = strdup(cli_attention(common, model));
    if (policies->text == NULL)
        return cli_fail_memory();
    policies->names = calloc(strlen(policies->text) + 1, sizeof(char *));
    if (policies->names == NULL)
        return cli_fail_memory();
    policies->count = 0;
    for (rest = policies->text; rest != NULL;)
        policies->names[policies->count++] = strsep(&rest, ",");
    return CLI_DONE;
}

int cli_policies_check(const struct cli_policies *policies,
                       clsa_session *session, const char *where)
{
    clsa_error error;
    size_t i;

    for (i = 0; i < policies->count; i++)
        if (clsa_session_set_attention(session, policies->names[i], &error) !=
            CLSA_OK)
            return where == NULL ? cli_fail_option(&error)
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
