/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of K rows by one query at level neon. Four rows at a time, with two
 * vectors of partial sums each, the lower and the upper four of eight values,
 * so that a sum does not wait for itself. After the last row comes the last
 * one again. What comes later is prefetched meanwhile.
 */
#include "simd/neon/neon.h"

INLINE const uint8_t *row_at(const struct clsa_rows *rows, size_t i)
{
    i = i < rows->n ? i : rows->n - 1;
    return (const uint8_t *)rows->k +
           (rows->order ? rows->order[i] : i) * rows->stride;
}

INLINE float32x4_t score_group(const uint8_t *const row[], const float *x,
                               size_t len, const enum clsa_format format)
{
    float32x4_t lo[NEON_ROWS], hi[NEON_ROWS];
    UNROLL
    for (int r = 0; r < NEON_ROWS; r++)
        lo[r] = hi[r] = vdupq_n_f32(0);
    for (size_t j = 0; j < len; j += 8) {
        const float32x4_t a = vld1q_f32(x + j), b = vld1q_f32(x + j + 4);
        UNROLL
        for (int r = 0; r < NEON_ROWS; r++) {
            float32x4_t v[2];
            neon_load8(v, row[r], j, format);
            lo[r] = vfmaq_f32(lo[r], v[0], a);
            hi[r] = vfmaq_f32(hi[r], v[1], b);
        }
    }
    UNROLL
    for (int r = 0; r < NEON_ROWS; r++)
        lo[r] = vaddq_f32(lo[r], hi[r]);
    return neon_sums(lo);
}

INLINE void score(float *y, const float *x, size_t len,
                  const struct clsa_rows *rows, const enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, len);
    for (size_t i = 0; i < rows->n; i += NEON_ROWS) {
        const uint8_t *group[NEON_ROWS];
        const size_t left = rows->n - i;
        for (size_t r = 0; r < NEON_ROWS; r++) {
            const uint8_t *ahead = row_at(rows, i + r + NEON_GATHER);
            group[r] = row_at(rows, i + r);
            for (size_t b = 0; b < bytes; b += 64)
                __builtin_prefetch(ahead + b);
        }
        neon_store_part(y + i, score_group(group, x, len, format),
                        left < NEON_ROWS ? left : NEON_ROWS);
    }
}

#define SCORE(name, format)                                                    \
    static void score_##name##_neon(float *y, const float *x, size_t len,      \
                                    const struct clsa_rows *rows)              \
    {                                                                          \
        score(y, x, len, rows, format);                                        \
    }

CLSA_ROW_FORMATS(SCORE)

#define FILL(name, format) table->score[format] = score_##name##_neon;

void clsa_score_neon(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
