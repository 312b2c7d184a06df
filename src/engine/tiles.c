/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/products.h"
#include "src/engine/tiles.h"

enum { QUERIES = 256, KEYS = CLSA_TILE_KEYS };

/* Memory of a thread. */
struct bench {
    unsigned char *x;     /* [QUERIES][e] queries in the type of products */
    unsigned char *plain; /* [KEYS][e] rows in that type */
    unsigned char *k, *v; /* in oneDNN's form */
    float *score;         /* [QUERIES][KEYS] */
    unsigned char *p;     /* the same in the type */
    float *part, *out;    /* [QUERIES][e] of a tile, of all so far */
    float *max, *sum, *scale;
    uint8_t *begin, *end; /* keys of the tile that a query sees */
};

struct clsa_tiles {
    enum clsa_gemm_type type;
    enum clsa_format format; /* the same */
    const struct clsa_simd *simd;
    struct clsa_budget *room;
    size_t e, r;
    unsigned threads;
    struct clsa_gemm *scores, *values;
    struct bench *benches; /* [threads] */
    void *block;
    size_t bytes;
};

/* Queries of one KV head: r of each of `n` columns from c on. */
struct group {
    struct clsa_step *step;
    const struct clsa_window *window;
    uint32_t layer, head;
    size_t c, n;
    uint64_t position; /* of column c */
    uint64_t first;    /* key that any of them sees */
};

/* ------------------------------------------------------------------ memory */

/* Cuts the block, or counts its bytes. */
static size_t lay_out(struct clsa_tiles *t)
{
    struct clsa_carver c = {t->block, 0};
    const size_t size = clsa_gemm_size(t->type), f4 = sizeof(float);
    const size_t e = t->e;
    for (unsigned i = 0; i < t->threads; i++) {
        struct bench *b = &t->benches[i];
        b->x = clsa_carve(&c, QUERIES * e, size);
        b->plain = clsa_carve(&c, KEYS * e, size);
        b->k = clsa_carve(&c, clsa_gemm_bytes(t->scores), 1);
        b->v = clsa_carve(&c, clsa_gemm_bytes(t->values), 1);
        b->score = clsa_carve(&c, QUERIES * KEYS, f4);
        b->p = t->format == CLSA_F32 ? (unsigned char *)b->score
                                     : clsa_carve(&c, QUERIES * KEYS, size);
        b->part = clsa_carve(&c, QUERIES * e, f4);
        b->out = clsa_carve(&c, QUERIES * e, f4);
        b->max = clsa_carve(&c, QUERIES, f4);
        b->sum = clsa_carve(&c, QUERIES, f4);
        b->scale = clsa_carve(&c, QUERIES, f4);
        b->begin = clsa_carve(&c, QUERIES, 1);
        b->end = clsa_carve(&c, QUERIES, 1);
    }
    return c.used;
}

void clsa_tiles_close(struct clsa_tiles *t)
{
    if (!t)
        return;
    clsa_budget_unmap(t->room, t->block, t->bytes);
    clsa_gemm_close(t->scores);
    clsa_gemm_close(t->values);
    clsa_mem_free(t->benches);
    clsa_mem_free(t);
}

static clsa_status fill_tiles(struct clsa_tiles *t, clsa_error *error)
{
    static const char *const what = "attention of a prompt";
    t->benches = clsa_mem_calloc(t->threads, sizeof *t->benches);
    if (!t->benches)
        return clsa_fail_memory(error, what, t->threads * sizeof *t->benches);
    t->scores = clsa_product_open(t->type, QUERIES, KEYS, t->e, CLSA_GEMM_ROWS,
                                  t->threads, error);
    if (!t->scores)
        return CLSA_ERR_MEMORY;
    t->values = clsa_product_open(t->type, QUERIES, t->e, KEYS,
                                  CLSA_GEMM_COLUMNS, t->threads, error);
    if (!t->values)
        return CLSA_ERR_MEMORY;
    t->bytes = lay_out(t);
    t->block = clsa_budget_map(t->room, t->bytes, what, error);
    if (!t->block)
        return CLSA_ERR_MEMORY;
    lay_out(t);
    return CLSA_OK;
}

clsa_status clsa_tiles_open(struct clsa_tiles **tiles, struct clsa_model *model,
                            enum clsa_gemm_type type, clsa_error *error)
{
    const struct clsa_heads *heads = &model->hp.self;
    const bool bf16 = type != CLSA_GEMM_F32 && clsa_gemm_tiled_bf16();
    *tiles = NULL;
    if (model->hp.mixer != CLSA_MIXER_SWA || heads->r > QUERIES)
        return CLSA_OK;
    struct clsa_tiles *t = clsa_mem_calloc(1, sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "attention of a prompt", sizeof *t);
    *t = (struct clsa_tiles){
        .type = bf16 ? CLSA_GEMM_BF16 : CLSA_GEMM_F32,
        .format = bf16 ? CLSA_BF16 : CLSA_F32,
        .simd = model->simd,
        .room = &model->budget,
        .e = heads->e,
        .r = heads->r,
        .threads = clsa_team_size(model->team),
    };
    clsa_status status = fill_tiles(t, error);
    if (status)
        clsa_tiles_close(t);
    else
        *tiles = t;
    return status;
}

size_t clsa_tiles_bytes(const struct clsa_tiles *t)
{
    return t ? t->bytes : 0;
}

/* --------------------------------------------------------------- attention */

