/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantize.h: floats to int8 with NEON, for the activations and rows of rows.c
 * and the index keys of index.c.
 */
#ifndef CLSA_NEON_QUANTIZE_H
#define CLSA_NEON_QUANTIZE_H

#include "simd/neon/neon.h"

/* The scale of values up to max, and the factor that quantizes them. */
struct neon_quantum {
    float scale, inverse;
};

static inline struct neon_quantum neon_quantum(float max, float limit)
{
    if (!(max > CLSA_QUANT_MIN))
        return (struct neon_quantum){0, 0};
    /* max / limit and limit / max in one division */
    float32x2_t n = vset_lane_f32(max, vdup_n_f32(limit), 0);
    float32x2_t d = vdiv_f32(n, vrev64_f32(n));
    return (struct neon_quantum){vget_lane_f32(d, 0), vget_lane_f32(d, 1)};
}

/* Rounded to even, -limit..limit. */
INLINE int32x4_t neon_quantize4(float32x4_t x, float inverse, float limit)
{
    float32x4_t v = vmulq_n_f32(x, inverse);
    v = vmaxnmq_f32(v, vdupq_n_f32(-limit));
    return vcvtnq_s32_f32(vminnmq_f32(v, vdupq_n_f32(limit)));
}

INLINE int8x16_t neon_quantize16(const float *x, float inverse, float limit)
{
    int16x8_t a = vcombine_s16(
        vmovn_s32(neon_quantize4(vld1q_f32(x), inverse, limit)),
        vmovn_s32(neon_quantize4(vld1q_f32(x + 4), inverse, limit)));
    int16x8_t b = vcombine_s16(
        vmovn_s32(neon_quantize4(vld1q_f32(x + 8), inverse, limit)),
        vmovn_s32(neon_quantize4(vld1q_f32(x + 12), inverse, limit)));
    return vcombine_s8(vmovn_s16(a), vmovn_s16(b));
}

INLINE float32x4_t neon_largest16(float32x4_t max, const float *x)
{
    float32x4_t a =
        vmaxnmq_f32(vabsq_f32(vld1q_f32(x)), vabsq_f32(vld1q_f32(x + 4)));
    float32x4_t b =
        vmaxnmq_f32(vabsq_f32(vld1q_f32(x + 8)), vabsq_f32(vld1q_f32(x + 12)));
    return vmaxnmq_f32(max, vmaxnmq_f32(a, b));
}

#endif /* CLSA_NEON_QUANTIZE_H */
