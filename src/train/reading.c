/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are read under an observer, and attention computed again. */
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/append.h"
#include "src/train/reading.h"

/* ---------------------------------------------------------------- observing */

/* What is kept of the i-th token that runs. */
static void keep(const struct clsa_reading *r, const struct clsa_pass *p,
                 size_t i, uint32_t layer)
{
    const struct clsa_scratch *s = p->model->scratch;
    const size_t d = p->net->hidden, at = clsa_pass_token(p, i)->position;
    const size_t q = (size_t)p->layer->heads.heads * p->layer->heads.head_dim;
    if (r->input[layer])
        memcpy(r->input[layer] + at * d, s->norm.x + i * s->norm.ldx,
               d * sizeof(float));
    if (r->q[layer] && r->place[at] != CLSA_NO_QUERY)
        memcpy(r->q[layer] + r->place[at] * q, s->q + i * q, q * sizeof(float));
}

static void observe(void *context, const struct clsa_pass *p)
{
    const struct clsa_reading *r = context;
    const uint32_t layer = (uint32_t)(p->layer - p->net->layers);
    struct clsa_loop loop = clsa_loop(p->w, p->n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            keep(r, p, i, layer);
}

/* ------------------------------------------------------------------ memory */

static clsa_status take(void *to, size_t n, size_t size, clsa_error *error)
{
    void *memory = clsa_mem_calloc(n ? n : 1, size);
    if (!memory)
        return clsa_fail_memory(error, "what is seen of a text", n * size);
    memcpy(to, &memory, sizeof memory);
    return CLSA_OK;
}

static void forget(struct clsa_reading *r)
{
    for (uint32_t i = 0; i < r->model->net.layer_count; i++) {
        clsa_mem_free(r->q[i]);
        clsa_mem_free(r->input[i]);
        r->q[i] = r->input[i] = NULL;
    }
    clsa_mem_free(r->position);
    r->position = NULL;
    r->n = r->m = 0;
}

void clsa_reading_close(struct clsa_reading *r)
{
    if (r->q && r->input)
        forget(r);
    clsa_session_close(r->session);
    clsa_mem_free(r->place);
    clsa_mem_free(r->scratch);
    clsa_mem_free(r->q);
    clsa_mem_free(r->input);
    *r = (struct clsa_reading){0};
}

static clsa_status open_session(struct clsa_reading *r,
                                const clsa_session_options *options,
                                clsa_error *error)
{
    clsa_session_options dense;
    clsa_session_options_init(&dense);
    if (options)
        dense = *options;
    dense.context = r->capacity;
    dense.attention = "dense";
    return clsa_session_open(&r->session, r->model, &dense, error);
}

static clsa_status open_parts(struct clsa_reading *r,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    const size_t layers = r->model->net.layer_count;
    const size_t threads = clsa_team_size(r->model->team);
    CLSA_TRY(take(&r->q, layers, sizeof *r->q, error));
    CLSA_TRY(take(&r->input, layers, sizeof *r->input, error));
    CLSA_TRY(take(&r->place, r->capacity, sizeof *r->place, error));
    CLSA_TRY(
        take(&r->scratch, threads * r->capacity, sizeof *r->scratch, error));
    return open_session(r, options, error);
}

clsa_status clsa_reading_open(struct clsa_reading *r, clsa_model *model,
                              size_t capacity,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    *r = (struct clsa_reading){.model = model, .capacity = capacity};
    clsa_status status = open_parts(r, options, error);
    if (status)
        clsa_reading_close(r);
    return status;
}

bool clsa_reading_sees(const struct clsa_reading *r, uint32_t layer)
{
    const struct clsa_network *net = &r->model->net;
    return net->layers[layer].mixer == CLSA_MIXER_ATTENTION &&
           clsa_layer_reads_cache(net, &net->layers[layer]);
}

/* ----------------------------------------------------------------- reading */

/* Room for what is wanted of n tokens. */
static clsa_status prepare(struct clsa_reading *r, size_t n,
                           const struct clsa_reading_want *want,
                           clsa_error *error)
{
    const struct clsa_network *net = &r->model->net;
    forget(r);
    CLSA_TRY(take(&r->position, want->count, sizeof *r->position, error));
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct clsa_heads *h = &net->layers[i].heads;
        if (clsa_reading_sees(r, i))
            CLSA_TRY(take(&r->q[i], want->count * h->heads,
                          h->head_dim * sizeof(float), error));
        if (want->inputs && want->inputs[i])
            CLSA_TRY(take(&r->input[i], n, net->hidden * sizeof(float), error));
    }
    for (size_t i = 0; i < n; i++)
        r->place[i] = CLSA_NO_QUERY;
    for (size_t j = 0; j < want->count; j++) {
        r->position[j] = want->position[j];
        r->place[want->position[j]] = (uint32_t)j;
    }
    return CLSA_OK;
}

