/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of up to 16 query heads over the rows of their KV head, and the
 * merge of partial softmaxes.
 *
 * Scores: tiles of 4 heads x 4 rows, 2 x 8 or 1 x 16, always sixteen products
 * with the sums of sum16_ps, so that a score is the same in every tile. Values:
 * tiles of up to 4 heads x 64 values in registers, rows in ascending order.
 * In both, a converted row serves all heads of the tile. Heads of a tile are
 * independent of each other.
 */
#include <math.h>

#include "simd/avx512/avx512.h"

#define VALUES 64 /* values of out in one tile */

struct scores {
    float p[CLSA_ATTEND_HEADS][CLSA_ATTEND_ROWS];
};

INLINE const uint8_t *row_at(const void *base, const struct clsa_rows *rows,
                             size_t i)
{
    size_t at = rows->order ? rows->order[i] : i;
    return (const uint8_t *)base + at * rows->stride;
}

/* Rows far from each other come one line at a time: ask for all of them. */
INLINE void prefetch_bytes(const uint8_t *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64)
        prefetch(from + at);
}

INLINE void prefetch_row(const void *base, const struct clsa_rows *rows,
                         size_t i, size_t bytes)
{
    if (i >= rows->n)
        return;
    prefetch_bytes(row_at(base, rows, i), bytes);
}

INLINE __m512 load_part(const void *row, size_t j, size_t e,
                        enum clsa_format format)
{
    return j + LANES <= e ? load16(row, j, format)
                          : load_tail(row, j, first_lanes(e - j), format);
}

/* Scores of H heads and rows i.. of the list, 16 / H of them. */
INLINE void score_tile(float (*p)[CLSA_ATTEND_ROWS], const float *q, size_t e,
                       const uint8_t *const k[LANES], size_t i, const int H,
                       enum clsa_format format)
{
    const int R = LANES / H;
    __m512 sum[LANES];
    UNROLL
    for (int s = 0; s < LANES; s++)
        sum[s] = _mm512_setzero_ps();
    for (size_t j = 0; j < e; j += LANES) {
        __m512 x[4];
        UNROLL
        for (int h = 0; h < H; h++)
            x[h] = load_part(q + h * e, j, e, CLSA_F32);
        UNROLL
        for (int r = 0; r < R; r++) {
            __m512 v = load_part(k[r], j, e, format);
            UNROLL
            for (int h = 0; h < H; h++)
                sum[h * R + r] = _mm512_fmadd_ps(v, x[h], sum[h * R + r]);
        }
    }
    __m512 all = sum16_ps(sum);
    UNROLL
    for (int h = 0; h < H; h++)
        _mm512_mask_storeu_ps(
            p[h] + i, first_lanes(R),
            _mm512_maskz_compress_ps((__mmask16)(((1u << R) - 1) << (h * R)),
                                     all));
}

/* Asks for what comes later, with row i: its V and the K of a later row, or the
   i-th part of the first half of what is read after all of the rows. */
INLINE void fetch_row(const struct clsa_rows *rows, size_t i, size_t bytes,
                      bool ahead)
{
    const uint8_t *next = rows->ahead;
    if (!ahead) {
        prefetch_row(rows->k, rows, i + ATTEND_AHEAD, bytes);
        prefetch_row(rows->v, rows, i, bytes);
        return;
    }
    prefetch_bytes(next + i * bytes, bytes);
}

/* Scores of H heads and sixteen rows; `fetch`: no other heads have fetched. */
INLINE void score_heads(float (*p)[CLSA_ATTEND_ROWS], const float *q, size_t e,
                        const uint8_t *const k[LANES], size_t i, const int H,
                        const struct clsa_rows *rows, bool fetch, bool ahead,
                        enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, e);
    for (size_t r = 0; r < LANES; r += (size_t)(LANES / H)) {
        /* a few rows at a time, or they would wait for each other */
        for (size_t n = r; fetch && n < r + (size_t)(LANES / H); n++)
            fetch_row(rows, i + n, bytes, ahead);
        score_tile(p, q, e, k + r, i + r, H, format);
    }
}

/*
 * All scores, sixteen rows at a time; p has room for the repeats of the last
 * row. V rows are asked for with the K rows, a whole pass before their use.
 */
INLINE void score_rows(struct scores *s, const float *q, size_t r, size_t e,
                       const struct clsa_rows *rows, bool ahead,
                       enum clsa_format format)
{
    for (size_t i = 0; i < rows->n; i += LANES) {
        const uint8_t *k[LANES];
        size_t j = 0;
        for (size_t n = 0; n < LANES; n++)
            k[n] = row_at(rows->k, rows, min_size(i + n, rows->n - 1));
        for (; j + 4 <= r; j += 4)
            score_heads(s->p + j, q + j * e, e, k, i, 4, rows, j == 0, ahead,
                        format);
        for (; j + 2 <= r; j += 2)
            score_heads(s->p + j, q + j * e, e, k, i, 2, rows, j == 0, ahead,
                        format);
        for (; j < r; j++)
            score_heads(s->p + j, q + j * e, e, k, i, 1, rows, j == 0, ahead,
                        format);
    }
}

/* p = exp(p - max); returns max. What is behind the n rows stays unused. */
static float soften(float *p, size_t n)
{
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = first_lanes(n - i);
        most = _mm512_mask_max_ps(most, m, most, _mm512_loadu_ps(p + i));
    }
    float max = _mm512_reduce_max_ps(most);
    for (size_t i = 0; i < n; i += LANES) {
        __m512 v = _mm512_loadu_ps(p + i);
        _mm512_storeu_ps(p + i, exp_ps(_mm512_sub_ps(v, _mm512_set1_ps(max))));
    }
    return max;
}

