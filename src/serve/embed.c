/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed: embeddings: states of a prompt after the last norm, pooled as the
 * model file says and of length 1, in the words of OpenAI and of ollama. A
 * prompt is a choice that ends when it is read; nothing of it is kept or taken
 * from the cache, as pooling wants to see its tokens.
 */
#include <math.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

/* ----------------------------------------------------------------- pooling */

void serve_pooling_find(struct serve_model *m)
{
    char family[64], name[96], value[32];
    serve_model_key(m->text, "general.architecture", family, sizeof family);
    snprintf(name, sizeof name, "%s.pooling_type", family);
    serve_model_key(m->text, name, value, sizeof value);
    const unsigned long type = strtoul(value, NULL, 10);
    m->pooling =
        type <= SERVE_POOL_LAST ? (enum serve_pooling)type : SERVE_POOL_NONE;
}

static void take_state(void *user, uint64_t position, const float *state)
{
    struct serve_choice *c = user;
    const struct serve_model *m = c->request->of;
    if (position < c->pooled) /* its block was taken back, and read again */
        return;
    c->pooled = (size_t)position + 1;
    for (uint32_t i = 0; i < m->info.width; i++)
        c->sum[i] =
            (m->pooling == SERVE_POOL_MEAN ? c->sum[i] : 0) + (double)state[i];
}

void serve_embed_want(struct serve_choice *c, size_t count, uint8_t *mask,
                      clsa_append_options *how)
{
    const enum serve_pooling pooling = c->request->of->pooling;
    if (c->read == 0) { /* also again, after it was given up */
        c->pooled = 0;
        memset(c->sum, 0, c->request->of->info.width * sizeof *c->sum);
    }
    how->user = c;
    how->on_state = take_state;
    if (pooling == SERVE_POOL_LAST)
        return;
    memset(mask, pooling == SERVE_POOL_MEAN, count);
    mask[0] |= c->read == 0;
    how->want = CLSA_WANT_MASK;
    how->mask = mask;
}

/* The direction of what was pooled. */
static float *normalized(const struct serve_choice *c)
{
    const uint32_t width = c->request->of->info.width;
    float *values = malloc(width * sizeof *values);
    double square = 0;
    for (uint32_t i = 0; i < width; i++)
        square += c->sum[i] * c->sum[i];
    for (uint32_t i = 0; values && i < width; i++)
        values[i] = square > 0 ? (float)(c->sum[i] / sqrt(square)) : 0;
    return values;
}

/* -------------------------------------------------------------------- body */

static bool check_body(struct serve_request *r, json_t *body)
{
    const struct serve_model *m = r->of;
    json_t *size = json_object_get(body, "dimensions");
    json_t *format = json_object_get(body, "encoding_format");
    const char *name = json_string_value(format);
    if (m->pooling == SERVE_POOL_NONE)
        return serve_refuse(
            r, "model",
            "its file names no pooling (mean, cls or last) in "
            "ARCHITECTURE.pooling_type: it gives no embeddings");
    if (size && !json_is_null(size) &&
        json_integer_value(size) != (json_int_t)m->info.width)
        return serve_refuse(r, "dimensions", "the model has %u, no others",
                            m->info.width);
    r->params.base64 = name && strcmp(name, "base64") == 0;
    if (format && !json_is_null(format) && !r->params.base64 &&
        (!name || strcmp(name, "float") != 0))
        return serve_refuse(r, "encoding_format", "use float or base64");
    return true;
}

static json_t *read_body(struct serve_request *r, json_t *body)
{
    json_t *input = json_object_get(body, "input");
    if (!check_body(r, body))
        return NULL;
    return json_pack("{sO}", "prompt", input ? input : json_null());
}

/* ----------------------------------------------------------------- answers */

static json_t *list_of(const float *values, uint32_t width)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < width; i++)
        json_array_append_new(list, json_real((double)values[i]));
    return list;
}

static json_t *base64_of(const float *values, uint32_t width)
{
    const size_t size = width * sizeof *values;
    char *text = malloc(BASE64_ENCODE_RAW_LENGTH(size));
    if (!text)
        return NULL;
    base64_encode_raw(text, size, (const uint8_t *)values);
    json_t *json = json_stringn(text, BASE64_ENCODE_RAW_LENGTH(size));
    free(text);
    return json;
}

static json_t *embedding_of(const struct serve_choice *c)
{
    const uint32_t width = c->request->of->info.width;
    float *values = normalized(c);
    json_t *json = !values                     ? NULL
                   : c->request->params.base64 ? base64_of(values, width)
                                               : list_of(values, width);
    free(values);
    return json;
}

static json_t *answer(struct serve_request *r)
{
    json_t *data = json_array();
    for (size_t i = 0; i < r->choice_count; i++)
        json_array_append_new(
            data, json_pack("{ss si so}", "object", "embedding", "index",
                            (int)i, "embedding", embedding_of(&r->choices[i])));
    return json_pack("{ss so ss s{sI sI}}", "object", "list", "data", data,
                     "model", r->model, "usage", "prompt_tokens",
                     (json_int_t)r->prompt_tokens, "total_tokens",
                     (json_int_t)r->prompt_tokens);
}

static json_t *ollama_answer(struct serve_request *r)
{
    json_t *data = json_array();
    for (size_t i = 0; i < r->choice_count; i++)
        json_array_append_new(data, embedding_of(&r->choices[i]));
    return json_pack(
        "{ss so sI si sI}", "model", r->model, "embeddings", data,
        "total_duration", (json_int_t)((serve_seconds() - r->arrived) * 1e9),
        "load_duration", 0, "prompt_eval_count", (json_int_t)r->prompt_tokens);
}

const struct serve_dialect serve_embeddings = {.read = read_body,
                                               .answer = answer};

const struct serve_dialect serve_ollama_embeddings = {
    .plain_errors = true, .read = read_body, .answer = ollama_answer};
