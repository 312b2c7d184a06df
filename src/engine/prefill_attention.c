/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the tokens of a prompt block through oneDNN, to windows and to
 * caches of any type. A thread takes up to QUERIES queries of neighboring
 * tokens that share a KV head, and goes through the keys that any of them sees
 * in tiles: scores by one product, online softmax, values by another. All it
 * touches stays in its L2.
 *
 * Tiles begin at multiples of CLSA_TILE_KEYS positions, and a product always
 * has the same shape: what a token gets does not depend on its block or the
 * threads. In bf16 if the products of weights are not in f32 and the CPU has
 * tiles of bf16 (simd/gemm.h), else in f32.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/attention.h"
#include "src/engine/onednn.h"

/* In f32 fewer queries: a whole number of 6 rows (onednn.h). */
enum { QUERIES = 256, QUERIES_F32 = 240, KEYS = CLSA_TILE_KEYS };

/* Head sizes of a model that there are products for; layers with others go
   the way of native. */
enum { SIZES = 4 };

/* The products for heads of e values. */
struct products {
    size_t e;
    struct clsa_gemm *scores, *values;
};

/* Memory of a thread. */
struct workspace {
    unsigned char *x;     /* [QUERIES][e] queries in the type of products */
    unsigned char *plain; /* [KEYS][e] rows in that type */
    unsigned char *k, *v; /* in oneDNN's form */
    float *score;         /* [QUERIES][KEYS] */
    unsigned char *p;     /* the same in the type */
    float *part, *out;    /* [QUERIES][e] of a tile, of all so far */
    float *max, *sum, *scale;
    uint8_t *begin, *end; /* keys of the tile that a query sees */
};

struct clsa_prefill_attention {
    enum clsa_gemm_type type;
    enum clsa_format format; /* the same */
    const struct clsa_simd *simd;
    struct clsa_budget *budget;
    unsigned threads;
    size_t queries; /* of a product */
    struct products products[SIZES];
    size_t count, most_e;
    struct workspace *workspaces; /* [threads] */
    void *block;
    size_t bytes;
};

/* Queries of one KV head: r of each of `n` tokens from i on. */
struct group {
    const struct clsa_pass *pass;
    const struct products *products;
    const struct clsa_window *window; /* NULL: the rows are in the cache */
    const struct clsa_cache *cache;
    size_t r;
    uint32_t head;
    size_t i, n;
    uint64_t first, end; /* keys first .. end - 1 are seen by any of them */
};

/* ------------------------------------------------------------------ memory */

/* Bytes of the keys and of the values of a tile in oneDNN's form, at most. */
static void packed_bytes(const struct clsa_prefill_attention *t, size_t *k,
                         size_t *v)
{
    *k = *v = 0;
    for (size_t i = 0; i < t->count; i++) {
        *k = clsa_max(*k, clsa_gemm_bytes(t->products[i].scores));
        *v = clsa_max(*v, clsa_gemm_bytes(t->products[i].values));
    }
}

/* Cuts the block, or counts its bytes. */
static size_t lay_out(struct clsa_prefill_attention *t)
{
    struct clsa_arena c = {t->block, 0};
    const size_t size = clsa_gemm_size(t->type), f4 = sizeof(float);
    const size_t e = t->most_e;
    size_t k, v;
    packed_bytes(t, &k, &v);
    for (unsigned i = 0; i < t->threads; i++) {
        struct workspace *b = &t->workspaces[i];
        b->x = clsa_arena_take(&c, QUERIES * e, size);
        b->plain = clsa_arena_take(&c, KEYS * e, size);
        b->k = clsa_arena_take(&c, k, 1);
        b->v = clsa_arena_take(&c, v, 1);
        b->score = clsa_arena_take(&c, QUERIES * KEYS, f4);
        b->p = t->format == CLSA_F32
                   ? (unsigned char *)b->score
                   : clsa_arena_take(&c, QUERIES * KEYS, size);
        b->part = clsa_arena_take(&c, QUERIES * e, f4);
        b->out = clsa_arena_take(&c, QUERIES * e, f4);
        b->max = clsa_arena_take(&c, QUERIES, f4);
        b->sum = clsa_arena_take(&c, QUERIES, f4);
        b->scale = clsa_arena_take(&c, QUERIES, f4);
        b->begin = clsa_arena_take(&c, QUERIES, 1);
        b->end = clsa_arena_take(&c, QUERIES, 1);
    }
    return c.used;
}