/* out[j..j+16*parts) of H heads; m: the lanes of the last part; `fetch`: with
   the second half of what is read after all of the rows. */
INLINE void value_tile(float *out, float (*p)[CLSA_ATTEND_ROWS], size_t e,
                       size_t j, const struct clsa_rows *rows, const int H,
                       const int parts, __mmask16 m, bool fetch,
                       enum clsa_format format)
{
    __m512 sum[4][4], total[4];
    const size_t bytes = clsa_format_bytes(format, e);
    UNROLL
    for (int h = 0; h < H; h++) {
        total[h] = _mm512_setzero_ps();
        UNROLL
        for (int t = 0; t < parts; t++)
            sum[h][t] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < rows->n; i++) {
        const uint8_t *row = row_at(rows->v, rows, i);
        __m512 v[4];
        if (fetch)
            prefetch_bytes((const uint8_t *)rows->ahead + (rows->n + i) * bytes,
                           bytes);
        UNROLL
        for (int t = 0; t < parts; t++)
            v[t] = parts > 1 || m == 0xffff ? load16(row, j + t * LANES, format)
                                            : load_tail(row, j, m, format);
        UNROLL
        for (int h = 0; h < H; h++) {
            __m512 weight = _mm512_set1_ps(p[h][i]);
            total[h] = _mm512_add_ps(total[h], weight);
            UNROLL
            for (int t = 0; t < parts; t++)
                sum[h][t] = _mm512_fmadd_ps(weight, v[t], sum[h][t]);
        }
    }
    UNROLL
    for (int h = 0; h < H; h++) {
        float *o = out + h * (e + 2);
        UNROLL
        for (int t = 0; t < parts; t++)
            _mm512_mask_storeu_ps(o + j + t * LANES, m, sum[h][t]);
        o[e + 1] = _mm512_cvtss_f32(total[h]);
    }
}

INLINE void value_heads(float *out, float (*p)[CLSA_ATTEND_ROWS], size_t e,
                        const struct clsa_rows *rows, const int H, bool fetch,
                        enum clsa_format format)
{
    size_t j = 0;
    for (; j + VALUES <= e; j += VALUES)
        value_tile(out, p, e, j, rows, H, VALUES / LANES, 0xffff,
                   fetch && j == 0, format);
    for (; j < e; j += LANES)
        value_tile(out, p, e, j, rows, H, 1, first_lanes(e - j),
                   fetch && j == 0, format);
}

INLINE void values(float *out, struct scores *s, size_t r, size_t e,
                   const struct clsa_rows *rows, bool fetch,
                   enum clsa_format format)
{
    size_t j = 0;
    for (; j + 4 <= r; j += 4)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 4, fetch, format);
    for (; j + 2 <= r; j += 2)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 2, fetch, format);
    for (; j < r; j++)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 1, fetch, format);
}

INLINE void attend(float *out, const float *q, size_t r, size_t e,
                   const struct clsa_rows *rows, bool ahead,
                   enum clsa_format format)
{
    struct scores s;

    score_rows(&s, q, r, e, rows, ahead, format);
    for (size_t h = 0; h < r; h++)
        out[h * (e + 2) + e] = soften(s.p[h], rows->n);
    values(out, &s, r, e, rows, ahead, format);
}

/* Functions of their own: a test in the loops of the second costs a working
   set 7 %. */
#define ATTEND(name, format)                                                   \
    static __attribute__((noinline)) void next_##name(                         \
        float *out, const float *q, size_t r, size_t e,                        \
        const struct clsa_rows *rows)                                          \
    {                                                                          \
        attend(out, q, r, e, rows, true, format);                              \
    }                                                                          \
                                                                               \
    static void attend_##name##_avx512(float *out, const float *q, size_t r,   \
                                       size_t e, const struct clsa_rows *rows) \
    {                                                                          \
        if (rows->ahead)                                                       \
            next_##name(out, q, r, e, rows);                                   \
        else                                                                   \
            attend(out, q, r, e, rows, false, format);                         \
    }

ATTEND(f32, CLSA_F32)
ATTEND(f16, CLSA_F16)
ATTEND(bf16, CLSA_BF16)
ATTEND(q8_0, CLSA_Q8_0)

static void attend_merge_avx512(float *y, const float *part, size_t n,
                                size_t ld, size_t e)
{
    float max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxf(max, part[i * ld + e]);
    for (size_t i = 0; i < n; i++) {
        const float *o = part + i * ld;
        __m512 scale = exp_ps(_mm512_set1_ps(o[e] - max));
        sum += _mm512_cvtss_f32(scale) * o[e + 1];
        for (size_t j = 0; j < e; j += LANES) {
            __mmask16 m = first_lanes(e - j);
            __m512 v =
                i ? _mm512_maskz_loadu_ps(m, y + j) : _mm512_setzero_ps();
            v = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(m, o + j), v);
            _mm512_mask_storeu_ps(y + j, m, v);
        }
    }
    for (size_t j = 0; j < e; j += LANES) {
        __mmask16 m = first_lanes(e - j);
        __m512 v = _mm512_maskz_loadu_ps(m, y + j);
        _mm512_mask_storeu_ps(y + j, m, _mm512_div_ps(v, _mm512_set1_ps(sum)));
    }
}

void clsa_attend_avx512(struct clsa_simd *table)
{
    table->attend[CLSA_F32] = attend_f32_avx512;
    table->attend[CLSA_F16] = attend_f16_avx512;
    table->attend[CLSA_BF16] = attend_bf16_avx512;
    table->attend[CLSA_Q8_0] = attend_q8_0_avx512;
    table->attend_merge = attend_merge_avx512;
}
