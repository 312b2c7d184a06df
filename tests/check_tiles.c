/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of prompt blocks in tiles against attention token by token, over
 * windows and caches of all types, for head sizes, groups and positions of all
 * kinds, two shapes of heads in a model. The tiles of the kernels of simd/ give
 * the same bits at every level; those of oneDNN come near, and give each other
 * the same bits for any size of blocks and any number of threads.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_bench.h"
#include "src/engine/attention.h"
#include "src/engine/backend_onednn.h"
#include "tests/suite.h"

enum { WINDOWED, CACHED, LAST, LAYERS }; /* layers; the last one is not read */

struct shape {
    uint32_t e[2], kv_heads[2], group[2]; /* of the layers */
    uint32_t window;
    clsa_type kv;
    float softcap;
};

static const struct shape shapes[] = {
    {{64, 64}, {2, 2}, {4, 4}, 40, CLSA_TYPE_BF16, 0},
    {{32, 128}, {1, 2}, {3, 4}, 70, CLSA_TYPE_F32, 0},
    {{256, 512}, {1, 1}, {8, 8}, 64, CLSA_TYPE_BF16, 0},
    {{40, 80}, {2, 3}, {1, 1}, 300, CLSA_TYPE_F16, 0},
    {{128, 256}, {1, 2}, {2, 2}, 1, CLSA_TYPE_Q8_0, 30},
    {{64, 96}, {1, 1}, {7, 20}, 128, CLSA_TYPE_BF16, 5},
    {{8, 192}, {2, 1}, {16, 17}, 33, CLSA_TYPE_Q8_0, 0},
    {{512, 64}, {1, 3}, {3, 3}, 90, CLSA_TYPE_F32, 20},
};

#define SHAPES ((int)(sizeof shapes / sizeof *shapes))

/* A model of attention alone, and a sequence. */
struct setting {
    struct clsa_model model;
    struct clsa_session session;
    struct clsa_step step;
    uint64_t begin, end; /* positions of the prompt */
    const struct clsa_layer *layer;
    bool tiles;
    size_t stride; /* outputs only, every so many tokens; 0: all, no outputs */
    struct clsa_backend *backend;
    bool refused; /* there are no tiles for it */
};

/* What the prompt is made of: the same for any blocks. -1 .. 1. */
static float value(uint64_t position, uint32_t what, size_t i)
{
    uint64_t x = (position * 31 + what) * UINT64_C(0x9e3779b97f4a7c15) + i;
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 32) * UINT64_C(0x94d049bb133111eb);
    return (float)(x >> 40) / (float)(1 << 23) - 1;
}

static void open_network(struct clsa_network *net, const struct shape *shape)
{
    ck_assert_int_eq(clsa_network_open(net, LAYERS, LAYERS, 1, NULL), CLSA_OK);
    for (uint32_t i = 0; i < LAYERS; i++) {
        const uint32_t from = i == WINDOWED ? WINDOWED : CACHED;
        struct clsa_layer *l = &net->layers[i];
        l->heads = (struct clsa_heads){.heads = shape->kv_heads[from] *
                                                shape->group[from],
                                       .kv_heads = shape->kv_heads[from],
                                       .head_dim = shape->e[from],
                                       .group = shape->group[from]};
        l->store = i;
        l->writes = true;
        l->ffn = 32;
        l->softcap = shape->softcap;
        net->stores[i] = (struct clsa_store_plan){
            .kind = i == WINDOWED ? CLSA_STORE_WINDOW : CLSA_STORE_CACHE,
            .kv_heads = shape->kv_heads[from],
            .head_dim = shape->e[from],
            .window = i == WINDOWED ? shape->window : 0};
    }
    net->hidden = 32;
    net->vocab = 1;
    clsa_network_finish(net);
}