void clsa_prefill_attention_close(struct clsa_prefill_attention *t)
{
    if (!t)
        return;
    clsa_budget_unmap(t->budget, t->block, t->bytes);
    for (size_t i = 0; i < SIZES; i++) {
        clsa_gemm_close(t->products[i].scores);
        clsa_gemm_close(t->products[i].values);
    }
    clsa_mem_free(t->workspaces);
    clsa_mem_free(t);
}

/* The products for the heads of a layer of attention; NULL: none. */
static const struct products *
products_for(const struct clsa_prefill_attention *t,
             const struct clsa_layer *layer)
{
    if (layer->mixer != CLSA_MIXER_ATTENTION || layer->heads.group > t->queries)
        return NULL;
    for (size_t i = 0; i < t->count; i++)
        if (t->products[i].e == layer->heads.head_dim)
            return &t->products[i];
    return NULL;
}

static clsa_status open_products(struct clsa_prefill_attention *t, size_t e,
                                 clsa_error *error)
{
    struct products *p = &t->products[t->count];
    p->e = e;
    p->scores = clsa_onednn_gemm(t->type, t->queries, KEYS, e, CLSA_GEMM_ROWS,
                                 t->threads, error);
    if (!p->scores)
        return CLSA_ERR_MEMORY;
    p->values = clsa_onednn_gemm(t->type, t->queries, e, KEYS,
                                 CLSA_GEMM_COLUMNS, t->threads, error);
    if (!p->values)
        return CLSA_ERR_MEMORY;
    t->count++;
    t->most_e = clsa_max(t->most_e, e);
    return CLSA_OK;
}

/* Products for the layers that prompt tokens run, and outputs of a model whose
   outputs have tiles. */
static clsa_status open_all(struct clsa_prefill_attention *t,
                            const struct clsa_network *net, clsa_error *error)
{
    const size_t end = clsa_reads_early(net)
                           ? net->layer_count
                           : clsa_max(net->last_writer, net->refill_end);
    for (size_t i = 0; i < end && t->count < SIZES; i++) {
        const struct clsa_layer *l = &net->layers[i];
        if (l->mixer == CLSA_MIXER_ATTENTION && l->heads.group <= t->queries &&
            !products_for(t, l))
            CLSA_TRY(open_products(t, l->heads.head_dim, error));
    }
    return CLSA_OK;
}

static clsa_status open_memory(struct clsa_prefill_attention *t,
                               clsa_error *error)
{
    static const char *const what = "attention of a prompt";
    t->workspaces = clsa_mem_calloc(t->threads, sizeof *t->workspaces);
    if (!t->workspaces)
        return clsa_fail_memory(error, what,
                                t->threads * sizeof *t->workspaces);
    t->bytes = lay_out(t);
    t->block = clsa_budget_map(t->budget, t->bytes, what, error);
    if (!t->block)
        return CLSA_ERR_MEMORY;
    lay_out(t);
    return CLSA_OK;
}

clsa_status
clsa_prefill_attention_open(struct clsa_prefill_attention **attention,
                            struct clsa_model *model, enum clsa_gemm_type type,
                            clsa_error *error)
{
    const bool bf16 = type != CLSA_GEMM_F32 && clsa_gemm_tiled_bf16();
    struct clsa_prefill_attention *t = clsa_mem_calloc(1, sizeof *t);
    *attention = NULL;
    if (!t)
        return clsa_fail_memory(error, "attention of a prompt", sizeof *t);
    *t = (struct clsa_prefill_attention){
        .type = bf16 ? CLSA_GEMM_BF16 : CLSA_GEMM_F32,
        .format = bf16 ? CLSA_BF16 : CLSA_F32,
        .simd = model->simd,
        .budget = &model->budget,
        .threads = clsa_team_size(model->team),
        .queries = bf16 ? QUERIES : QUERIES_F32,
    };
    clsa_status status = open_all(t, &model->net, error);
    if (!status && t->count)
        status = open_memory(t, error);
    if (status || !t->count)
        clsa_prefill_attention_close(t);
    else
        *attention = t;
    return status;
}

size_t clsa_prefill_attention_bytes(const struct clsa_prefill_attention *t)
{
    return t ? t->bytes : 0;
}

