/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of students, their loss, its derivative, and coverage. Matrices are
 * multiplied by the kernel for float weights, y = x w^T with rows of both
 * contiguous; so what is summed over is turned into rows first, in `*_t`.
 *
 * A work item is a tile of keys, a block of queries, or a tile of the hidden
 * size. z has a row for each head of each query: products, then the derivative
 * of the loss by them.
 */
#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/train/study.h"

#define KEY_TILE    64
#define QUERY_TILE  8
#define HIDDEN_TILE 32
#define ROWS_KEPT   128 /* rows of w that stay in the cache for all columns */

struct clsa_study {
    const struct clsa_model *model;
    size_t n, m; /* that fit */
    float *block;
    size_t block_bytes;

    /* n, m of the lesson, r = m H. */
    float *k, *k_t;                  /* [n][e], [e][n] */
    float *q, *q_t;                  /* [r][e], [e][r] */
    float *w, *w_grad_t;             /* [m][H], [H][m] */
    float *z;                        /* [r][n] */
    float *k_grad_t;                 /* [e][n] */
    float *q_grad_t;                 /* [H e][m] */
    float *score;                    /* [m][n] of H > 1 */
    double *loss, *mass;             /* [m] */
    double *found, *best, *far_mass; /* [m] of coverage */
    float *own;                      /* [threads][own_floats] */
    size_t own_floats;
    uint64_t *ranks; /* [threads][2][n] */
};

/* What the threads are to do. */
struct task {
    struct clsa_study *study;
    const struct clsa_student *s, *gradient;
    const struct clsa_lesson *l;
    const struct clsa_far *far;
    double total; /* far mass of the lesson */
    float share;
    size_t rows;
};

/* ------------------------------------------------------------------ memory */

static size_t lay_out(struct clsa_study *t, const struct clsa_student *s)
{
    struct clsa_arena c = {t->block, 0};
    const size_t f = sizeof(float), d = sizeof(double);
    const size_t threads = clsa_team_size(t->model->team);
    const size_t n = t->n, m = t->m, e = s->e, h = s->heads, r = m * h;
    t->own_floats =
        clsa_max(KEY_TILE * (r + e), HIDDEN_TILE * (clsa_max(n, m) + h * e));
    t->k = clsa_arena_take(&c, n * e, f);
    t->k_t = clsa_arena_take(&c, n * e, f);
    t->q = clsa_arena_take(&c, r * e, f);
    t->q_t = clsa_arena_take(&c, r * e, f);
    t->w = clsa_arena_take(&c, r, f);
    t->w_grad_t = clsa_arena_take(&c, r, f);
    t->z = clsa_arena_take(&c, r * n, f);
    t->k_grad_t = clsa_arena_take(&c, n * e, f);
    t->q_grad_t = clsa_arena_take(&c, r * e, f);
    t->score = clsa_arena_take(&c, m * n, f);
    t->loss = clsa_arena_take(&c, m, d);
    t->mass = clsa_arena_take(&c, m, d);
    t->found = clsa_arena_take(&c, m, d);
    t->best = clsa_arena_take(&c, m, d);
    t->far_mass = clsa_arena_take(&c, m, d);
    t->own = clsa_arena_take(&c, threads * t->own_floats, f);
    t->ranks = clsa_arena_take(&c, threads * 2 * n, sizeof *t->ranks);
    return c.used;
}

clsa_status clsa_study_open(struct clsa_study **study,
                            const struct clsa_model *model, size_t n, size_t m,
                            const struct clsa_student *sizes, clsa_error *error)
{
    struct clsa_study *t = clsa_mem_calloc(1, sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "training", sizeof *t);
    *t = (struct clsa_study){.model = model, .n = n, .m = m};
    t->block_bytes = lay_out(t, sizes);
    if (!(t->block = clsa_mem_map(t->block_bytes))) {
        clsa_fail_memory(error, "training", t->block_bytes);
        clsa_mem_free(t);
        return CLSA_ERR_MEMORY;
    }
    lay_out(t, sizes);
    *study = t;
    return CLSA_OK;
}

void clsa_study_close(struct clsa_study *t)
{
    if (!t)
        return;
    clsa_mem_unmap(t->block, t->block_bytes);
    clsa_mem_free(t);
}

/* ---------------------------------------------------------------- products */

/* A product: y [columns][ldy] = x [columns][len] . w [rows][len]^T. */
struct product {
    float *y;
    size_t ldy;
    const float *x, *w;
    size_t columns, rows, len;
};

