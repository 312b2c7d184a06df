/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models: several models, of which one is in memory at a time: all of the
 * memory limit is for it. The text parts of all stay, so that requests are
 * read, rendered and tokenized whichever model that is. Who waits for another
 * model gets a turn when nobody runs; after TURN seconds nobody else is
 * admitted before.
 */
#include <stdio.h>
#include <string.h>

#include "src/serve/engine.h"

#define TURN 5.0

/* -------------------------------------------------------------------- names */

/* Of the file, without folder and ending. */
static void set_name(struct serve_model *m, const char *alias)
{
    const char *slash = strrchr(m->path, '/');
    snprintf(m->name, sizeof m->name, "%s",
             alias   ? alias
             : slash ? slash + 1
                     : m->path);
    char *end = alias ? NULL : strstr(m->name, ".gguf");
    if (end && end > m->name)
        *end = '\0';
}

static bool set_names(struct serve *s)
{
    for (size_t i = 0; i < s->options->model_count; i++) {
        struct serve_model *m = &s->models[i];
        m->path = s->options->models[i];
        set_name(m, s->options->alias);
        for (size_t j = 0; j < i; j++)
            if (strcmp(s->models[j].name, m->name) == 0) {
                s->error.status = CLSA_ERR_ARGUMENT;
                snprintf(s->error.message, sizeof s->error.message,
                         "%.200s: another model has the name %.200s, too: "
                         "rename one of the files",
                         m->path, m->name);
                return false;
            }
    }
    s->model_count = s->options->model_count;
    return true;
}

/* -------------------------------------------------------------- load, unload
 */

/* Whether a model may have to leave. */
static bool may_leave(const struct serve *s)
{
    return s->model_count > 1 || s->options->keep_alive > 0;
}

static bool load(struct serve_engine *e, const struct serve_model *m,
                 clsa_error *error)
{
    struct serve *s = e->server;
    if (clsa_model_open(&e->model, m->path, &s->options->model_options,
                        error)) {
        e->model = NULL;
        return false;
    }
    e->of = m;
    e->token_ms = e->step_ms = 0;
    s->loaded = e->model;
    e->worked = serve_seconds();
    return serve_sessions_open(e, error);
}

static void close_model(struct serve_engine *e)
{
    serve_sessions_close(e);
    clsa_model_close(e->model);
    e->model = e->server->loaded = NULL;
    e->of = NULL;
}

static void say(const struct serve_engine *e, const struct serve_model *m,
                const char *what)
{
    char line[800];
    snprintf(line, sizeof line, "model %.256s: %s", m->name, what);
    e->server->options->say(line);
}

void serve_models_unload(struct serve_engine *e)
{
    while (serve_sessions_save(e))
        ;
    say(e, e->of, "unloaded");
    close_model(e);
}

/* What the text part says is there as long as it is. */
static bool open_text(struct serve *s, struct serve_model *m, clsa_model *model)
{
    clsa_model_info text;
    m->text = model;
    if (!may_leave(s))
        return true;
    m->text = NULL;
    if (clsa_model_open_vocab(&m->text, m->path, &s->error))
        return false;
    clsa_model_get_info(m->text, &text, sizeof text);
    m->info.name = text.name;
    m->info.chat_template = text.chat_template;
    m->info.notice = m->info.index_file = "";
    return true;
}

static bool look_at(struct serve_engine *e, struct serve_model *m)
{
    struct serve *s = e->server;
    if (!load(e, m, &s->error))
        return false;
    clsa_model_get_info(e->model, &m->info, sizeof m->info);
    m->context = clsa_session_context(e->spare[0]);
    if (!open_text(s, m, e->model))
        return false;
    serve_pooling_find(m);
    return true;
}

/* The first one last: it stays. */
bool serve_models_open(struct serve_engine *e)
{
    struct serve *s = e->server;
    const char *prefill = s->options->session_options.prefill;
    s->exact = prefill &&
               (strcmp(prefill, "own") == 0 || strcmp(prefill, "native") == 0);
    if (!set_names(s))
        return false;
    for (size_t i = s->model_count; i-- > 0;) {
        if (!look_at(e, &s->models[i]))
            return false;
        if (i > 0)
            close_model(e);
    }
    return true;
}

/* -------------------------------------------------------------------- turns */

static bool waits_for(const struct serve_engine *e, const struct serve_model *m)
{
    for (const struct serve_choice *c = e->waiting; c; c = c->next)
        if (c->request->of == m)
            return true;
    return false;
}

/* Who has waited longest for another model than the one in memory. */
static const struct serve_choice *first_of_others(const struct serve_engine *e)
{
    const struct serve_choice *first = NULL;
    for (const struct serve_choice *c = e->waiting; c; c = c->next)
        if (c->request->of != e->of &&
            (!first || c->request->queued < first->request->queued))
            first = c;
    return first;
}

/* The file has changed, or memory is short: those that wait for it hear why. */
static void fail_all(struct serve_engine *e, const struct serve_model *m,
                     const clsa_error *error)
{
    say(e, m, error->message);
    for (struct serve_choice *c = e->waiting; c; c = c->next) {
        if (c->request->of != m || c->request->failed)
            continue;
        serve_request_fail(c->request, 503, "server_error", "model",
                           "model_not_loaded", "the model cannot be loaded: %s",
                           error->message);
        c->request->failed = true;
    }
}

bool serve_models_choose(struct serve_engine *e)
{
    const struct serve_choice *other = first_of_others(e);
    const double now = serve_seconds();
    clsa_error error;
    if (e->running_count > 0 || e->waiting)
        e->worked = now;
    e->turn_over = other && now - other->request->queued > TURN;
    if (!other || e->running_count > 0 ||
        (!e->turn_over && e->of && waits_for(e, e->of)))
        return true;
    const struct serve_model *m = other->request->of;
    if (e->of)
        serve_models_unload(e);
    e->turn_over = false;
    if (load(e, m, &error)) {
        say(e, m, "loaded");
        return true;
    }
    close_model(e);
    fail_all(e, m, &error);
    return false;
}

int serve_models_rest(struct serve_engine *e)
{
    const uint32_t seconds = e->server->options->keep_alive;
    const double left = e->worked + seconds - serve_seconds();
    if (!e->of || seconds == 0 || e->running_count > 0 || e->waiting)
        return -1;
    if (left > 0)
        return (int)(left * 1e3) + 1;
    serve_models_unload(e);
    serve_sessions_count(e);
    return -1;
}
