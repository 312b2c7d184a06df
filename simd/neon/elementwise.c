/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RMSNorm, rotary embedding, gate and addition at level neon. Ends of less
 * than a vector go through zeroed copies; all but the sum of squares is lane
 * by lane, so that a value's bits do not depend on where it stands.
 */
#include "simd/neon/neon.h"

static size_t lanes(size_t n, size_t i)
{
    return n - i < 4 ? n - i : 4;
}

static float sum_of_squares(const float *x, size_t n)
{
    float32x4_t sum[4];
    size_t i = 0;
    sum[0] = sum[1] = sum[2] = sum[3] = vdupq_n_f32(0);
    for (; i + 16 <= n; i += 16) {
        UNROLL
        for (int k = 0; k < 4; k++) {
            float32x4_t v = vld1q_f32(x + i + 4 * k);
            sum[k] = vfmaq_f32(sum[k], v, v);
        }
    }
    for (; i < n; i += 4) {
        float32x4_t v = neon_load_part(x + i, lanes(n, i));
        sum[0] = vfmaq_f32(sum[0], v, v);
    }
    return vaddvq_f32(neon_sums(sum));
}

static void rms_norm_neon(float *y, const float *x, const float *w, size_t n,
                          float eps)
{
    float mean = sum_of_squares(x, n) / (float)n;
    /* the vector form of sqrt, which sets no errno */
    float scale = 1.0f / vget_lane_f32(vsqrt_f32(vdup_n_f32(mean + eps)), 0);
    for (size_t i = 0; i < n; i += 4) {
        size_t part = lanes(n, i);
        float32x4_t v = neon_load_part(x + i, part);
        v = vmulq_n_f32(v, scale);
        if (w)
            v = vmulq_f32(v, neon_load_part(w + i, part));
        neon_store_part(y + i, v, part);
    }
}

static void rope_neon(float *x, const float *cos, const float *sin, size_t half)
{
    for (size_t i = 0; i < half; i += 4) {
        size_t part = lanes(half, i);
        float32x4_t c = neon_load_part(cos + i, part);
        float32x4_t s = neon_load_part(sin + i, part);
        float32x4_t a = neon_load_part(x + i, part);
        float32x4_t b = neon_load_part(x + half + i, part);
        neon_store_part(x + i, vfmsq_f32(vmulq_f32(a, c), b, s), part);
        neon_store_part(x + half + i, vfmaq_f32(vmulq_f32(b, c), a, s), part);
    }
}

static void silu_mul_neon(float *y, const float *gate, const float *up,
                          size_t n)
{
    const float32x4_t one = vdupq_n_f32(1.0f);
    for (size_t i = 0; i < n; i += 4) {
        size_t part = lanes(n, i);
        float32x4_t g = neon_load_part(gate + i, part);
        float32x4_t u = neon_load_part(up + i, part);
        float32x4_t e = neon_exp(vnegq_f32(g));
        g = vmulq_f32(vdivq_f32(g, vaddq_f32(one, e)), u);
        neon_store_part(y + i, g, part);
    }
}

static void gelu_mul_neon(float *y, const float *gate, const float *up,
                          size_t n)
{
    const float32x4_t one = vdupq_n_f32(1.0f);
    for (size_t i = 0; i < n; i += 4) {
        size_t part = lanes(n, i);
        float32x4_t g = neon_load_part(gate + i, part);
        float32x4_t v =
            vfmaq_f32(g, vmulq_n_f32(g, CLSA_GELU_CUBE), vmulq_f32(g, g));
        float32x4_t e = neon_exp(vmulq_n_f32(v, -2.0f * CLSA_GELU_SCALE));
        float32x4_t u = neon_load_part(up + i, part);
        g = vmulq_f32(vdivq_f32(g, vaddq_f32(one, e)), u);
        neon_store_part(y + i, g, part);
    }
}

static void softcap_neon(float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t part = lanes(n, i);
        float32x4_t v = neon_load_part(x + i, part);
        neon_store_part(x + i, neon_softcap(v, cap), part);
    }
}

static void add_neon(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t part = lanes(n, i);
        float32x4_t v = neon_load_part(y + i, part);
        v = vaddq_f32(v, neon_load_part(x + i, part));
        neon_store_part(y + i, v, part);
    }
}

void clsa_elementwise_neon(struct clsa_simd *table)
{
    table->rms_norm = rms_norm_neon;
    table->rope = rope_neon;
    table->silu_mul = silu_mul_neon;
    table->gelu_mul = gelu_mul_neon;
    table->softcap = softcap_neon;
    table->add = add_neon;
}
