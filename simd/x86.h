/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86.h: what the levels on x86 share: inlining, prefetches and fences, the
 * order of sums of block products, and the kernels that an upper level falls
 * back to. Private to simd/avx2 and simd/avx512.
 *
 * Helpers of a level's headers are named <level>_<what>, functions with
 * external linkage clsa_<operation>_<level>.
 */
#ifndef CLSA_X86_H
#define CLSA_X86_H

#include <immintrin.h>
#include <stdbool.h>

#include "simd/simd.h"

/* Always inlined with constant shapes and formats, so that arrays of vectors
   become registers. */
#define INLINE static inline __attribute__((always_inline))

/* Loops over register arrays have to disappear; -O2 does it only if told. */
#ifdef __clang__
#define UNROLL   _Pragma("clang loop unroll(full)")
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL   _Pragma("GCC unroll 16")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

/* The vector v is computed, and no memory access is moved across. */
#define PIN(v) __asm__ volatile("" : "+v"(v) : : "memory")

/* No memory access is moved across. Tile loads of GCC 12 do not say that they
   read memory, nor loads of a tile configuration that they read all of it. */
#define FENCE __asm__ volatile("" ::: "memory")

/*
 * Prefetches of one line, at this very place among what is pinned: compilers
 * gather prefetches that they may move, and in a row they wait for each other.
 */
INLINE void prefetch_l1(const void *p)
{
    __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)p));
}

/* For what is used much later: with hint T0 random rows came at half the
   speed. */
INLINE void prefetch_l2(const void *p)
{
    __asm__ volatile("prefetcht1 %0" : : "m"(*(const char *)p));
}

/* To be written. */
INLINE void prefetch_write(void *p)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(char *)p));
}

/*
 * The products of Q8_0 and Q4_0 are summed in octets of blocks: fma(d_w * d_a,
 * (float)isum, sum) from 0 on with the exact integer sum of each block, and the
 * octets of a row are added in ascending order. A longer chain of FMAs would
 * limit one column. All levels do the same and give the same bits.
 */
#define OCTET 8 /* blocks of CLSA_BLOCK values */

/* The sum of eight lanes, in the order of all levels. */
INLINE float avx2_sum(__m256 v)
{
    __m128 s =
        _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* -------------------------------------- kernels that upper levels fall back to
 */

typedef void clsa_matmul_kernel(float *y, size_t ldy, const void *w,
                                size_t rows, const struct clsa_act *a);

clsa_matmul_kernel clsa_kernel_matmul_q8_0_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q4_0_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q2_k_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q3_k_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q4_1_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q4_k_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q5_0_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q5_1_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q5_k_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q6_k_avx2;
clsa_matmul_kernel clsa_kernel_matmul_iq4_nl_avx2;
clsa_matmul_kernel clsa_kernel_matmul_iq4_xs_avx2;
clsa_matmul_kernel clsa_kernel_matmul_q8_0_avx512;
clsa_matmul_kernel clsa_kernel_matmul_q4_0_avx512;
clsa_matmul_kernel clsa_kernel_matmul_q8_0_avx512vnni;
clsa_matmul_kernel clsa_kernel_matmul_q4_0_avx512vnni;

void clsa_kernel_scan_bf16_avx512(float *score, const uint16_t *key, size_t n,
                                  size_t len,
                                  const struct clsa_index_query *query);

#endif /* CLSA_X86_H */
