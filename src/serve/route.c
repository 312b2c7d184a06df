/* SPDX-License-Identifier: Apache-2.0 */
/* route: what can be asked for, and the answers that need no engine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/http.h"

/* A path, as it is and with /v1 before it. */
struct serve_route {
    const char *path, *method;
    enum MHD_Result (*run)(struct serve_call *call);
};

static enum MHD_Result reply_json(struct serve_call *call, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return serve_reply_error(call, 500, "server_error", "out of memory");
    const enum MHD_Result result = serve_reply(call, 200, "application/json",
                                               text, strlen(text), NULL, NULL);
    free(text);
    return result;
}

/* --------------------------------------------------------------- information
 */

static enum MHD_Result get_health(struct serve_call *call)
{
    static const char *const states[] = {"loading model", "ok", "draining",
                                         "stopped"};
    const struct serve *s = call->connection->http->server;
    const int phase = atomic_load(&s->phase);
    if (phase != SERVE_READY)
        return serve_reply_error(call, 503, "unavailable_error", states[phase]);
    return reply_json(call, json_pack("{ss}", "status", "ok"));
}

static enum MHD_Result get_models(struct serve_call *call)
{
    const struct serve *s = call->connection->http->server;
    json_t *all = json_array();
    for (size_t i = 0; i < s->model_count; i++) {
        const struct serve_model *m = &s->models[i];
        json_array_append_new(
            all, json_pack("{ss ss sI ss s{sI sI sI}}", "id", m->name, "object",
                           "model", "created", (json_int_t)0, "owned_by",
                           "clsa", "meta", "n_vocab", (json_int_t)m->info.vocab,
                           "n_ctx", (json_int_t)m->context, "n_params",
                           (json_int_t)m->info.parameters));
    }
    return reply_json(call,
                      json_pack("{ss so}", "object", "list", "data", all));
}

static enum MHD_Result get_props(struct serve_call *call)
{
    const struct serve *s = call->connection->http->server;
    const struct serve_model *m = &s->models[0];
    const char *text = m->info.chat_template;
    return reply_json(
        call, json_pack("{ss si ss? s{sI} ss ss}", "model_alias", m->name,
                        "total_slots", (int)s->options->max_seqs,
                        "chat_template", text, "default_generation_settings",
                        "n_ctx", (json_int_t)m->context, "attention",
                        m->info.attention, "build_info", clsa_version()));
}

/* Sequences have no place of their own: so many of them run. */
static enum MHD_Result get_slots(struct serve_call *call)
{
    const struct serve *s = call->connection->http->server;
    const unsigned running = atomic_load(&s->counts.running);
    json_t *slots = json_array();
    for (unsigned i = 0; i < s->options->max_seqs; i++)
        json_array_append_new(slots,
                              json_pack("{si sI sb}", "id", (int)i, "n_ctx",
                                        (json_int_t)s->models[0].context,
                                        "is_processing", i < running));
    return reply_json(call, slots);
}

static void print_tallies(const struct serve_http *http,
                          struct serve_text *text)
{
    serve_text_print(text,
                     "# HELP clsa_http_requests_total Answers by path and "
                     "status; 499: the client left.\n"
                     "# TYPE clsa_http_requests_total counter\n");
    for (size_t i = 0; i < http->tally_count; i++) {
        const struct serve_tally *t = &http->tallies[i];
        serve_text_print(text,
                         "clsa_http_requests_total{route=\"%s\",code=\"%d\"} "
                         "%llu\n",
                         t->route, t->status, t->count);
    }
}

static enum MHD_Result get_metrics(struct serve_call *call)
{
    struct serve_text text = {.data = NULL};
    serve_metrics_print(call->connection->http->server, &text);
    print_tallies(call->connection->http, &text);
    const enum MHD_Result result =
        serve_reply(call, text.failed ? 500 : 200, "text/plain; version=0.0.4",
                    text.data ? text.data : "", text.size, NULL, NULL);
    serve_text_free(&text);
    return result;
}

static enum MHD_Result get_tags(struct serve_call *call)
{
    return reply_json(call,
                      serve_ollama_models(call->connection->http->server));
}

static enum MHD_Result get_version(struct serve_call *call)
{
    return reply_json(call, json_pack("{ss}", "version", clsa_version()));
}

/* ---------------------------------------------------------------- generation
 */

/* An error with one more field of the head. */
static enum MHD_Result reply_error(struct serve_call *call, int status,
                                   const char *type, const char *why,
                                   const char *header, const char *value)
{
    char *json = serve_error_json(serve_is_ollama(call->path), why, type, NULL,
                                  NULL, NULL);
    if (!json)
        return MHD_NO;
    const enum MHD_Result result = serve_reply(
        call, status, "application/json", json, strlen(json), header, value);
    free(json);
    return result;
}

static enum MHD_Result refuse_busy(struct serve_call *call, int status,
                                   const char *type, const char *why)
{
    return reply_error(call, status, type, why, "Retry-After", "1");
}

