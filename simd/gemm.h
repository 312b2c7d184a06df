/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm: products of two matrices through oneDNN, the only file that knows it,
 * in its versions 2 and 3. Used by the engine for blocks of tokens, and by
 * the benchmarks for the rate that oneDNN reaches.
 *
 *   y [m][n] = x [m][k] * w [n][k]^T       rows contiguous
 *
 *   type   x                  w          y
 *   f32    float              float      float
 *   bf16   bfloat16           bfloat16   float
 *   int8   bytes 0..255       int8       int32, exact
 *
 * Exact is what int8 gives within +-clsa_gemm_limit for w: without VNNI pairs
 * of products are added in 16 bits, and there w has to be smaller. For f32
 * and bf16 oneDNN chooses the order of a sum: the same for every row of x
 * and w in a product of the same m, n and k.
 */
#ifndef CLSA_GEMM_H
#define CLSA_GEMM_H

#include <stddef.h>

enum clsa_gemm_type {
    CLSA_GEMM_F32,
    CLSA_GEMM_BF16,
    CLSA_GEMM_INT8,
    CLSA_GEMM_TYPES
};

struct clsa_gemm;

/* 1 when the build has oneDNN, and the CPU instructions for the type that make
   it faster than the kernels of simd.h. */
int clsa_gemm_fast(enum clsa_gemm_type type);

/* What the system refuses to oneDNN, so that there are no products. */
enum clsa_gemm_refusal {
    CLSA_GEMM_ALLOWED, /* also where the build has no oneDNN */
    CLSA_GEMM_NO_CODE, /* memory that is written and then executed */
    CLSA_GEMM_NO_ROOM  /* memory for its own objects */
};
enum clsa_gemm_refusal clsa_gemm_refusal(void);

/* 1 when bf16 products have tiles of their own in the CPU (AMX), which are
   many times as fast as f32 ones. */
int clsa_gemm_tiled_bf16(void);

/* Bytes of a value of x and w. */
size_t clsa_gemm_size(enum clsa_gemm_type type);

/* How clsa_gemm_pack gets w: its rows, [n][k], or its columns, [k][n]. */
enum clsa_gemm_order { CLSA_GEMM_ROWS, CLSA_GEMM_COLUMNS };

/*
 * Make a product. `workers` threads may run it at the same time, each with
 * its own number, and oneDNN uses `threads` for each.
 * @return NULL where oneDNN has none, refuses, or has no memory
 */
struct clsa_gemm *clsa_gemm_open(enum clsa_gemm_type type, size_t m, size_t n,
                                 size_t k, enum clsa_gemm_order order,
                                 unsigned workers, unsigned threads);
void clsa_gemm_close(struct clsa_gemm *gemm);

/* Largest |w| of int8 for which the sums of this product are exact: 127, or
   64. A test product decides. */
int clsa_gemm_limit(const struct clsa_gemm *gemm);

/* Bytes of w in the form that the product reads. The same for every m. */
size_t clsa_gemm_bytes(const struct clsa_gemm *gemm);

/* Brings w, in the order of the product, into that form.
   @return 0, or -1: refused, no memory */
int clsa_gemm_pack(const struct clsa_gemm *gemm, unsigned worker, void *to,
                   const void *w);

/* y = x * w^T, w packed. @return 0, or -1: refused, no memory */
int clsa_gemm_run(const struct clsa_gemm *gemm, unsigned worker, void *y,
                  const void *x, const void *w);

/* Call it first in a thread of one's own parallel region: oneDNN then stays
   in this thread, even if the region has no other. */
void clsa_gemm_alone(void);

#endif /* CLSA_GEMM_H */
