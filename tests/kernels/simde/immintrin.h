/* SPDX-License-Identifier: Apache-2.0 */
/*
 * immintrin.h: that of the compiler, with the AVX-512 part replaced by SIMDe,
 * and what SIMDe lacks of it. Found before the compiler's by the kernels that
 * are built for check_simde, which need no change for it.
 */
#ifndef CLSA_TESTS_SIMDE_IMMINTRIN_H
#define CLSA_TESTS_SIMDE_IMMINTRIN_H

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <stdint.h>
#include <string.h>

#define SIMDE_EXTRA static inline __attribute__((unused))

/* Lanes that are off are neither read nor written. */
SIMDE_EXTRA __m512 simde_extra_maskz_loadu_ps(__mmask16 m, const void *p)
{
    float v[16] = {0};
    __m512 result;
    for (int i = 0; i < 16; i++)
        if (m >> i & 1)
            memcpy(&v[i], (const char *)p + i * sizeof v[0], sizeof v[0]);
    memcpy(&result, v, sizeof result);
    return result;
}

SIMDE_EXTRA __m512i simde_extra_maskz_loadu_epi16(__mmask32 m, const void *p)
{
    uint16_t v[32] = {0};
    __m512i result;
    for (int i = 0; i < 32; i++)
        if (m >> i & 1)
            memcpy(&v[i], (const char *)p + i * sizeof v[0], sizeof v[0]);
    memcpy(&result, v, sizeof result);
    return result;
}

SIMDE_EXTRA void simde_extra_mask_storeu_ps(void *p, __mmask16 m, __m512 v)
{
    float from[16];
    memcpy(from, &v, sizeof from);
    for (int i = 0; i < 16; i++)
        if (m >> i & 1)
            memcpy((char *)p + i * sizeof from[0], &from[i], sizeof from[0]);
}

/* Two quarters of a, then two of b, by two bits each. */
SIMDE_EXTRA __m512 simde_extra_shuffle_f32x4(__m512 a, __m512 b, int which)
{
    float from[2][16], v[16];
    __m512 result;
    memcpy(from[0], &a, sizeof from[0]);
    memcpy(from[1], &b, sizeof from[1]);
    for (int i = 0; i < 4; i++)
        memcpy(v + 4 * i, from[i / 2] + 4 * (which >> 2 * i & 3),
               4 * sizeof v[0]);
    memcpy(&result, v, sizeof result);
    return result;
}

#undef _mm512_maskz_loadu_ps
#undef _mm512_maskz_loadu_epi16
#undef _mm512_mask_storeu_ps
#undef _mm512_shuffle_f32x4
#define _mm512_maskz_loadu_ps(m, p)    simde_extra_maskz_loadu_ps(m, p)
#define _mm512_maskz_loadu_epi16(m, p) simde_extra_maskz_loadu_epi16(m, p)
#define _mm512_mask_storeu_ps(p, m, v) simde_extra_mask_storeu_ps(p, m, v)
#define _mm512_shuffle_f32x4(a, b, i)  simde_extra_shuffle_f32x4(a, b, i)

#endif /* CLSA_TESTS_SIMDE_IMMINTRIN_H */
