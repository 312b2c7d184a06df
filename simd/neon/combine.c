/* SPDX-License-Identifier: Apache-2.0 */
/* combine.c: partial softmaxes of attention combined, NEON. */
#include <math.h>

#include "simd/neon/neon.h"

static void attend_combine_neon(float *y, const float *part, size_t n,
                                size_t ld, size_t e)
{
    float max = part[e], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    memset(y, 0, e * sizeof *y);
    for (size_t i = 0; i < n; i++) {
        const float *p = part + i * ld;
        float32x4_t scale = neon_exp(vdupq_n_f32(p[e] - max));
        sum += vgetq_lane_f32(scale, 0) * p[e + 1];
        for (size_t j = 0; j < e; j += 4) {
            size_t lanes = e - j < 4 ? e - j : 4;
            float32x4_t v = neon_load_part(y + j, lanes);
            v = vfmaq_f32(v, neon_load_part(p + j, lanes), scale);
            neon_store_part(y + j, v, lanes);
        }
    }
    for (size_t j = 0; j < e; j++)
        y[j] /= sum;
}

static void attend_accumulate_neon(float *sum, size_t ld, const float *part,
                                   size_t n, size_t e)
{
    for (size_t h = 0; h < n; h++) {
        float *s = sum + h * ld;
        const float *p = part + h * (e + 2);
        const float max = fmaxf(s[e], p[e]);
        const float32x4_t old = neon_exp(vdupq_n_f32(s[e] - max));
        const float32x4_t new = neon_exp(vdupq_n_f32(p[e] - max));
        for (size_t j = 0; j < e; j += 4)
            vst1q_f32(s + j, vfmaq_f32(vmulq_f32(old, vld1q_f32(s + j)), new,
                                       vld1q_f32(p + j)));
        s[e] = max;
        s[e + 1] = vgetq_lane_f32(old, 0) * s[e + 1] +
                   vgetq_lane_f32(new, 0) * p[e + 1];
    }
}

void clsa_combine_neon(struct clsa_simd *table)
{
    table->attend_combine = attend_combine_neon;
    table->attend_accumulate = attend_accumulate_neon;
}
