/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request, and how it fails. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

double serve_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void make_id(char *id, size_t size)
{
    uint64_t random[2] = {(uint64_t)time(NULL), (uint64_t)(uintptr_t)id};
    if (getrandom(random, sizeof random, 0) < 0)
        random[0] ^= random[1];
    snprintf(id, size, "%016llx%08llx", (unsigned long long)random[0],
             (unsigned long long)(random[1] & 0xffffffff));
}

struct serve_request *serve_request_new(struct serve *server)
{
    struct serve_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->server = server;
    r->created = time(NULL);
    r->arrived = serve_seconds();
    atomic_init(&r->references, 1);
    make_id(r->id, sizeof r->id);
    return r;
}

void serve_request_hold(struct serve_request *request)
{
    atomic_fetch_add(&request->references, 1);
}

static void free_choice(struct serve_choice *choice)
{
    free(choice->ids);
    free(choice->sum);
    clsa_sampler_close(choice->sampler);
    serve_text_free(&choice->held);
    serve_text_free(&choice->text);
    json_decref(choice->places);
}

void serve_request_release(struct serve_request *request)
{
    if (atomic_fetch_sub(&request->references, 1) > 1)
        return;
    for (size_t i = 0; i < request->choice_count; i++)
        free_choice(&request->choices[i]);
    for (size_t i = 0; i < request->prompt_count; i++) {
        free(request->prompts[i].ids);
        free(request->prompts[i].text);
    }
    for (size_t i = 0; i < request->params.stop_count; i++)
        free(request->params.stops[i]);
    free(request->choices);
    free(request->prompts);
    free(request->model);
    serve_text_free(&request->body);
    serve_text_free(&request->out);
    pthread_mutex_destroy(&request->lock);
    free(request);
}

/* With the lock held. */
static void finish(struct serve_request *r)
{
    r->finished = true;
    r->full = false;
    if (r->counted)
        atomic_fetch_sub(&r->server->pending, 1);
    r->counted = false;
}

void serve_request_finish(struct serve_request *request)
{
    pthread_mutex_lock(&request->lock);
    finish(request);
    pthread_mutex_unlock(&request->lock);
    serve_request_notify(request);
}

/* A session that has gone on to another request meanwhile stops for nothing,
   and its engine goes on. */
void serve_request_cancel(struct serve_request *request)
{
    atomic_store(&request->cancelled, true);
    clsa_session *session = atomic_load(&request->busy);
    if (session)
        clsa_session_cancel(session);
    serve_queue_wake(&request->server->inbox);
}

void serve_request_notify(struct serve_request *request)
{
    serve_request_hold(request); /* of the queue */
    if (!serve_queue_put(&request->server->ready, &request->ready))
        serve_request_release(request);
}

const struct serve_dialect *serve_dialect_of(enum serve_kind kind)
{
    switch (kind) {
    case SERVE_LLAMA:
        return &serve_llama;
    case SERVE_OLLAMA_CHAT:
    case SERVE_OLLAMA_TEXT:
    case SERVE_SHOW:
        return &serve_ollama;
    case SERVE_EMBED:
        return &serve_embeddings;
    case SERVE_OLLAMA_EMBED:
        return &serve_ollama_embeddings;
    default:
        return &serve_openai;
    }
}

void serve_request_settle(struct serve_request *request, int status,
                          const char *text)
{
    pthread_mutex_lock(&request->lock);
    if (!request->finished) {
        request->status = status;
        serve_text_add(&request->out, text, strlen(text));
        finish(request);
    }
    pthread_mutex_unlock(&request->lock);
    serve_request_notify(request);
}

bool serve_request_answer(struct serve_request *request, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    if (!text) {
        serve_request_fail(request, 500, "server_error", NULL, NULL,
                           "out of memory");
        return false;
    }
    serve_request_settle(request, 200, text);
    free(text);
    return true;
}

char *serve_error_json(bool plain, const char *message, const char *type,
                       const char *param, const char *code, json_t *more)
{
    json_t *error = plain
                        ? json_string(message)
                        : json_pack("{ss ss ss? ss?}", "message", message,
                                    "type", type, "param", param, "code", code);
    if (error && more && !plain)
        json_object_update(error, more);
    json_decref(more);
    json_t *all = json_pack("{so}", "error", error);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

/* With the lock held. */
static void put_error(struct serve_request *r, int status, const char *text)
{
    const struct serve_dialect *d = serve_dialect_of(r->kind);
    if (r->status == 0)
        r->status = status;
    if (r->status == 200 && r->streams)
        serve_text_print(&r->out, "%s%s%s", d->before, text, d->after);
    else
        serve_text_add(&r->out, text, strlen(text));
    finish(r);
}

void serve_request_fail(struct serve_request *request, int status,
                        const char *type, const char *param, const char *code,
                        const char *format, ...)
{
    const bool plain = serve_dialect_of(request->kind)->plain_errors;
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char *json = serve_error_json(plain, message, type, param, code, NULL);
    pthread_mutex_lock(&request->lock);
    if (!request->finished)
        put_error(request, status,
                  json ? json : "{\"error\":{\"message\":\"no memory\"}}");
    pthread_mutex_unlock(&request->lock);
    free(json);
    serve_request_notify(request);
}