/* The body goes to the worker, and the connection waits. */
static enum MHD_Result submit(struct serve_call *call, enum serve_kind kind)
{
    struct serve *s = call->connection->http->server;
    struct serve_request *r = call->request;
    if (atomic_load(&s->pending) >=
        s->options->max_seqs + s->options->max_queue)
        return refuse_busy(call, 429, "rate_limit_error",
                           "too many requests wait: try again later");
    r->kind = kind;
    r->body = call->body;
    call->body = (struct serve_text){.data = NULL};
    r->connection = call;
    r->counted = true;
    atomic_fetch_add(&s->pending, 1);
    serve_request_hold(r); /* of the worker, and the engine */
    serve_queue_put(&s->parse, &r->link);
    serve_call_suspend(call);
    return MHD_YES;
}

static enum MHD_Result post_chat(struct serve_call *call)
{
    return submit(call, SERVE_CHAT);
}

static enum MHD_Result post_completion(struct serve_call *call)
{
    return submit(call, SERVE_COMPLETION);
}

static enum MHD_Result post_llama(struct serve_call *call)
{
    return submit(call, SERVE_LLAMA);
}

static enum MHD_Result post_ollama_chat(struct serve_call *call)
{
    return submit(call, SERVE_OLLAMA_CHAT);
}

static enum MHD_Result post_ollama_text(struct serve_call *call)
{
    return submit(call, SERVE_OLLAMA_TEXT);
}

static enum MHD_Result post_embed(struct serve_call *call)
{
    return submit(call, SERVE_EMBED);
}

static enum MHD_Result post_ollama_embed(struct serve_call *call)
{
    return submit(call, SERVE_OLLAMA_EMBED);
}

static enum MHD_Result post_show(struct serve_call *call)
{
    return submit(call, SERVE_SHOW);
}

static enum MHD_Result post_tokenize(struct serve_call *call)
{
    return submit(call, SERVE_TOKENIZE);
}

static enum MHD_Result post_detokenize(struct serve_call *call)
{
    return submit(call, SERVE_DETOKENIZE);
}

static enum MHD_Result post_template(struct serve_call *call)
{
    return submit(call, SERVE_TEMPLATE);
}

/* ---------------------------------------------------------------------- table
 */

static const struct serve_route routes[] = {
    {"/health", "GET", get_health},
    {"/models", "GET", get_models},
    {"/metrics", "GET", get_metrics},
    {"/chat/completions", "POST", post_chat},
    {"/completions", "POST", post_completion},
    {"/completion", "POST", post_llama},
    {"/embeddings", "POST", post_embed},
    {"/api/embed", "POST", post_ollama_embed},
    {"/api/chat", "POST", post_ollama_chat},
    {"/api/generate", "POST", post_ollama_text},
    {"/api/tags", "GET", get_tags},
    {"/api/ps", "GET", get_tags}, /* the model is loaded */
    {"/api/show", "POST", post_show},
    {"/api/version", "GET", get_version},
    {"/tokenize", "POST", post_tokenize},
    {"/detokenize", "POST", post_detokenize},
    {"/apply-template", "POST", post_template},
    {"/props", "GET", get_props},
    {"/slots", "GET", get_slots},
};

static const struct serve_route *find_route(const char *path)
{
    if (strncmp(path, "/v1/", 4) == 0)
        path += 3;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

/* Phases in which nothing is generated. */
static bool check_phase(struct serve_call *call)
{
    const int phase = atomic_load(&call->connection->http->server->phase);
    if (phase == SERVE_READY || strcmp(call->route->path, "/health") == 0 ||
        strcmp(call->route->path, "/metrics") == 0)
        return true;
    refuse_busy(call, 503, "unavailable_error",
                phase == SERVE_LOADING ? "loading the model"
                                       : "the server is stopping");
    return false;
}

enum MHD_Result serve_route_head(struct serve_call *call, const char *url)
{
    uint64_t key;
    if (strlen(url) > SERVE_TARGET_MAX)
        return serve_reply_error(call, 414, "invalid_request_error",
                                 "the path is too long");
    if (!serve_guard(call, &key))
        return MHD_YES;
    call->route = find_route(url);
    if (!call->route)
        return serve_reply_error(call, 404, "not_found_error",
                                 "there is no such path");
    const bool is_get = strcmp(call->route->method, "GET") == 0;
    if (strcmp(call->method, call->route->method) != 0 &&
        !(is_get && strcmp(call->method, "HEAD") == 0)) {
        return reply_error(call, 405, "invalid_request_error",
                           "this path has another method", "Allow",
                           is_get ? "GET, HEAD" : "POST");
    }
    if (!check_phase(call) || is_get)
        return MHD_YES;
    call->request = serve_request_new(call->connection->http->server);
    if (!call->request)
        return MHD_NO;
    call->request->key = key;
    return MHD_YES;
}

enum MHD_Result serve_route_body(struct serve_call *call)
{
    return call->route->run(call);
}

void serve_route_count(const struct serve_call *call, int status)
{
    struct serve_http *http = call->connection->http;
    const char *route = call->route ? call->route->path : "other";
    size_t i = 0;
    while (i < http->tally_count && (http->tallies[i].route != route ||
                                     http->tallies[i].status != status))
        i++;
    if (i == SERVE_TALLIES)
        return; /* there are not so many statuses */
    if (i == http->tally_count)
        http->tallies[http->tally_count++] =
            (struct serve_tally){.route = route, .status = status};
    http->tallies[i].count++;
}
