/* SPDX-License-Identifier: Apache-2.0 */
/* worker: parses bodies, renders and tokenizes, and makes the choices that the
   engine schedules. */
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

static void fail_memory(struct serve_request *r)
{
    serve_request_fail(r, 500, "server_error", NULL, NULL,
                       "out of memory while reading the request");
}

static bool open_choice(struct serve_request *r, unsigned i)
{
    struct serve_choice *c = &r->choices[i];
    const struct serve_prompt *prompt = &r->prompts[i / r->params.n];
    const uint64_t room = r->of->context - prompt->count;
    clsa_sampler_options options = r->params.sampler;
    clsa_error error;
    *c = (struct serve_choice){.request = r, .index = i, .prompt = prompt};
    c->limit =
        (size_t)(r->params.max_tokens < room ? r->params.max_tokens : room);
    c->ids = malloc((prompt->count + c->limit + 1) * sizeof *c->ids);
    if (!c->ids) {
        fail_memory(r);
        return false;
    }
    memcpy(c->ids, prompt->ids, prompt->count * sizeof *c->ids);
    c->length = prompt->count;
    if (serve_is_embed(r)) {
        c->sum = calloc(r->of->info.width, sizeof *c->sum);
        if (!c->sum)
            fail_memory(r);
        return c->sum != NULL;
    }
    options.seed += i % r->params.n;
    if (clsa_sampler_open(&c->sampler, &options, &error) ||
        clsa_sampler_set_filters(c->sampler, &r->params.filters, &error)) {
        serve_request_fail(r, 400, "invalid_request_error", NULL, NULL, "%s",
                           error.message);
        return false;
    }
    return true;
}

static bool open_choices(struct serve_request *r)
{
    const size_t count = r->prompt_count * r->params.n;
    r->choices = calloc(count, sizeof *r->choices);
    if (!r->choices) {
        fail_memory(r);
        return false;
    }
    for (; r->choice_count < count; r->choice_count++)
        if (!open_choice(r, (unsigned)r->choice_count)) {
            r->choice_count++; /* what it has is released with the others */
            return false;
        }
    return true;
}

/* The one of a name; with one model, or no name, the first. NULL: none. */
static const struct serve_model *find_model(const struct serve *server,
                                            const char *name)
{
    if (server->model_count == 1 || !name)
        return &server->models[0];
    for (size_t i = 0; i < server->model_count; i++)
        if (strcmp(server->models[i].name, name) == 0)
            return &server->models[i];
    return NULL;
}

static bool read_model(struct serve_request *r, json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "model"));
    const bool named = name && *name;
    r->of = find_model(r->server, named ? name : NULL);
    if (!r->of) {
        serve_request_fail(r, 404, "not_found_error", "model",
                           "model_not_found",
                           "there is no model '%.200s': GET /v1/models lists "
                           "them",
                           name);
        return false;
    }
    r->model = strdup(named ? name : r->of->name);
    if (!r->model)
        fail_memory(r);
    return r->model != NULL;
}

static bool read_object(struct serve_request *r, json_t *body)
{
    if (!json_is_object(body)) {
        serve_request_fail(r, 400, "invalid_request_error", NULL, NULL,
                           "the body is not a JSON object");
        return false;
    }
    if (!read_model(r, body))
        return false;
    if (r->kind >= SERVE_TOKENIZE) {
        serve_texts_run(r, body);
        return false;
    }
    r->is_chat = r->kind == SERVE_CHAT || r->kind == SERVE_OLLAMA_CHAT;
    serve_params_init(&r->params);
    const struct serve_dialect *dialect = serve_dialect_of(r->kind);
    json_t *ours = dialect->read ? dialect->read(r, body) : json_incref(body);
    const bool done = ours && serve_params_read(r, ours) &&
                      serve_prompts_read(r, ours) && open_choices(r);
    json_decref(ours);
    return done;
}

bool serve_body_read(struct serve_request *request)
{
    json_error_t where;
    struct serve_text *text = &request->body;
    json_t *body = json_loadb(text->data ? text->data : "", text->size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    bool done = false;
    if (body)
        done = read_object(request, body);
    else
        serve_request_fail(request, 400, "invalid_request_error", NULL, NULL,
                           "the body is not JSON: line %d, column %d: %s",
                           where.line, where.column, where.text);
    json_decref(body);
    serve_text_free(text);
    request->streams = done && request->params.stream;
    return done;
}

/* The request goes on to the engine, or is over. */
static void parse(struct serve_request *r)
{
    if (serve_body_read(r))
        serve_queue_put(&r->server->inbox, &r->link);
    else
        serve_request_release(r);
}

void *serve_worker_run(void *server)
{
    struct serve *s = server;
    while (atomic_load(&s->phase) != SERVE_STOPPED) {
        struct serve_link *taken = serve_queue_take(&s->parse), *link;
        if (!taken)
            serve_queue_wait(&s->parse, -1);
        while ((link = serve_queue_next(&s->parse, &taken)))
            parse((struct serve_request *)(void *)link);
    }
    return NULL;
}