clsa_status clsa_reading_read(struct clsa_reading *r, const int32_t *ids,
                              size_t n, const struct clsa_reading_want *want,
                              const clsa_append_options *how, clsa_error *error)
{
    const clsa_append_options none = {.want = CLSA_WANT_NONE};
    CLSA_TRY(clsa_session_truncate(r->session, 0, error));
    CLSA_TRY(clsa_append_check_room(r->session, n, error));
    CLSA_TRY(prepare(r, n, want, error));
    r->observer = (struct clsa_observer){observe, r};
    r->session->observer = &r->observer;
    clsa_status status =
        clsa_session_append(r->session, ids, n, how ? how : &none, error);
    r->session->observer = NULL;
    if (status) {
        forget(r);
        return status;
    }
    r->n = n;
    r->m = want->count;
    return CLSA_OK;
}

/* --------------------------------------------------------------- attention */

struct attend {
    const struct clsa_reading *reading;
    const struct clsa_layer *layer;
    const float *q; /* of the layer */
    size_t first, count, ld;
    float share, *weights;
};

/* Scores of n rows by a query of a KV head, page by page. */
static void score_rows(const struct attend *a, uint32_t head, const float *q,
                       size_t n, float *score)
{
    const struct clsa_reading *r = a->reading;
    const struct clsa_cache *cache =
        &r->session->stores.store[a->layer->store].cache;
    const struct clsa_cache_layout *l = &cache->layout;
    struct clsa_rows rows = {.stride = l->row_bytes};
    for (size_t at = 0; at < n; at += rows.n) {
        rows.n = clsa_min(n - at, CLSA_PAGE_ROWS);
        rows.k = clsa_cache_row(cache, at) + head * l->head_bytes;
        r->model->simd->score[l->kv](score + at, q, l->head_dim, &rows);
    }
    if (a->layer->softcap > 0)
        r->model->simd->softcap(score, n, a->layer->softcap);
}

/* Weights of query j, heads in their order. */
static void attend_query(const struct attend *a, size_t j, float *score)
{
    const struct clsa_heads *h = &a->layer->heads;
    const struct clsa_simd *simd = a->reading->model->simd;
    const size_t n = (size_t)a->reading->position[a->first + j] + 1;
    const float *q = a->q + (a->first + j) * h->heads * h->head_dim;
    float *to = a->weights + j * a->ld;
    for (uint32_t i = 0; i < h->heads; i++) {
        score_rows(a, i / h->group, q + i * h->head_dim, n, score);
        const float by =
            a->share / ((float)h->heads * simd->softmax(score, score, n, 1));
        for (size_t s = 0; s < n; s++)
            to[s] += by * score[s];
    }
}

static void attend_all(void *context, struct clsa_worker *w)
{
    const struct attend *a = context;
    float *score = a->reading->scratch + w->id * a->reading->capacity;
    struct clsa_loop loop = clsa_loop(w, a->count);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++)
            attend_query(a, j, score);
}

void clsa_reading_attend(struct clsa_reading *r, uint32_t layer, size_t first,
                         size_t count, float share, float *weights, size_t ld)
{
    struct attend a = {.reading = r,
                       .layer = &r->model->net.layers[layer],
                       .q = r->q[layer],
                       .first = first,
                       .count = count,
                       .ld = ld,
                       .share = share,
                       .weights = weights};
    clsa_team_run(r->model->team, attend_all, &a);
}