static void multiply(const struct task *t, const struct clsa_worker *w,
                     const struct product *p)
{
    float *x = (float *)(uintptr_t)p->x; /* which matmul only reads */
    const struct clsa_act act = {.n = p->columns,
                                 .len = p->len,
                                 .ldx = p->len,
                                 .x = x,
                                 .scratch = w->scratch};
    for (size_t i = 0; i < p->rows; i += ROWS_KEPT)
        t->study->model->simd->matmul[CLSA_F32](
            p->y + i, p->ldy, p->w + i * p->len,
            clsa_min(p->rows - i, ROWS_KEPT), &act);
}

/* to [cols][ldto] = from [rows][ldfrom]^T */
static void transpose(float *to, size_t ldto, const float *from, size_t ldfrom,
                      size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            to[j * ldto + i] = from[i * ldfrom + j];
}

static float *own_of(const struct task *t, const struct clsa_worker *w)
{
    return t->study->own + w->id * t->study->own_floats;
}

/* ------------------------------------------------------------------ scores */

/* Keys of a tile. */
static void make_keys(const struct task *t, const struct clsa_worker *w,
                      size_t tile)
{
    const struct clsa_student *s = t->s;
    const size_t first = tile * KEY_TILE;
    const size_t count = clsa_min(t->l->n - first, KEY_TILE);
    float *k = t->study->k + first * s->e;
    multiply(t, w,
             &(struct product){k, s->e, t->l->x + first * s->d, s->k, count,
                               s->e, s->d});
    transpose(t->study->k_t + first, t->l->n, k, s->e, count, s->e);
}

/* Queries of a block, and the weights of their heads. */
static void make_queries(const struct task *t, const struct clsa_worker *w,
                         size_t tile)
{
    const struct clsa_student *s = t->s;
    const size_t first = tile * QUERY_TILE, h = s->heads;
    const size_t count = clsa_min(t->l->m - first, QUERY_TILE);
    const float *x = t->l->queries + first * s->d;
    float *q = t->study->q + first * h * s->e, *weights = t->study->w;
    multiply(t, w,
             &(struct product){q, h * s->e, x, s->q, count, h * s->e, s->d});
    transpose(t->study->q_t + first * h, t->l->m * h, q, s->e, count * h, s->e);
    if (h == 1)
        return;
    multiply(
        t, w,
        &(struct product){weights + first * h, h, x, s->w, count, h, s->d});
    for (size_t i = 0; i < count * h; i++)
        weights[first * h + i] += s->b[i % h];
}

static void make_both(const struct task *t, struct clsa_worker *w)
{
    struct clsa_loop loop = clsa_loop_open(w);
    clsa_loop_add(&loop, (t->l->n + KEY_TILE - 1) / KEY_TILE);
    clsa_loop_add(&loop, (t->l->m + QUERY_TILE - 1) / QUERY_TILE);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            if (loop.part == 0)
                make_keys(t, w, i);
            else
                make_queries(t, w, i);
}

/* z of the queries of a block, over the rows that any of them looks at. */
static void make_products(const struct task *t, const struct clsa_worker *w,
                          size_t first, size_t count)
{
    const struct clsa_study *u = t->study;
    const size_t h = t->s->heads, e = t->s->e, n = t->l->n;
    const size_t end = clsa_far_end(t->far, t->l->position[first + count - 1]);
    multiply(t, w,
             &(struct product){u->z + first * h * n, n, u->q + first * h * e,
                               u->k, count * h, end, e});
}

/* Scores of query i over rows begin .. end - 1, in place for one head. */
static float *sum_heads(const struct task *t, size_t i, size_t begin,
                        size_t end)
{
    const size_t h = t->s->heads, n = t->l->n;
    const float *z = t->study->z + i * h * n, *w = t->study->w + i * h;
    float *score = t->study->score + i * n;
    if (h == 1)
        return t->study->z + i * n;
    memset(score + begin, 0, (end - begin) * sizeof *score);
    for (size_t j = 0; j < h; j++, z += n)
        for (size_t s = begin; s < end; s++)
            score[s] += w[j] * (z[s] > 0 ? z[s] : 0);
    return score;
}

/* -------------------------------------------------------------------- loss */

static double sum_of(const float *x, size_t begin, size_t end)
{
    double sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += (double)x[i];
    return sum;
}

/* p of query i becomes the derivative of its loss by the scores, times its part
   of the lesson's. Returns KL(P || p). */
static double compare(const struct task *t, size_t i, float *p, size_t begin,
                      size_t end)
{
    const float *target = t->l->target + i * t->l->n;
    const double mass = t->study->mass[i];
    const float scale = 1 / t->study->model->simd->softmax(p + begin, p + begin,
                                                           end - begin, 1);
    const float by = (float)(mass / t->total) * t->share;
    const float inverse = (float)(1 / mass);
    double loss = 0;
    for (size_t s = begin; s < end; s++) {
        const float q = p[s] * scale, want = target[s] * inverse;
        if (want > 0)
            loss += (double)(want * logf(want / fmaxf(q, 1e-30f)));
        p[s] = by * (q - want);
    }
    return loss;
}