static void open_setting(struct setting *s, const struct shape *shape,
                         const char *level, unsigned threads, uint64_t begin,
                         size_t count)
{
    *s = (struct setting){.begin = begin, .end = begin + count};
    struct clsa_model *m = &s->model;
    clsa_budget_open(&m->budget, 0);
    ck_assert_int_eq(clsa_numa_open(&m->numa, "off", NULL), CLSA_OK);
    ck_assert_int_eq(clsa_team_open(&m->team, threads, m->numa, NULL), CLSA_OK);
    m->simd = clsa_simd_table(level);
    m->native = clsa_backend_native(m->simd, false);
    open_network(&m->net, shape);
    s->session.model = m;
    s->session.context = s->end;
    s->session.prefill_block = (uint32_t)count;
    s->session.policy.type = &clsa_policy_dense;
    const struct clsa_store_options options = {.team = m->team,
                                               .budget = &m->budget,
                                               .kv = shape->kv,
                                               .index = CLSA_TYPE_I8,
                                               .context = s->end,
                                               .block = (uint32_t)count};
    ck_assert_int_eq(
        clsa_stores_open(&s->session.stores, &m->net, &options, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_stores_reserve(&s->session.stores, s->end, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_scratch_reserve(m, count, 1, &s->session, NULL),
                     CLSA_OK);
}

static void close_setting(struct setting *s)
{
    clsa_onednn_close(s->model.onednn);
    clsa_scratch_close(s->model.scratch);
    clsa_stores_close(&s->session.stores);
    clsa_network_close(&s->model.net);
    clsa_team_close(s->model.team);
    clsa_numa_close(s->model.numa);
}

/* K and V of a position to both stores. */
static void write_rows(struct setting *s, uint64_t position)
{
    struct clsa_store *stores = s->session.stores.store;
    const struct clsa_window *window = &stores[WINDOWED].window;
    static float row[2][8 * CLSA_HEAD_DIM_LIMIT];
    for (uint32_t layer = 0; layer < LAST; layer++) {
        const struct clsa_heads *hd = &s->model.net.layers[layer].heads;
        const size_t e = hd->head_dim;
        for (uint32_t v = 0; v < 2; v++)
            for (size_t i = 0; i < hd->kv_heads * e; i++)
                row[v][i] = value(position, 2 * layer + v, i);
        if (layer == CACHED)
            clsa_cache_write(&stores[layer].cache, s->model.simd, position,
                             row[0], row[1], NULL);
        for (int v = 0; layer == WINDOWED && v < 2; v++)
            for (uint32_t h = 0; h < hd->kv_heads; h++)
                memcpy(clsa_window_row(window, v, h, position - window->base),
                       row[v] + h * e, e * sizeof **row);
    }
}

/* Rows of `count` tokens after those that are there. */
static void extend(struct setting *s, uint64_t position, size_t count)
{
    clsa_stores_extend(&s->session.stores, count);
    for (size_t i = 0; i < count; i++)
        write_rows(s, position + i);
}

/* Tokens that run, and the number in the step of the i-th. */
static size_t running(const struct setting *s)
{
    return s->stride ? s->step.m : s->step.n;
}

static size_t number_of(const struct setting *s, size_t i)
{
    return s->stride ? s->step.output[i] : i;
}

/* Queries of the tokens that run, of a layer. */
static void fill_queries(const struct setting *s, uint32_t layer)
{
    const struct clsa_heads *hd = &s->model.net.layers[layer].heads;
    const size_t he = (size_t)hd->heads * hd->head_dim;
    const float scale = 4 / sqrtf((float)hd->head_dim);
    for (size_t t = 0; t < running(s); t++)
        for (size_t i = 0; i < he; i++)
            s->model.scratch->q[t * he + i] =
                scale *
                value(s->step.token[number_of(s, t)].position, 4 + layer, i);
}

static void work(void *context, struct clsa_worker *w)
{
    struct setting *s = context;
    const struct clsa_pass p = {.step = &s->step,
                                .w = w,
                                .model = &s->model,
                                .net = &s->model.net,
                                .simd = s->model.simd,
                                .backend = s->backend,
                                .outputs = s->stride > 0,
                                .n = running(s),
                                .layer = s->layer};
    if (s->backend->onednn)
        clsa_gemm_alone();
    if (!s->tiles)
        clsa_attend(&p);
    else if (!clsa_attend_together(&p) && w->id == 0)
        s->refused = true;
}

/* Attention of the tokens that run in a layer, to theirs of `out` [n][h e]. */
static void attend(struct setting *s, uint32_t layer, float *out)
{
    const struct clsa_act *a = &s->model.scratch->attn_out;
    s->layer = &s->model.net.layers[layer];
    const size_t he = (size_t)s->layer->heads.heads * s->layer->heads.head_dim;
    fill_queries(s, layer);
    clsa_team_run(s->model.team, work, s);
    for (size_t t = 0; t < running(s); t++)
        memcpy(out + number_of(s, t) * he, a->x + t * a->ldx, he * sizeof *out);
}

/* The tokens of the next step. */
static void plan(struct setting *s, uint64_t position, size_t block)
{
    s->step = (struct clsa_step){.model = &s->model,
                                 .token = s->model.scratch->token,
                                 .output = s->model.scratch->output,
                                 .stores = s->backend};
    for (; s->step.n < block && position + s->step.n < s->end; s->step.n++) {
        const uint64_t at = position + s->step.n;
        s->step.token[s->step.n] =
            (struct clsa_step_token){.session = &s->session, .position = at};
        if (s->stride && (at - s->begin) % s->stride == 0)
            s->step.output[s->step.m++] = s->step.n;
    }
}

/* A prompt, in blocks; what both layers attend to, to be freed: [tokens][h e]
   of the one, then of the other, in *values. */
static float *read_prompt(struct setting *s, size_t block, size_t *values)
{
    size_t at[LAST], he[LAST];
    for (uint32_t i = 0; i < LAST; i++) {
        const struct clsa_heads *hd = &s->model.net.layers[i].heads;
        he[i] = (size_t)hd->heads * hd->head_dim;
    }
    at[0] = 0;
    at[1] = (size_t)(s->end - s->begin) * he[0];
    *values = at[1] + (size_t)(s->end - s->begin) * he[1];
    float *out = calloc(*values, sizeof *out);
    for (uint64_t position = 0; position < s->begin; position++)
        extend(s, position, 1);
    for (uint64_t position = s->begin; position < s->end;
         position += s->step.n) {
        plan(s, position, block);
        extend(s, position, s->step.n);
        for (uint32_t i = 0; i < LAST; i++) {
            if (running(s))
                attend(s, i, out + at[i]);
            at[i] += s->step.n * he[i];
        }
    }
    return out;
}

/* Values of a layer in what read_prompt returns come before these. */
static size_t first_of(const struct shape *shape, size_t count)
{
    return count * shape->e[0] * shape->kv_heads[0] * shape->group[0];
}

/* Where a prompt begins, and how many tokens it has: within a part, over the
   end of one, and where caches come to be read in steps. */
static const struct {
    uint64_t begin;
    size_t count;
} prompts[] = {{0, 70}, {250, 20}, {1780, 40}};

#define PROMPTS ((int)(sizeof prompts / sizeof *prompts))

/* ------------------------------------------------------------------ native */

static float *token_by_token(const struct shape *shape, const char *level,
                             int prompt, size_t *n)
{
    struct setting s;
    open_setting(&s, shape, level, 1, prompts[prompt].begin,
                 prompts[prompt].count);
    s.backend = &s.model.native;
    float *out = read_prompt(&s, 1, n);
    close_setting(&s);
    return out;
}

static void check_native(const struct shape *shape, const char *level,
                         int prompt)
{
    static const size_t blocks[] = {70, 17};
    size_t n;
    float *want = token_by_token(shape, level, prompt, &n);
    const size_t first = first_of(shape, prompts[prompt].count);
    for (unsigned i = 0; i < 2; i++) {
        struct setting s;
        open_setting(&s, shape, level, i ? 3 : 2, prompts[prompt].begin,
                     prompts[prompt].count);
        s.backend = &s.model.native;
        s.tiles = true;
        float *got = read_prompt(&s, blocks[i], &n);
        ck_assert(s.refused); /* windows have none */
        size_t j = first;     /* an assertion for each value would take long */
        while (j < n && memcmp(got + j, want + j, sizeof *got) == 0)
            j++;
        ck_assert_msg(j == n, "%s, e %u, group %u, prompt %d: value %zu", level,
                      shape->e[CACHED], shape->group[CACHED], prompt,
                      j - first);
        free(got);
        close_setting(&s);
    }
    free(want);
}

START_TEST(native_gives_the_bits_of_tokens)
{
    for (const char *const *level = clsa_simd_levels(); *level; level++)
        for (int i = 0; i < PROMPTS; i++)
            if (prompts[i].begin < 1000 || strcmp(*level, "ref") != 0)
                check_native(&shapes[_i], *level, i);
}
END_TEST

/* ------------------------------------------------------------------ onednn */

static float *through_onednn(const struct shape *shape, int prompt,
                             enum clsa_prefill prefill, unsigned threads,
                             size_t block, size_t stride)
{
    struct setting s;
    clsa_error error;
    size_t n;
    open_setting(&s, shape, NULL, threads, prompts[prompt].begin,
                 prompts[prompt].count);
    ck_assert_msg(clsa_onednn_reserve(&s.model, prefill, prompts[prompt].count,
                                      false, &error) == CLSA_OK,
                  "%s", error.message);
    s.backend = clsa_onednn_backend(s.model.onednn);
    s.tiles = true;
    s.stride = stride;
    float *out = read_prompt(&s, block, &n);
    ck_assert(!s.refused);
    ck_assert(!clsa_onednn_failed(s.model.onednn));
    close_setting(&s);
    return out;
}

/* Distance of n values, of their size. */
static double distance(const float *a, const float *b, size_t n)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        apart += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(apart / size);
}

static void check_onednn(const struct shape *shape, int prompt,
                         enum clsa_prefill prefill, double bound)
{
    size_t n;
    const size_t first = first_of(shape, prompts[prompt].count);
    float *want = token_by_token(shape, NULL, prompt, &n);
    float *got = through_onednn(shape, prompt, prefill, 1, 70, 0);
    float *other = through_onednn(shape, prompt, prefill, 3, 17, 0);
    const double window = distance(got, want, first);
    const double cache = distance(got + first, want + first, n - first);
    ck_assert_msg(window <= bound && cache <= bound,
                  "e %u and %u, prompt %d, %s: %g and %g apart", shape->e[0],
                  shape->e[1], prompt, clsa_prefill_name(prefill), window,
                  cache);
    ck_assert_msg(memcmp(got, other, n * sizeof *got) == 0,
                  "e %u and %u, prompt %d, %s: blocks show in the bits",
                  shape->e[0], shape->e[1], prompt, clsa_prefill_name(prefill));
    free(want);
    free(got);
    free(other);
}

/* Outputs far apart have the bits of tokens of a block. */
static void check_outputs(const struct shape *shape, int prompt)
{
    enum { STRIDE = 7 };
    const size_t count = prompts[prompt].count;
    float *all = through_onednn(shape, prompt, CLSA_PREFILL_F32, 2, 70, 0);
    float *some =
        through_onednn(shape, prompt, CLSA_PREFILL_F32, 2, 33, STRIDE);
    const float *a = all, *b = some;
    for (uint32_t i = 0; i < LAST; i++) {
        const size_t he =
            (size_t)shape->e[i] * shape->kv_heads[i] * shape->group[i];
        for (size_t t = 0; t < count; t++, a += he, b += he)
            if (t % STRIDE == 0)
                ck_assert_msg(memcmp(a, b, he * sizeof *a) == 0,
                              "e %u, output %zu has other bits", shape->e[i],
                              t);
    }
    free(all);
    free(some);
}

START_TEST(onednn_comes_near)
{
    if (!clsa_gemm_fast(CLSA_GEMM_F32)) {
        SUITE_SKIP("check_tiles onednn_comes_near",
                   "no oneDNN in this build, or slow on this CPU");
        return;
    }
    for (int i = 0; i < PROMPTS; i++) {
        check_onednn(&shapes[_i], i, CLSA_PREFILL_F32, 1e-5);
        if (clsa_gemm_fast(CLSA_GEMM_BF16))
            check_onednn(&shapes[_i], i, CLSA_PREFILL_BF16, 2e-2);
    }
    check_outputs(&shapes[_i], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tiles");
    TCase *tc = tcase_create("tiles");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, native_gives_the_bits_of_tokens, 0, SHAPES);
    tcase_add_loop_test(tc, onednn_comes_near, 0, SHAPES);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
