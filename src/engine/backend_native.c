/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products by the kernels of simd/, with weights as they lie in the file. A
 * work item is CLSA_SHARE_ROWS rows of W for all tokens.
 */
#include "src/engine/attention.h"

/* Tokens that kernels take at once; with more, this many rows are multiplied
   at a time: 272 KiB of Q8_0 with 2048 columns stay in the cache. */
#define FEW_TOKENS 16
#define ROWS_KEPT  128

static void prepare(struct clsa_backend *b, const struct clsa_act *x, size_t t,
                    size_t begin, size_t end, bool blocks)
{
    const size_t at = begin / CLSA_BLOCK * x->ldd + t;
    if (blocks)
        b->simd->quantize(x->q + t * x->ldq + begin, x->d + at, x->sum + at,
                          x->ldd, x->x + t * x->ldx + begin, end - begin);
}

/* Rows begin..end - 1 of a product. */
static void multiply_rows(const struct clsa_backend *b,
                          const struct clsa_worker *w,
                          const struct clsa_product *p,
                          const struct clsa_act *x, size_t begin, size_t end)
{
    const struct clsa_matrix *m = p->matrix;
    const size_t row_bytes = clsa_format_bytes(m->format, m->cols);
    struct clsa_act mine = *x;
    mine.scratch = w->scratch;
    /* Few tokens: all rows, as tokens are packed for each call. */
    const size_t step = x->n > FEW_TOKENS ? ROWS_KEPT : end - begin;
    for (size_t i = begin; i < end; i += step) {
        size_t rows = end - i < step ? end - i : step;
        b->simd->matmul[m->format](p->y + i, p->ld,
                                   (const char *)m->data + i * row_bytes, rows,
                                   &mine);
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

struct clsa_backend clsa_backend_native(const struct clsa_simd *simd)
{
    return (struct clsa_backend){
        .simd = simd,
        .prepare = prepare,
        .multiply = multiply,
        .multiply_add = multiply_add,
        .gated = gated,
        .attend = clsa_attend_tiles,
    };
}
