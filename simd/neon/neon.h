/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neon.h: what the AArch64 kernels share: loads of the row formats as floats,
 * sums over lanes, partial vectors, exp, and the list of kernel families.
 *
 * Four levels stand on each other: neon (ARMv8.0, from Cortex-A53 on),
 * neon_dotprod (sdot), neon_i8mm (smmla) and neon_bf16 (bfdot). Files of the
 * upper three end in _dotprod.c, _i8mm.c and _bf16.c and are compiled with
 * their own flags; this header uses ARMv8.0 only.
 *
 * Ends of rows are never read past: the last values are copied into a zeroed
 * buffer, since zeros add nothing to a sum.
 */
#ifndef CLSA_NEON_H
#define CLSA_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/simd.h"

/* Templates: `format`, widths and counts become constants of each instance. */
#define INLINE static inline __attribute__((always_inline))

/* Arrays of vectors live in registers only if their loops are unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * Tuning. Chosen for the latency of DRAM (about 150 ns) and the bytes that a
 * little core eats meanwhile; emulated only, not measured on hardware.
 */
#define NEON_AHEAD   256 /* bytes of a weight row to prefetch ahead */
#define NEON_COLUMNS 16  /* columns to one pass over the weights */
#define NEON_GATHER                                                            \
    16 /* cache rows to prefetch ahead, and V rows                             \
          to one pass over the output */

/* Rows that a kernel takes at once, as many as a vector has lanes. */
#define NEON_ROWS 4
#define LANES     4 /* floats of a vector */

/* Lane t is the sum of v[t]: (0 + 1) + (2 + 3), for any neighbors. */
INLINE float32x4_t neon_sums(const float32x4_t v[4])
{
    return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3]));
}

INLINE int32x4_t neon_sums_s32(const int32x4_t v[4])
{
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

/* The first n values (n <= 4), then zeros. */
INLINE float32x4_t neon_load_part(const float *x, size_t n)
{
    if (n == 4)
        return vld1q_f32(x);
    float part[4] = {0};
    memcpy(part, x, n * sizeof *x);
    return vld1q_f32(part);
}

INLINE void neon_store_part(float *y, float32x4_t v, size_t n)
{
    if (n == 4) {
        vst1q_f32(y, v);
        return;
    }
    float part[4];
    vst1q_f32(part, v);
    memcpy(y, part, n * sizeof *y);
}

/* 8 bytes as floats, times d. */
INLINE void neon_scale8(float32x4_t v[2], int8x8_t q, float32x4_t d)
{
    int16x8_t wide = vmovl_s8(q);
    v[0] = vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), d);
    v[1] = vmulq_f32(vcvtq_f32_s32(vmovl_high_s16(wide)), d);
}

/* The f16 scale at p, in all lanes. */
INLINE float32x4_t neon_scale(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_dup_u16(p)));
}

/* Values j .. j+7 of a row; j % 8 == 0. All formats but Q4_0. */
INLINE void neon_load8(float32x4_t v[2], const void *row, size_t j,
                       enum clsa_format format)
{
    if (format == CLSA_F32) {
        v[0] = vld1q_f32((const float *)row + j);
        v[1] = vld1q_f32((const float *)row + j + 4);
    } else if (format == CLSA_F16) {
        uint16x8_t h = vld1q_u16((const uint16_t *)row + j);
        v[0] = vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(h)));
        v[1] = vcvt_high_f32_f16(vreinterpretq_f16_u16(h));
    } else if (format == CLSA_BF16) {
        uint16x8_t h = vld1q_u16((const uint16_t *)row + j);
        v[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16));
        v[1] = vreinterpretq_f32_u32(vshll_high_n_u16(h, 16));
    } else {
        const uint8_t *block =
            (const uint8_t *)row + j / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        neon_scale8(v, vld1_s8((const int8_t *)block + 2 + j % CLSA_BLOCK),
                    neon_scale(block));
    }
}

/*
 * exp(x), relative error below 2e-7: 2^n times a polynomial over
 * |r| <= ln(2) / 2. The power is applied in two halves, so that results run
 * into infinity and through the subnormals as expf's do. NaN stays.
 */
INLINE float32x4_t neon_exp(float32x4_t x)
{
    x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-104.0f)), vdupq_n_f32(89.0f));
    float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 1.44269504f));
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693359375f));
    r = vfmsq_f32(r, n, vdupq_n_f32(-2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
    p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
    p = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), p, r);
    p = vfmaq_f32(r, p, vmulq_f32(r, r));
    p = vaddq_f32(p, vdupq_n_f32(1.0f));
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    int32x4_t bias = vdupq_n_s32(127);
    int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t rest = vaddq_s32(vsubq_s32(whole, half), bias);
    p = vmulq_f32(p, vreinterpretq_f32_s32(first));
    return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(rest, 23)));
}

/* cap tanh(x / cap) */
INLINE float32x4_t neon_softcap(float32x4_t x, float cap)
{
    const float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t e = neon_exp(vdivq_f32(x, vdupq_n_f32(0.5f * cap)));
    float32x4_t rest = vdivq_f32(vdupq_n_f32(2.0f), vaddq_f32(e, one));
    return vmulq_n_f32(vsubq_f32(one, rest), cap);
}

/* ---------------------------------------------------------------- families */

void clsa_matmul_float_neon(struct clsa_simd *table);
void clsa_matmul_q8_0_neon(struct clsa_simd *table);
void clsa_matmul_q4_0_neon(struct clsa_simd *table);
void clsa_matmul_q4_k_neon(struct clsa_simd *table);
void clsa_matmul_q6_k_neon(struct clsa_simd *table);
void clsa_matmul_parts_neon(struct clsa_simd *table);
void clsa_rows_neon(struct clsa_simd *table);
void clsa_rows_k_neon(struct clsa_simd *table);
void clsa_elementwise_neon(struct clsa_simd *table);
void clsa_index_neon(struct clsa_simd *table);
void clsa_index_heads_neon(struct clsa_simd *table);
void clsa_attend_neon(struct clsa_simd *table);
void clsa_score_neon(struct clsa_simd *table);
void clsa_combine_neon(struct clsa_simd *table);

void clsa_matmul_q8_0_neon_dotprod(struct clsa_simd *table);
void clsa_matmul_q4_0_neon_dotprod(struct clsa_simd *table);
void clsa_matmul_q4_k_neon_dotprod(struct clsa_simd *table);
void clsa_matmul_q6_k_neon_dotprod(struct clsa_simd *table);
void clsa_matmul_parts_neon_dotprod(struct clsa_simd *table);
void clsa_index_neon_dotprod(struct clsa_simd *table);
void clsa_index_heads_neon_dotprod(struct clsa_simd *table);

void clsa_matmul_q8_0_neon_i8mm(struct clsa_simd *table);
void clsa_matmul_q4_0_neon_i8mm(struct clsa_simd *table);

void clsa_index_neon_bf16(struct clsa_simd *table);

/* Kernels that an upper level falls back to where its own does not pay. */
void clsa_kernel_scan_i8_neon(float *score, const int8_t *key,
                              const float *scales, size_t n, size_t len,
                              const struct clsa_index_query *query);
void clsa_kernel_matmul_q8_0_neon_dotprod(float *y, size_t ldy, const void *w,
                                          size_t rows,
                                          const struct clsa_act *a);
void clsa_kernel_matmul_q4_0_neon_dotprod(float *y, size_t ldy, const void *w,
                                          size_t rows,
                                          const struct clsa_act *a);

#endif /* CLSA_NEON_H */
