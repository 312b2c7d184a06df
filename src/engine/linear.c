/* SPDX-License-Identifier: Apache-2.0 */
#include "src/engine/linear.h"
#include "src/engine/products.h"

void clsa_linear(const struct clsa_worker *worker, const struct clsa_simd *simd,
                 const struct clsa_matrix *w, const struct clsa_act *x,
                 float *y, size_t ldy)
{
    size_t begin, end;
    size_t row_bytes = clsa_format_bytes(w->format, w->cols);
    if (x->form) {
        clsa_product(worker, w, x, y, ldy, false);
        return;
    }
    clsa_share_rows(worker, w->rows, &begin, &end);
    /* Many columns: some rows at a time, which stay in the cache while the
       columns pass by. Few: all of them, as columns are packed for each call.
     */
    size_t step = x->n > CLSA_LINEAR_FEW ? CLSA_LINEAR_STAY : end - begin;
    for (size_t i = begin; i < end; i += step) {
        size_t rows = end - i < step ? end - i : step;
        simd->matmul[w->format](y + i, ldy,
                                (const char *)w->data + i * row_bytes, rows, x);
    }
}

void clsa_linear_add(const struct clsa_worker *worker,
                     const struct clsa_simd *simd, const struct clsa_matrix *w,
                     const struct clsa_act *x, float *y, size_t ldy, float *sum,
                     size_t lds)
{
    size_t begin, end;
    if (x->form) {
        clsa_product(worker, w, x, sum, lds, true);
        return;
    }
    clsa_linear(worker, simd, w, x, y, ldy);
    clsa_share_rows(worker, w->rows, &begin, &end);
    for (size_t c = 0; c < x->n; c++)
        simd->add(sum + c * lds + begin, y + c * ldy + begin, end - begin);
}
