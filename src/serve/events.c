/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: from tokens to what the client gets: whole characters, stop texts
 * cut out, log-probabilities, pieces of a stream or one answer, in the words
 * of OpenAI. The text held back is always the longest end of the output that
 * begins some stop text. Engine thread.
 */
#include <stdlib.h>
#include <string.h>

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
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    put_text(r, prefix, text, suffix);
    free(text);
}

static const char *object_name(const struct serve_request *r)
{
    if (r->kind == SERVE_COMPLETION)
        return "text_completion";
    return r->params.stream ? "chat.completion.chunk" : "chat.completion";
}

static json_t *usage(const struct serve_request *r)
{
    size_t generated = 0, cached = 0;
    for (size_t i = 0; i < r->choice_count; i++) {
        generated += r->choices[i].generated;
        if (i % r->params.n == 0) /* others find what the first one left */
            cached += r->choices[i].cached;
    }
    return json_pack(
        "{sI sI sI s{sI}}", "prompt_tokens", (json_int_t)r->prompt_tokens,
        "completion_tokens", (json_int_t)generated, "total_tokens",
        (json_int_t)(r->prompt_tokens + generated), "prompt_tokens_details",
        "cached_tokens", (json_int_t)cached);
}

/* What all answers begin with. `choices` is taken. */
static json_t *envelope(const struct serve_request *r, json_t *choices)
{
    char id[64];
    snprintf(id, sizeof id, "%s-%s",
             r->kind == SERVE_CHAT ? "chatcmpl" : "cmpl", r->id);
    return json_pack("{ss ss sI ss so}", "id", id, "object", object_name(r),
                     "created", (json_int_t)r->created, "model", r->model,
                     "choices", choices);
}

/* ------------------------------------------------------- log-probabilities */

/* Bytes as text: what is no UTF-8 is replaced. */
static json_t *text_of(const char *bytes, size_t size)
{
    struct serve_text text = {.data = NULL};
    json_t *json = json_stringn(bytes, size);
    for (size_t i = 0; !json && i < size; i++)
        serve_text_add(
            &text, (unsigned char)bytes[i] < 0x80 ? bytes + i : "\xef\xbf\xbd",
            (unsigned char)bytes[i] < 0x80 ? 1 : 3);
    if (!json)
        json = json_stringn(text.data ? text.data : "", text.size);
    serve_text_free(&text);
    return json;
}

