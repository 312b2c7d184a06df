/* SPDX-License-Identifier: Apache-2.0 */
/* openai: answers in the words of OpenAI, of chats and of completions. */
#include <stdio.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

static bool is_chat(const struct serve_request *r)
{
    return r->kind == SERVE_CHAT;
}

static const char *object_name(const struct serve_request *r)
{
    if (!is_chat(r))
        return "text_completion";
    return r->params.stream ? "chat.completion.chunk" : "chat.completion";
}

size_t serve_request_cached(const struct serve_request *request)
{
    size_t cached = 0;
    for (size_t i = 0; i < request->choice_count; i += request->params.n)
        cached += request->choices[i].cached; /* others find what it left */
    return cached;
}

static json_t *usage(const struct serve_request *r)
{
    size_t generated = 0;
    for (size_t i = 0; i < r->choice_count; i++)
        generated += r->choices[i].generated;
    return json_pack(
        "{sI sI sI s{sI}}", "prompt_tokens", (json_int_t)r->prompt_tokens,
        "completion_tokens", (json_int_t)generated, "total_tokens",
        (json_int_t)(r->prompt_tokens + generated), "prompt_tokens_details",
        "cached_tokens", (json_int_t)serve_request_cached(r));
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
    json_t *places = serve_places_take(c);
    if (c->request->params.logprobs < 0 || !places)
        return json_null();
    if (is_chat(c->request))
        return json_pack("{so}", "content", places);
    json_t *lists = lists_of(c, places);
    json_decref(places);
    return lists;
}

/* ------------------------------------------------------------------- stream */

/* A piece of a stream; `delta` is taken. */
static json_t *event_of(struct serve_choice *c, const char *name, json_t *delta)
{
    const struct serve_request *r = c->request;
    json_t *choice =
        json_pack("{si so so ss?}", "index", (int)c->index, name, delta,
                  "logprobs", take_places(c), "finish_reason", c->finish);
    json_t *event = envelope(r, json_pack("[o]", choice));
    if (event && r->params.include_usage)
        json_object_set_new(event, "usage", json_null());
    return event;
}

/* The role of a chat comes first, a completion may repeat its prompt. */
static json_t *open_stream(struct serve_choice *c)
{
    if (is_chat(c->request))
        return event_of(
            c, "delta",
            json_pack("{ss ss}", "role", "assistant", "content", ""));
    return c->text.size > 0 ? event_of(c, "text", serve_choice_text(c)) : NULL;
}

static json_t *piece(struct serve_choice *c, json_t *text)
{
    if (!is_chat(c->request))
        return event_of(c, "text", text);
    if (json_string_length(text) > 0)
        return event_of(c, "delta", json_pack("{so}", "content", text));
    json_decref(text);
    return event_of(c, "delta", json_object());
}

static json_t *end_stream(struct serve_request *r)
{
    json_t *event = r->params.include_usage ? envelope(r, json_array()) : NULL;
    if (event)
        json_object_set_new(event, "usage", usage(r));
    return event;
}

/* ------------------------------------------------------------------- answer */

json_t *serve_choice_text(const struct serve_choice *choice)
{
    return json_stringn(choice->text.data ? choice->text.data : "",
                        choice->text.size);
}

static json_t *choice_json(struct serve_choice *c)
{
    json_t *text = serve_choice_text(c);
    if (is_chat(c->request))
        return json_pack("{si s{ss so} so ss}", "index", (int)c->index,
                         "message", "role", "assistant", "content", text,
                         "logprobs", take_places(c), "finish_reason",
                         c->finish);
    return json_pack("{si so so ss}", "index", (int)c->index, "text", text,
                     "logprobs", take_places(c), "finish_reason", c->finish);
}

static json_t *answer(struct serve_request *r)
{
    json_t *choices = json_array();
    for (size_t i = 0; i < r->choice_count; i++)
        json_array_append_new(choices, choice_json(&r->choices[i]));
    json_t *all = envelope(r, choices);
    if (all)
        json_object_set_new(all, "usage", usage(r));
    return all;
}

const struct serve_dialect serve_openai = {
    .type = "text/event-stream; charset=utf-8",
    .before = "data: ",
    .after = "\n\n",
    .open = open_stream,
    .piece = piece,
    .end = end_stream,
    .mark = "[DONE]",
    .answer = answer,
};