/* --------------------------------------------------------------- attention */

static void load_queries(const struct clsa_prefill_attention *t,
                         struct workspace *b, const struct group *g)
{
    const size_t row = g->r * g->products->e, size = clsa_gemm_size(t->type);
    const uint32_t heads = g->pass->layer->heads.kv_heads;
    for (size_t i = 0; i < g->n; i++)
        t->simd->store[t->format](b->x + i * row * size,
                                  g->pass->model->scratch->q +
                                      ((g->i + i) * heads + g->head) * row,
                                  row);
    for (size_t i = 0; i < g->n * g->r; i++) {
        b->max[i] = -INFINITY;
        b->sum[i] = 0;
    }
    memset(b->out, 0, g->n * row * sizeof *b->out);
}

/* A row of e values of the cache, in the type of products. */
static void convert_row(const struct clsa_prefill_attention *t,
                        unsigned char *to, const unsigned char *from, size_t e,
                        enum clsa_format format)
{
    float row[CLSA_HEAD_DIM_LIMIT];
    if (format == t->format) {
        memcpy(to, from, clsa_format_bytes(format, e));
    } else if (t->format == CLSA_F32) {
        t->simd->load[format]((float *)(void *)to, from, e);
    } else {
        t->simd->load[format](row, from, e);
        t->simd->store[t->format](to, row, e);
    }
}

/* n K or V rows from a position on, all in one page or window. */
static void copy_rows(const struct clsa_prefill_attention *t, unsigned char *to,
                      const struct group *g, int v, uint64_t at, size_t n)
{
    const size_t e = g->products->e, row = e * clsa_gemm_size(t->type);
    if (g->window) {
        t->simd->store[t->format](
            to, clsa_window_row(g->window, v, g->head, at - g->window->base),
            n * e);
        return;
    }
    const struct clsa_cache_layout *l = &g->cache->layout;
    const unsigned char *from =
        clsa_cache_row(g->cache, at) +
        ((v ? l->kv_heads : 0) + g->head) * l->head_bytes;
    for (size_t i = 0; i < n; i++, to += row, from += l->row_bytes)
        convert_row(t, to, from, e, l->kv);
}

/* The K or V rows of the tile at position `at`; zeros where nobody looks. */
static const void *load_rows(const struct clsa_prefill_attention *t,
                             struct workspace *b, const struct group *g, int v,
                             uint64_t at)
{
    const size_t row = g->products->e * clsa_gemm_size(t->type);
    const size_t begin = g->first > at ? (size_t)(g->first - at) : 0;
    const size_t end = g->end < at + KEYS ? (size_t)(g->end - at) : KEYS;
    memset(b->plain, 0, begin * row);
    copy_rows(t, b->plain + begin * row, g, v, at + begin, end - begin);
    memset(b->plain + end * row, 0, (KEYS - end) * row);
    return b->plain;
}

static uint8_t key_in_tile(uint64_t position, uint64_t at)
{
    return position <= at         ? 0
           : position > at + KEYS ? KEYS
                                  : (uint8_t)(position - at);
}

/* Position of the i-th token of a group. */
static uint64_t position_of(const struct group *g, size_t i)
{
    return clsa_pass_token(g->pass, g->i + i)->position;
}

/* The first key that a query sees. */
static uint64_t first_seen(const struct group *g, uint64_t position)
{
    return g->window ? clsa_window_first(g->window, position) : 0;
}

static void mark_seen(struct workspace *b, const struct group *g, uint64_t at)
{
    for (size_t i = 0; i < g->n; i++) {
        const uint64_t position = position_of(g, i);
        memset(b->begin + i * g->r, key_in_tile(first_seen(g, position), at),
               g->r);
        memset(b->end + i * g->r, key_in_tile(position + 1, at), g->r);
    }
}

