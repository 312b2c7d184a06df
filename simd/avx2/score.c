/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score.c: scores of K rows by one query, AVX2. Eight rows at a time, with two
 * vectors of partial sums each if a step of 16 values needs no more work;
 * a last group of fewer reads its last row again. What comes later is fetched
 * meanwhile: rows are strides apart, which the hardware follows within a page
 * only.
 */
#include "simd/avx2/avx2.h"

enum { SCORE_ROWS = 8 };

/* One step of 16 values of all rows. */
INLINE void step16(__m256 sum[SCORE_ROWS], const char *const row[SCORE_ROWS],
                   const float *x, size_t j, enum clsa_format format)
{
    if (format == CLSA_BF16) {
        avx2_dot16_bf16(sum, row, x, j, false);
        return;
    }
    const __m256 a = _mm256_loadu_ps(x + j), b = _mm256_loadu_ps(x + j + 8);
    UNROLL
    for (int r = 0; r < SCORE_ROWS; r++) {
        sum[r] = _mm256_fmadd_ps(avx2_load8(row[r], j, format), a, sum[r]);
        sum[r] = _mm256_fmadd_ps(avx2_load8(row[r], j + 8, format), b, sum[r]);
    }
}

/* One block of 32 values of all rows, Q8_0. */
INLINE void block(__m256 sum[SCORE_ROWS], const char *const row[SCORE_ROWS],
                  const float *x, size_t j)
{
    UNROLL
    for (int r = 0; r < SCORE_ROWS; r++) {
        const char *at = row[r] + j / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        __m256 part = _mm256_setzero_ps();
        UNROLL
        for (int i = 0; i < 4; i++) {
            const __m128i q =
                _mm_loadl_epi64((const __m128i *)(at + 2 + 8 * i));
            part =
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)),
                                _mm256_loadu_ps(x + j + 8 * (size_t)i), part);
        }
        sum[r] = _mm256_fmadd_ps(avx2_block_scale(at), part, sum[r]);
    }
}

INLINE __m256 score_group(const char *const row[SCORE_ROWS], const float *x,
                          size_t len, enum clsa_format format)
{
    __m256 sum[SCORE_ROWS];
    size_t j = 0;
    UNROLL
    for (int r = 0; r < SCORE_ROWS; r++)
        sum[r] = _mm256_setzero_ps();
    if (format == CLSA_Q8_0) {
        for (; j < len; j += CLSA_BLOCK)
            block(sum, row, x, j);
        return avx2_sum8(sum);
    }
    for (; j + 16 <= len; j += 16)
        step16(sum, row, x, j, format);
    if (j < len) {
        const __m256 a = _mm256_loadu_ps(x + j);
        UNROLL
        for (int r = 0; r < SCORE_ROWS; r++)
            sum[r] = _mm256_fmadd_ps(avx2_load8(row[r], j, format), a, sum[r]);
    }
    return avx2_sum8(sum);
}

/* Row i of the list, or the last one after its end. */
INLINE const char *row_at(const struct clsa_rows *rows, size_t i)
{
    i = i < rows->n ? i : rows->n - 1;
    return (const char *)rows->k +
           (rows->order ? rows->order[i] : i) * rows->stride;
}

INLINE void score(float *y, const float *x, size_t len,
                  const struct clsa_rows *rows, enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, len);
    for (size_t i = 0; i < rows->n; i += SCORE_ROWS) {
        const char *group[SCORE_ROWS];
        UNROLL
        for (size_t r = 0; r < SCORE_ROWS; r++) {
            const char *ahead = row_at(rows, i + r + AVX2_ROWS_AHEAD);
            group[r] = row_at(rows, i + r);
            for (size_t b = 0; b < bytes; b += 64)
                avx2_prefetch_l2(ahead + b);
        }
        const __m256 s = score_group(group, x, len, format);
        if (rows->n - i >= SCORE_ROWS)
            _mm256_storeu_ps(y + i, s);
        else
            _mm256_maskstore_ps(y + i, avx2_tail_mask(rows->n - i), s);
    }
}

#define SCORE(name, format)                                                    \
    static void score_##name##_avx2(float *y, const float *x, size_t len,      \
                                    const struct clsa_rows *rows)              \
    {                                                                          \
        score(y, x, len, rows, format);                                        \
    }

CLSA_ROW_FORMATS(SCORE)

#define FILL(name, format) table->score[format] = score_##name##_avx2;

void clsa_score_avx2(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
