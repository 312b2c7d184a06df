/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products by the kernels of simd/, with weights as they lie in the file. A
 * work item is CLSA_SHARE_ROWS rows of W for all tokens.
 */
#include <string.h>

#include "src/base/minmax.h"
#include "src/engine/attention.h"

/* Tokens that kernels take at once; with more, this many rows are multiplied
   at a time: 272 KiB of Q8_0 with 2048 columns stay in the cache. */
#define FEW_TOKENS 16
#define ROWS_KEPT  128

/* Fine activations: tokens of a call if there are more than FEW_TOKENS, and
   room for the results of both planes, after the kernels' scratch. */
#define FINE_TOKENS 64
#define FINE_FLOATS                                                            \
    ((CLSA_WORKER_SCRATCH - CLSA_KERNEL_SCRATCH) / sizeof(float))

_Static_assert(2 * FINE_TOKENS * ROWS_KEPT <= FINE_FLOATS, "team.h");

/* Values of a column as blocks to q, d and sum of column c. */
static void quantize(const struct clsa_backend *b, const struct clsa_act *x,
                     size_t c, size_t begin, const float *from, size_t n)
{
    const size_t at = begin / CLSA_BLOCK * x->ldd + c;
    b->simd->quantize(x->q + c * x->ldq + begin, x->d + at, x->sum + at, x->ldd,
                      from, n);
}

/* Token t as columns 2t and 2t + 1: the second one is what rounding takes from
   the first one. */
static void quantize_fine(const struct clsa_backend *b,
                          const struct clsa_act *x, size_t t, size_t begin,
                          size_t end)
{
    float rest[CLSA_K_BLOCK];
    const size_t c = 2 * t;
    for (size_t i = begin, n; i < end; i += n) {
        const float *from = x->x + t * x->ldx + i;
        const int8_t *q = x->q + c * x->ldq + i;
        const float *d = x->d + i / CLSA_BLOCK * x->ldd + c;
        n = clsa_min(end - i, CLSA_K_BLOCK);
        quantize(b, x, c, i, from, n);
        for (size_t j = 0; j < n; j++)
            rest[j] = from[j] - d[j / CLSA_BLOCK * x->ldd] * (float)q[j];
        quantize(b, x, c + 1, i, rest, n);
    }
}

static void prepare(struct clsa_backend *b, const struct clsa_act *x, size_t t,
                    size_t begin, size_t end, bool blocks)
{
    if (blocks && b->fine)
        quantize_fine(b, x, t, begin, end);
    else if (blocks)
        quantize(b, x, t, begin, x->x + t * x->ldx + begin, end - begin);
}

static const char *row_of(const struct clsa_matrix *m, size_t row)
{
    return (const char *)m->data + row * clsa_format_bytes(m->format, m->cols);
}

/* Rows of W from `row` on, for tokens t.. of which `mine` has the columns, two
   for each token: their sum is the product. */
static void multiply_fine(const struct clsa_backend *b,
                          const struct clsa_product *p, size_t row, size_t rows,
                          const struct clsa_act *mine, size_t t)
{
    float *sum = (float *)((char *)mine->scratch + CLSA_KERNEL_SCRATCH);
    b->simd->matmul[p->matrix->format](sum, rows, row_of(p->matrix, row), rows,
                                       mine);
    for (size_t c = 0; c < mine->n; c += 2, t++) {
        b->simd->add(sum + c * rows, sum + (c + 1) * rows, rows);
        memcpy(p->y + t * p->ld + row, sum + c * rows, rows * sizeof *sum);
    }
}

/* Rows begin..end - 1 of a product with fine activations. */
static void multiply_rows_fine(const struct clsa_backend *b,
                               const struct clsa_worker *w,
                               const struct clsa_product *p,
                               const struct clsa_act *x, size_t begin,
                               size_t end)
{
    const bool few = x->n <= FEW_TOKENS;
    const size_t rows = few ? FINE_FLOATS / (2 * FEW_TOKENS) : ROWS_KEPT;
    struct clsa_act mine = *x;
    mine.scratch = w->scratch;
    for (size_t i = begin; i < end; i += rows)
        for (size_t t = 0; t < x->n; t += FINE_TOKENS) {
            mine.n = 2 * clsa_min(x->n - t, FINE_TOKENS);
            mine.q = x->q + 2 * t * x->ldq;
            mine.d = x->d + 2 * t;
            mine.sum = x->sum + 2 * t;
            multiply_fine(b, p, i, clsa_min(end - i, rows), &mine, t);
        }
}