/* Derivatives by the products of the heads, and by their weights. */
static void split_heads(const struct task *t, size_t i, const float *g,
                        size_t begin, size_t end)
{
    const size_t h = t->s->heads, n = t->l->n;
    const float *w = t->study->w + i * h;
    float *z = t->study->z + i * h * n;
    for (size_t j = 0; j < h; j++, z += n) {
        float sum = 0;
        for (size_t s = begin; s < end; s++) {
            const float open = z[s] > 0 ? g[s] : 0;
            sum += open * z[s];
            z[s] = open * w[j];
        }
        t->study->w_grad_t[j * t->l->m + i] = sum;
    }
}

/* Rows of z of query i have nothing outside of the far rows. */
static void clear_others(const struct task *t, size_t i, size_t begin,
                         size_t end)
{
    const size_t h = t->s->heads, n = t->l->n;
    float *z = t->study->z + i * h * n;
    for (size_t j = 0; j < h; j++, z += n) {
        memset(z, 0, begin * sizeof *z);
        memset(z + end, 0, (n - end) * sizeof *z);
    }
}

static void compare_query(const struct task *t, size_t i)
{
    const size_t begin = t->far->sinks;
    const size_t end = clsa_far_end(t->far, t->l->position[i]);
    struct clsa_study *u = t->study;
    const bool none = end == begin || u->mass[i] <= 0;
    u->loss[i] = 0;
    if (!none) {
        float *p = sum_heads(t, i, begin, end);
        u->loss[i] = compare(t, i, p, begin, end);
        if (t->s->heads > 1)
            split_heads(t, i, p, begin, end);
    } else if (t->s->heads > 1) {
        for (size_t j = 0; j < t->s->heads; j++)
            u->w_grad_t[j * t->l->m + i] = 0;
    }
    clear_others(t, i, none ? 0 : begin, none ? 0 : end);
}

/* A block of queries: loss, and derivatives by z and by the queries. */
static void compare_block(const struct task *t, const struct clsa_worker *w,
                          size_t block)
{
    const struct clsa_study *u = t->study;
    const size_t first = block * QUERY_TILE, h = t->s->heads, e = t->s->e;
    const size_t count = clsa_min(t->l->m - first, QUERY_TILE), n = t->l->n;
    float *grad = own_of(t, w);
    make_products(t, w, first, count);
    for (size_t i = first; i < first + count; i++)
        compare_query(t, i);
    multiply(t, w,
             &(struct product){grad, e, u->z + first * h * n, u->k_t, count * h,
                               e, n});
    transpose(u->q_grad_t + first, t->l->m, grad, h * e, count, h * e);
}

/* ------------------------------------------------------------- derivatives */

/* By the keys of a tile. */
static void key_gradient(const struct task *t, const struct clsa_worker *w,
                         size_t tile)
{
    const struct clsa_study *u = t->study;
    const size_t first = tile * KEY_TILE, n = t->l->n, e = t->s->e;
    const size_t count = clsa_min(n - first, KEY_TILE),
                 r = t->l->m * t->s->heads;
    float *z_t = own_of(t, w), *grad = z_t + KEY_TILE * r;
    transpose(z_t, r, u->z + first, n, r, count);
    multiply(t, w, &(struct product){grad, e, z_t, u->q_t, count, e, r});
    transpose(u->k_grad_t + first, n, grad, e, count, e);
}

/* to [rows][d] += the sum over c columns of g_t [rows][c] times x [c][d], in
   `count` columns from `first` on. */
struct outer {
    float *to;
    const float *g_t, *x;
    size_t rows, c, d;
};

static void add_outer(const struct task *t, const struct clsa_worker *w,
                      const struct outer *o, size_t first, size_t count)
{
    float *x_t = own_of(t, w), *sum = x_t + HIDDEN_TILE * o->c;
    transpose(x_t, o->c, o->x + first, o->d, o->c, count);
    multiply(t, w,
             &(struct product){sum, count, o->g_t, x_t, o->rows, count, o->c});
    for (size_t i = 0; i < o->rows; i++)
        for (size_t j = 0; j < count; j++)
            o->to[i * o->d + first + j] += sum[i * count + j];
}