static void load_queries(const struct clsa_tiles *t, struct bench *b,
                         const struct group *g, const float *q_norm,
                         bool rotate)
{
    const size_t row = t->e * clsa_gemm_size(t->type);
    float q[CLSA_MAX_HEAD];
    for (size_t i = 0; i < g->n * t->r; i++) {
        clsa_attend_query(g->step, &g->step->model->hp.self, g->c + i / t->r,
                          g->head * t->r + i % t->r, q_norm, rotate, q);
        t->simd->store[t->format](b->x + i * row, q, t->e);
        b->max[i] = -INFINITY;
        b->sum[i] = 0;
    }
    memset(b->out, 0, g->n * t->r * t->e * sizeof *b->out);
}

/* The K or V rows of the tile at position `at`; zeros where nobody looks. */
static const void *load_rows(const struct clsa_tiles *t, struct bench *b,
                             const struct group *g, int v, uint64_t at)
{
    const size_t row = t->e * clsa_gemm_size(t->type);
    const uint64_t last = g->position + g->n; /* behind it */
    const size_t begin = g->first > at ? (size_t)(g->first - at) : 0;
    const size_t end = last < at + KEYS ? (size_t)(last - at) : KEYS;
    const float *from = clsa_window_row(g->window, g->layer, v, g->head,
                                        at + begin - g->window->base);
    memset(b->plain, 0, begin * row);
    t->simd->store[t->format](b->plain + begin * row, from,
                              (end - begin) * t->e);
    memset(b->plain + end * row, 0, (KEYS - end) * row);
    return b->plain;
}

static uint8_t key_in_tile(uint64_t position, uint64_t at)
{
    return position <= at         ? 0
           : position > at + KEYS ? KEYS
                                  : (uint8_t)(position - at);
}

static void mark_seen(const struct clsa_tiles *t, struct bench *b,
                      const struct group *g, uint64_t at)
{
    for (size_t i = 0; i < g->n; i++) {
        uint64_t position = g->position + i;
        uint64_t first = clsa_window_first(g->window, position);
        memset(b->begin + i * t->r, key_in_tile(first, at), t->r);
        memset(b->end + i * t->r, key_in_tile(position + 1, at), t->r);
    }
}

static bool add_tile(const struct clsa_tiles *t, unsigned worker,
                     const struct group *g, uint64_t at)
{
    struct bench *b = &t->benches[worker];
    const size_t n = g->n * t->r;
    if (clsa_gemm_pack(t->scores, worker, b->k, load_rows(t, b, g, 0, at)) ||
        clsa_gemm_run(t->scores, worker, b->score, b->x, b->k))
        return false;
    mark_seen(t, b, g, at);
    t->simd->soften(b->score, n, b->begin, b->end, b->max, b->sum, b->scale);
    if (t->format != CLSA_F32)
        t->simd->store[t->format](b->p, b->score, n * KEYS);
    if (clsa_gemm_pack(t->values, worker, b->v, load_rows(t, b, g, 1, at)) ||
        clsa_gemm_run(t->values, worker, b->part, b->p, b->v))
        return false;
    t->simd->blend(b->out, b->part, b->scale, n, t->e);
    return true;
}

static void deliver(const struct clsa_tiles *t, const struct bench *b,
                    const struct group *g)
{
    const struct clsa_act *mix = &g->step->model->scratch->mix;
    for (size_t i = 0; i < g->n * t->r; i++) {
        float *to = mix->x + (g->c + i / t->r) * mix->ldx +
                    (g->head * t->r + i % t->r) * t->e;
        const float by = 1.0f / b->sum[i];
        for (size_t j = 0; j < t->e; j++)
            to[j] = b->out[i * t->e + j] * by;
    }
}

static bool attend_group(const struct clsa_tiles *t, unsigned worker,
                         const struct group *g, const float *q_norm,
                         bool rotate)
{
    struct bench *b = &t->benches[worker];
    load_queries(t, b, g, q_norm, rotate);
    for (uint64_t at = g->first / KEYS * KEYS; at < g->position + g->n;
         at += KEYS)
        if (!add_tile(t, worker, g, at))
            return false;
    deliver(t, b, g);
    return true;
}

/* Columns of a group: as many as fit, or fewer, so that all threads get some
   of a run of n. */
static size_t group_columns(const struct clsa_tiles *t, size_t n, uint32_t g)
{
    size_t most = QUERIES / t->r;
    size_t parts = (2 * (size_t)t->threads + g - 1) / g;
    size_t each = (n + parts - 1) / parts;
    return each < most ? each : most;
}

bool clsa_tiles_attend(struct clsa_tiles *t, struct clsa_step *step,
                       const struct clsa_worker *w, uint32_t layer,
                       const float *q_norm, bool rotate)
{
    const uint32_t heads = step->model->hp.self.g;
    bool done = true;
    for (size_t c = 0, run; c < step->n; c += run) {
        run = clsa_step_run_length(step, c);
        const size_t each = group_columns(t, run, heads);
        const struct clsa_window *window = &step->column[c].session->window;
        size_t begin, end;
        clsa_share(w, (run + each - 1) / each * heads, &begin, &end);
        for (size_t i = begin; i < end; i++) {
            size_t at = i / heads * each;
            struct group g = {.step = step,
                              .window = window,
                              .layer = layer,
                              .head = (uint32_t)(i % heads),
                              .c = c + at,
                              .n = run - at < each ? run - at : each,
                              .position = step->column[c + at].position};
            g.first = clsa_window_first(window, g.position);
            done = attend_group(t, w->id, &g, q_norm, rotate) && done;
        }
    }
    clsa_barrier(w);
    return done;
}
