/* SPDX-License-Identifier: Apache-2.0 */
/* gemm: what oneDNN reaches on this machine. */
#ifndef CLSA_BENCH_GEMM_H
#define CLSA_BENCH_GEMM_H

#include "simd/gemm.h"

/* GFLOP/s of 512 tokens with 8192 x 2048 weights; 0 where oneDNN does not make
   this product. */
double bench_gemm(enum clsa_gemm_type type, unsigned threads);

#endif /* CLSA_BENCH_GEMM_H */
