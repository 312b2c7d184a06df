/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: from tokens to what the client gets: whole characters, stop texts
 * cut out, log-probabilities, pieces of a stream or one answer, in the words
 * of the request's dialect. The text held back is always the longest end of the
 * output that begins some stop text. Engine thread.
 */
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

/* ------------------------------------------------------------------ output */

/* Append to what the client gets. */
static void put_text(struct serve_request *r, const char *prefix,
                     const char *text, const char *suffix)
{
    pthread_mutex_lock(&r->lock);
    if (!r->finished) { /* else another choice has failed */
        r->status = 200;
        serve_text_print(&r->out, "%s%s%s", prefix, text ? text : "", suffix);
        r->out.failed |= !text;
    }
    r->full = r->streams && r->out.size > SERVE_OUT_MAX;
    pthread_mutex_unlock(&r->lock);
    serve_request_notify(r);
}

/* The same of a value, which is taken. */
static void put(struct serve_request *r, const char *prefix, json_t *json,
                const char *suffix)
{
    char *text =
        json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    put_text(r, prefix, text, suffix);
    free(text);
}

/* An event of a stream. */
static void send_event(struct serve_request *r, json_t *event)
{
    const struct serve_dialect *d = serve_dialect_of(r->kind);
    put(r, d->before, event, d->after);
}

void serve_choice_open(struct serve_choice *c)
{
    const struct serve_dialect *d = serve_dialect_of(c->request->kind);
    if (c->opened)
        return;
    c->opened = true;
    if (c->request->params.echo && c->prompt->text)
        serve_text_add(&c->text, c->prompt->text, strlen(c->prompt->text));
    if (!c->request->params.stream || !d->open)
        return;
    json_t *event = d->open(c);
    if (event)
        send_event(c->request, event);
}

/* Give out the first `size` held bytes. */
static void give(struct serve_choice *c, size_t size)
{
    struct serve_request *r = c->request;
    const struct serve_dialect *d = serve_dialect_of(r->kind);
    serve_choice_open(c);
    if (!r->params.stream)
        serve_text_add(&c->text, c->held.data, size);
    else if (size > 0 || (c->finish && !d->last))
        send_event(r,
                   d->piece(c, json_stringn(size ? c->held.data : "", size)));
    serve_text_drop(&c->held, size);
    if (r->params.stream && c->finish && d->last)
        send_event(r, d->last(c));
}

/* -------------------------------------------------------------------- stops */

/* Where the first stop text begins in the held text, or its size; the choice
   then knows which it is. */
static size_t stop_position(struct serve_choice *c)
{
    const struct serve_params *p = &c->request->params;
    size_t first = c->held.size;
    for (size_t i = 0; i < p->stop_count; i++) {
        const size_t size = strlen(p->stops[i]);
        for (size_t at = 0; at + size <= c->held.size && at < first; at++)
            if (memcmp(c->held.data + at, p->stops[i], size) == 0) {
                first = at;
                c->word = p->stops[i];
            }
    }
    return first;
}

/* Where the part of the held text begins that may become a stop text. */
static size_t hold_position(const struct serve_choice *c)
{
    const struct serve_params *p = &c->request->params;
    for (size_t at = 0; at < c->held.size; at++)
        for (size_t i = 0; i < p->stop_count; i++)
            if (strncmp(p->stops[i], c->held.data + at, c->held.size - at) == 0)
                return at;
    return c->held.size;
}

/* Decode a token, -1 the rest, into the held text. */
static void decode(struct serve_choice *c, int32_t id)
{
    char *text;
    size_t size;
    if (clsa_detokenize(c->request->of->text, &c->decoder, id, &text, &size,
                        NULL)) {
        c->held.failed = true;
        return;
    }
    serve_text_add(&c->held, text, size);
    clsa_free(text);
}

void serve_choice_take(struct serve_choice *choice, int32_t id,
                       const float *logits)
{
    if (choice->request->params.logprobs >= 0)
        serve_places_add(choice, id, logits);
    decode(choice, id);
    const size_t stop = stop_position(choice);
    if (stop < choice->held.size) {
        choice->finish = "stop";
        give(choice, stop);
        return;
    }
    give(choice, hold_position(choice));
}

void serve_choice_end(struct serve_choice *choice, const char *finish)
{
    if (choice->finish)
        return;
    choice->finish = finish;
    decode(choice, -1);
    give(choice, choice->held.size);
}

/* ------------------------------------------------------------------- answer */

static void send_end(struct serve_request *r, const struct serve_dialect *d)
{
    json_t *event = d->end ? d->end(r) : NULL;
    if (event)
        send_event(r, event);
    if (d->mark)
        put_text(r, d->before, d->mark, d->after);
}

void serve_answer_finish(struct serve_request *request)
{
    const struct serve_dialect *d = serve_dialect_of(request->kind);
    if (request->params.stream)
        send_end(request, d);
    else
        put(request, "", d->answer(request), "\n");
    serve_request_finish(request);
}