/* By the values of the student in a tile of the hidden size. */
static void value_gradient(const struct task *t, const struct clsa_worker *w,
                           size_t tile)
{
    const struct clsa_study *u = t->study;
    const struct clsa_student *g = t->gradient;
    const struct clsa_lesson *l = t->l;
    const size_t d = t->s->d, h = t->s->heads, e = t->s->e;
    const size_t first = tile * HIDDEN_TILE;
    const size_t count = clsa_min(d - first, HIDDEN_TILE);
    const struct outer by_k = {g->k, u->k_grad_t, l->x, e, l->n, d};
    const struct outer by_q = {g->q, u->q_grad_t, l->queries, h * e, l->m, d};
    const struct outer by_w = {g->w, u->w_grad_t, l->queries, h, l->m, d};
    add_outer(t, w, &by_k, first, count);
    add_outer(t, w, &by_q, first, count);
    if (h > 1)
        add_outer(t, w, &by_w, first, count);
    for (size_t j = 0; h > 1 && tile == 0 && j < h; j++)
        g->b[j] += (float)sum_of(u->w_grad_t + j * l->m, 0, l->m);
}

/* ------------------------------------------------------------------- calls */

static void study(void *context, struct clsa_worker *w)
{
    const struct task *t = context;
    make_both(t, w);
    struct clsa_loop loop =
        clsa_loop(w, (t->l->m + QUERY_TILE - 1) / QUERY_TILE);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            compare_block(t, w, i);
    loop = clsa_loop(w, (t->l->n + KEY_TILE - 1) / KEY_TILE);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            key_gradient(t, w, i);
    loop = clsa_loop(w, (t->s->d + HIDDEN_TILE - 1) / HIDDEN_TILE);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            value_gradient(t, w, i);
}

double clsa_study_loss(struct clsa_study *u, const struct clsa_student *s,
                       const struct clsa_lesson *l, const struct clsa_far *far,
                       float share, const struct clsa_student *gradient)
{
    struct task t = {.study = u,
                     .s = s,
                     .gradient = gradient,
                     .l = l,
                     .far = far,
                     .share = share};
    double loss = 0;
    for (size_t i = 0; i < l->m; i++) {
        u->mass[i] = sum_of(l->target + i * l->n, far->sinks,
                            clsa_far_end(far, l->position[i]));
        t.total += u->mass[i];
    }
    if (t.total <= 0)
        return 0;
    clsa_team_run(u->model->team, study, &t);
    for (size_t i = 0; i < l->m; i++)
        loss += u->mass[i] / t.total * u->loss[i];
    return loss;
}

/* ---------------------------------------------------------------- coverage */

/* Target in the k rows of begin .. end - 1 that have the most of `by`. */
static double best_rows(const struct task *t, const struct clsa_worker *w,
                        size_t i, const float *by, size_t end)
{
    const size_t begin = t->far->sinks, n = t->study->n;
    uint64_t *ranks = t->study->ranks + w->id * 2 * n;
    double sum = 0;
    for (size_t s = begin; s < end; s++)
        ranks[s - begin] = clsa_rank(by[s], (uint32_t)s);
    const size_t k =
        t->study->model->simd->topk(ranks, end - begin, t->rows, ranks + n);
    for (size_t j = 0; j < k; j++)
        sum += (double)t->l->target[i * t->l->n + clsa_rank_position(ranks[j])];
    return sum;
}

static void cover_query(const struct task *t, const struct clsa_worker *w,
                        size_t i)
{
    const float *target = t->l->target + i * t->l->n;
    const size_t begin = t->far->sinks;
    const size_t end = clsa_far_end(t->far, t->l->position[i]);
    struct clsa_study *u = t->study;
    u->found[i] = u->best[i] = 0;
    u->far_mass[i] = sum_of(target, begin, end);
    if (end == begin)
        return;
    u->found[i] = best_rows(t, w, i, sum_heads(t, i, begin, end), end);
    u->best[i] = best_rows(t, w, i, target, end);
}

static void cover(void *context, struct clsa_worker *w)
{
    const struct task *t = context;
    make_both(t, w);
    struct clsa_loop loop =
        clsa_loop(w, (t->l->m + QUERY_TILE - 1) / QUERY_TILE);
    while (clsa_loop_next(&loop))
        for (size_t b = loop.begin; b < loop.end; b++) {
            const size_t first = b * QUERY_TILE;
            const size_t count = clsa_min(t->l->m - first, QUERY_TILE);
            make_products(t, w, first, count);
            for (size_t i = first; i < first + count; i++)
                cover_query(t, w, i);
        }
}

void clsa_study_cover(struct clsa_study *u, const struct clsa_student *s,
                      const struct clsa_lesson *l, const struct clsa_far *far,
                      size_t rows, struct clsa_coverage *sum)
{
    struct task t = {.study = u, .s = s, .l = l, .far = far, .rows = rows};
    clsa_team_run(u->model->team, cover, &t);
    for (size_t i = 0; i < l->m; i++) {
        sum->far += u->far_mass[i];
        sum->found += u->found[i];
        sum->best += u->best[i];
    }
}
