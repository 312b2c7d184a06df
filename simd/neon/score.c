/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of K rows by one query at level neon. Four rows at a time, with two
 * vectors of partial sums each, the lower and the upper four of eight values,
 * so that a sum does not wait for itself. Behind the last row stands the last
 * one again. What comes later is asked for meanwhile.
 */
#include "simd/neon/neon.h"

CLSA_NEON_INLINE const uint8_t *row_at(const struct clsa_rows *rows, size_t i)
{
    i = i < rows->n ? i : rows->n - 1;
    return (const uint8_t *)rows->k +
           (rows->order ? rows->order[i] : i) * rows->stride;
}

CLSA_NEON_INLINE float32x4_t score_group(const uint8_t *const row[],
                                         const float *x, size_t len,
                                         const enum clsa_format format)
{
    float32x4_t lo[CLSA_NEON_ROWS], hi[CLSA_NEON_ROWS];
    CLSA_NEON_UNROLL
    for (int r = 0; r < CLSA_NEON_ROWS; r++)
        lo[r] = hi[r] = vdupq_n_f32(0);
    for (size_t j = 0; j < len; j += 8) {
        const float32x4_t a = vld1q_f32(x + j), b = vld1q_f32(x + j + 4);
        CLSA_NEON_UNROLL
        for (int r = 0; r < CLSA_NEON_ROWS; r++) {
            float32x4_t v[2];
            clsa_neon_load8(v, row[r], j, format);
            lo[r] = vfmaq_f32(lo[r], v[0], a);
            hi[r] = vfmaq_f32(hi[r], v[1], b);
        }
    }
    CLSA_NEON_UNROLL
    for (int r = 0; r < CLSA_NEON_ROWS; r++)
        lo[r] = vaddq_f32(lo[r], hi[r]);
    return clsa_neon_sums(lo);
}

CLSA_NEON_INLINE void score(float *y, const float *x, size_t len,
                            const struct clsa_rows *rows,
                            const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, len);
    for (size_t i = 0; i < rows->n; i += CLSA_NEON_ROWS) {
        const uint8_t *group[CLSA_NEON_ROWS];
        const size_t left = rows->n - i;
        for (size_t r = 0; r < CLSA_NEON_ROWS; r++) {
            const uint8_t *ahead = row_at(rows, i + r + CLSA_NEON_GATHER);
            group[r] = row_at(rows, i + r);
            for (size_t b = 0; b < bytes; b += 64)
                __builtin_prefetch(ahead + b);
        }
        clsa_neon_store_part(y + i, score_group(group, x, len, format),
                             left < CLSA_NEON_ROWS ? left : CLSA_NEON_ROWS);
    }
}

#define SCORE(name, format)                                                    \
    static void score_##name##_neon(float *y, const float *x, size_t len,      \
                                    const struct clsa_rows *rows)              \
    {                                                                          \
        score(y, x, len, rows, format);                                        \
    }

SCORE(f32, CLSA_F32)
SCORE(f16, CLSA_F16)
SCORE(bf16, CLSA_BF16)
SCORE(q8_0, CLSA_Q8_0)

void clsa_score_neon(struct clsa_simd *table)
{
    table->score[CLSA_F32] = score_f32_neon;
    table->score[CLSA_F16] = score_f16_neon;
    table->score[CLSA_BF16] = score_bf16_neon;
    table->score[CLSA_Q8_0] = score_q8_0_neon;
}