static json_t *token_json(const clsa_model *model, clsa_logprob one)
{
    size_t size = 0;
    const char *bytes = clsa_token_bytes(model, one.id, &size);
    json_t *list = json_array();
    for (size_t i = 0; i < size; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    const double logprob = one.logprob > -9999 ? (double)one.logprob : -9999;
    return json_pack("{so sf so}", "token", text_of(bytes ? bytes : "", size),
                     "logprob", logprob, "bytes", list);
}

static void add_place(struct serve_choice *c, int32_t id, const float *logits)
{
    const clsa_model *model = c->request->server->model;
    const size_t count = (size_t)c->request->params.logprobs;
    clsa_logprob given = {.id = id}, best[SERVE_BEST];
    json_t *top = json_array();
    if (clsa_logprobs(model, logits, &given, 1, best, count, NULL)) {
        json_decref(top);
        return;
    }
    for (size_t i = 0; i < count; i++)
        json_array_append_new(top, token_json(model, best[i]));
    json_t *place = token_json(model, given);
    json_object_set_new(place, "top_logprobs", top);
    if (!c->places)
        c->places = json_array();
    json_array_append_new(c->places, place);
}

/* Characters of a text: bytes that begin one. */
static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* The form of completions: four lists side by side. */
static json_t *lists_of(struct serve_choice *c, json_t *places)
{
    json_t *tokens = json_array(), *logprobs = json_array();
    json_t *tops = json_array(), *offsets = json_array(), *place, *one;
    size_t i, j;
    json_array_foreach(places, i, place)
    {
        json_t *token = json_object_get(place, "token"), *top = json_object();
        json_array_append(tokens, token);
        json_array_append(logprobs, json_object_get(place, "logprob"));
        json_array_foreach(json_object_get(place, "top_logprobs"), j, one)
            json_object_set(top,
                            json_string_value(json_object_get(one, "token")),
                            json_object_get(one, "logprob"));
        json_array_append_new(tops, top);
        json_array_append_new(offsets, json_integer((json_int_t)c->offset));
        c->offset += characters(json_string_value(token));
    }
    return json_pack("{so so so so}", "tokens", tokens, "token_logprobs",
                     logprobs, "top_logprobs", tops, "text_offset", offsets);
}

/* Those since the last time, or null. */
static json_t *take_places(struct serve_choice *c)
{
    json_t *places = c->places;
    c->places = NULL;
    if (c->request->params.logprobs < 0 || !places)
        return json_null();
    if (c->request->kind == SERVE_CHAT)
        return json_pack("{so}", "content", places);
    json_t *lists = lists_of(c, places);
    json_decref(places);
    return lists;
}

/* ------------------------------------------------------------------- stream */

/* A piece of a stream; `delta` is taken. */
static void send_piece(struct serve_choice *c, const char *name, json_t *delta)
{
    struct serve_request *r = c->request;
    json_t *choice =
        json_pack("{si so so ss?}", "index", (int)c->index, name, delta,
                  "logprobs", take_places(c), "finish_reason", c->finish);
    json_t *event = envelope(r, json_pack("[o]", choice));
    if (event && r->params.include_usage)
        json_object_set_new(event, "usage", json_null());
    put(r, "data: ", event, "\n\n");
}

/* The role of a chat comes first, a completion may repeat its prompt. */
void serve_choice_open(struct serve_choice *c)
{
    if (c->opened)
        return;
    c->opened = true;
    if (c->request->params.echo && c->prompt->text)
        serve_text_add(&c->text, c->prompt->text, strlen(c->prompt->text));
    if (!c->request->params.stream)
        return;
    if (c->request->kind == SERVE_CHAT)
        send_piece(c, "delta",
                   json_pack("{ss ss}", "role", "assistant", "content", ""));
    else if (c->text.size > 0)
        send_piece(c, "text", json_stringn(c->text.data, c->text.size));
}

/* Give out the first `size` held bytes. */
static void give(struct serve_choice *c, size_t size)
{
    const bool something = size > 0 || c->finish;
    serve_choice_open(c);
    if (!c->request->params.stream)
        serve_text_add(&c->text, c->held.data, size);
    else if (something && c->request->kind == SERVE_CHAT)
        send_piece(c, "delta",
                   size > 0 ? json_pack("{so}", "content",
                                        json_stringn(c->held.data, size))
                            : json_object());
    else if (something)
        send_piece(c, "text", json_stringn(size ? c->held.data : "", size));
    serve_text_drop(&c->held, size);
}

/* -------------------------------------------------------------------- stops */

/* Where the first stop text begins in the held text, or its size. */
static size_t stop_position(const struct serve_choice *c)
{
    const struct serve_params *p = &c->request->params;
    size_t first = c->held.size;
    for (size_t i = 0; i < p->stop_count; i++) {
        const size_t size = strlen(p->stops[i]);
        for (size_t at = 0; at + size <= c->held.size && at < first; at++)
            if (memcmp(c->held.data + at, p->stops[i], size) == 0)
                first = at;
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
    if (clsa_detokenize(c->request->server->model, &c->decoder, id, &text,
                        &size, NULL)) {
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
        add_place(choice, id, logits);
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

static json_t *choice_json(struct serve_choice *c)
{
    json_t *text = json_stringn(c->text.data ? c->text.data : "", c->text.size);
    if (c->request->kind == SERVE_CHAT)
        return json_pack("{si s{ss so} so ss}", "index", (int)c->index,
                         "message", "role", "assistant", "content", text,
                         "logprobs", take_places(c), "finish_reason",
                         c->finish);
    return json_pack("{si so so ss}", "index", (int)c->index, "text", text,
                     "logprobs", take_places(c), "finish_reason", c->finish);
}

static void send_answer(struct serve_request *r)
{
    json_t *choices = json_array();
    for (size_t i = 0; i < r->choice_count; i++)
        json_array_append_new(choices, choice_json(&r->choices[i]));
    json_t *answer = envelope(r, choices);
    if (answer)
        json_object_set_new(answer, "usage", usage(r));
    put(r, "", answer, "\n");
}

static void send_end(struct serve_request *r)
{
    if (r->params.include_usage) {
        json_t *event = envelope(r, json_array());
        if (event)
            json_object_set_new(event, "usage", usage(r));
        put(r, "data: ", event, "\n\n");
    }
    put_text(r, "data: ", "[DONE]", "\n\n");
}

void serve_answer_finish(struct serve_request *request)
{
    if (request->params.stream)
        send_end(request);
    else
        send_answer(request);
    serve_request_finish(request);
}