/* Rows begin..end - 1 of a product. */
static void multiply_rows(const struct clsa_backend *b,
                          const struct clsa_worker *w,
                          const struct clsa_product *p,
                          const struct clsa_act *x, size_t begin, size_t end)
{
    const struct clsa_matrix *m = p->matrix;
    struct clsa_act mine = *x;
    mine.scratch = w->scratch;
    if (b->fine && clsa_wants_blocks(m)) {
        multiply_rows_fine(b, w, p, x, begin, end);
        return;
    }
    /* Few tokens: all rows, as tokens are packed for each call. */
    const size_t step = x->n > FEW_TOKENS ? ROWS_KEPT : end - begin;
    for (size_t i = begin; i < end; i += step) {
        size_t rows = end - i < step ? end - i : step;
        b->simd->matmul[m->format](p->y + i, p->ld, row_of(m, i), rows, &mine);
    }
}

static void multiply(struct clsa_backend *b, const struct clsa_worker *w,
                     const struct clsa_product *products, unsigned count,
                     const struct clsa_act *x)
{
    struct clsa_loop loop = clsa_loop_open(w);
    for (unsigned i = 0; i < count; i++)
        clsa_loop_add(&loop, clsa_row_items(products[i].matrix->rows));
    while (clsa_loop_next(&loop)) {
        const struct clsa_product *p = &products[loop.part];
        clsa_item_rows(p->matrix->rows, &loop.begin, &loop.end);
        multiply_rows(b, w, p, x, loop.begin, loop.end);
    }
}

static void multiply_add(struct clsa_backend *b, const struct clsa_worker *w,
                         const struct clsa_product *product,
                         const struct clsa_act *x, float *sum)
{
    const size_t rows = product->matrix->rows, ld = product->ld;
    struct clsa_loop loop = clsa_loop(w, clsa_row_items(rows));
    while (clsa_loop_next(&loop)) {
        clsa_item_rows(rows, &loop.begin, &loop.end);
        multiply_rows(b, w, product, x, loop.begin, loop.end);
        for (size_t t = 0; t < x->n; t++)
            b->simd->add(sum + t * ld + loop.begin,
                         product->y + t * ld + loop.begin,
                         loop.end - loop.begin);
    }
}

static void gated(struct clsa_backend *b, const struct clsa_pass *p,
                  const struct clsa_layer *layer, const struct clsa_act *x,
                  const struct clsa_act *inner)
{
    const struct clsa_scratch *s = p->model->scratch;
    const size_t f = layer->ffn;
    const struct clsa_product gate = {&layer->gate, s->gate, f};
    const struct clsa_product up = {&layer->up, s->up, f};
    struct clsa_loop loop = clsa_loop(p->w, clsa_row_items(f));
    while (clsa_loop_next(&loop)) {
        size_t begin = loop.begin, end = loop.end;
        clsa_item_rows(f, &begin, &end);
        multiply_rows(b, p->w, &gate, x, begin, end);
        multiply_rows(b, p->w, &up, x, begin, end);
        for (size_t t = 0; t < inner->n; t++) {
            clsa_apply_gate(b->simd, layer, begin, end - begin,
                            inner->x + t * inner->ldx + begin,
                            s->gate + t * f + begin, s->up + t * f + begin);
            prepare(b, inner, t, begin, end, clsa_wants_blocks(&layer->down));
        }
    }
}

struct clsa_backend clsa_backend_native(const struct clsa_simd *simd, bool fine)
{
    return (struct clsa_backend){
        .simd = simd,
        .fine = fine,
        .prepare = prepare,
        .multiply = multiply,
        .multiply_add = multiply_add,
        .gated = gated,
        .attend = clsa_attend_tiles,
    };
}