static bool add_tile(const struct clsa_prefill_attention *t, unsigned worker,
                     const struct group *g, uint64_t at)
{
    struct workspace *b = &t->workspaces[worker];
    const struct products *m = g->products;
    const size_t n = g->n * g->r;
    if (clsa_gemm_pack(m->scores, worker, b->k, load_rows(t, b, g, 0, at)) ||
        clsa_gemm_run(m->scores, worker, b->score, b->x, b->k))
        return false;
    if (g->pass->layer->softcap > 0)
        t->simd->softcap(b->score, n * KEYS, g->pass->layer->softcap);
    mark_seen(b, g, at);
    t->simd->softmax_online(b->score, n, b->begin, b->end, b->max, b->sum,
                            b->scale);
    if (t->format != CLSA_F32)
        t->simd->store[t->format](b->p, b->score, n * KEYS);
    if (clsa_gemm_pack(m->values, worker, b->v, load_rows(t, b, g, 1, at)) ||
        clsa_gemm_run(m->values, worker, b->part, b->p, b->v))
        return false;
    t->simd->scale_add(b->out, b->part, b->scale, n, m->e);
    return true;
}

static void deliver(const struct workspace *b, const struct group *g)
{
    const struct clsa_act *out = &g->pass->model->scratch->attn_out;
    const size_t e = g->products->e;
    for (size_t i = 0; i < g->n * g->r; i++) {
        float *to = out->x + (g->i + i / g->r) * out->ldx +
                    (g->head * g->r + i % g->r) * e;
        const float by = 1.0f / b->sum[i];
        for (size_t j = 0; j < e; j++)
            to[j] = b->out[i * e + j] * by;
    }
}

static bool attend_group(const struct clsa_prefill_attention *t,
                         unsigned worker, const struct group *g)
{
    struct workspace *b = &t->workspaces[worker];
    load_queries(t, b, g);
    for (uint64_t at = g->first / KEYS * KEYS; at < g->end; at += KEYS)
        if (!add_tile(t, worker, g, at))
            return false;
    deliver(b, g);
    return true;
}

/* Tokens of a group: as many as fit, or fewer, so that all threads get some of
   a run of n. */
static size_t group_tokens(const struct clsa_prefill_attention *t, size_t n,
                           const struct clsa_heads *heads)
{
    const size_t g = heads->kv_heads;
    const size_t groups = (2 * (size_t)t->threads + g - 1) / g;
    return clsa_min((n + groups - 1) / groups, t->queries / heads->group);
}

/* A group without tokens yet, of the sequence of token i. */
static struct group group_of(const struct clsa_prefill_attention *t,
                             const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const bool cache = clsa_layer_reads_cache(p->net, p->layer);
    return (struct group){
        .pass = p,
        .products = products_for(t, p->layer),
        .window = cache ? NULL : clsa_token_window(token, p->layer),
        .cache = cache ? clsa_token_cache(token, p->layer) : NULL,
        .r = p->layer->heads.group,
    };
}

/* The groups of tokens i .. i + run - 1, which are of one session. */
static void attend_run(struct clsa_onednn *o, const struct clsa_pass *p,
                       size_t i, size_t run)
{
    const struct clsa_prefill_attention *t = o->attention;
    const uint32_t heads = p->layer->heads.kv_heads;
    const size_t each = group_tokens(t, run, &p->layer->heads);
    struct group g = group_of(t, p, i);
    struct clsa_loop loop = clsa_loop(p->w, (run + each - 1) / each * heads);
    while (clsa_loop_next(&loop))
        for (size_t j = loop.begin; j < loop.end; j++) {
            size_t at = j / heads * each;
            g.head = (uint32_t)(j % heads);
            g.i = i + at;
            g.n = clsa_min(run - at, each);
            g.first = first_seen(&g, position_of(&g, 0));
            g.end = position_of(&g, g.n - 1) + 1;
            if (!attend_group(t, p->w->id, &g))
                o->failed = true;
        }
}

/* Tokens that run from i on of the same sequence. */
static size_t run_length(const struct clsa_pass *p, size_t i)
{
    size_t run = 1;
    while (i + run < p->n && clsa_pass_token(p, i + run)->session ==
                                 clsa_pass_token(p, i)->session)
        run++;
    return run;
}

/* Outputs of a model with one cache for many layers have no tiles of keys: they
   get the bits of decoding. */
bool clsa_prefill_attend(struct clsa_backend *b, const struct clsa_pass *p)
{
    struct clsa_onednn *o = clsa_onednn_of(b);
    if (!o->attention || !products_for(o->attention, p->layer) ||
        (p->outputs && !clsa_reads_early(p->net)))
        return clsa_attend_tiles(b, p);
    for (size_t i = 0, run; i < p->n; i += run) {
        run = run_length(p, i);
        attend_run(o, p, i, run);
    }
    clsa_prepare_attention(p);
    return true;
}
