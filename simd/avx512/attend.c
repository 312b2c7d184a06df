/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of up to 16 query heads over the rows of their KV head.
 *
 * Scores: tiles of 4 heads x 16 rows. A quarter of a vector belongs to each
 * head: four values of a row, in all quarters, times the same values of the
 * four queries, so that a row has one sum to be added up for all of them. The
 * rows are converted before, to L1. Values: tiles of up to 4 heads x 64 values
 * in registers, rows in ascending order. In both, a converted row serves all
 * heads of the tile. Heads of a tile are independent of each other.
 *
 * Values are taken in pairs of vectors, AVX512_SPLIT at a time, see split.h.
 */
#include <math.h>

#include "simd/avx512/split.h"

#define QUAD   4  /* heads of a tile, and values of each in a vector */
#define VALUES 64 /* values of a row in one tile */
#define CHUNKS (VALUES / QUAD)

struct scores {
    float p[CLSA_ATTEND_HEADS][CLSA_ATTEND_ROWS];
    float q[CLSA_ATTEND_HEADS / QUAD][CLSA_ATTEND_SIZE / QUAD][LANES];
};

_Static_assert(sizeof(struct scores) <= CLSA_KERNEL_SCRATCH, "simd.h");

INLINE const uint8_t *row_at(const void *base, const struct clsa_rows *rows,
                             size_t i)
{
    size_t at = rows->order ? rows->order[i] : i;
    return (const uint8_t *)base + at * rows->stride;
}

/* Rows far from each other come one line at a time: prefetch all of them. */
INLINE void prefetch_bytes(const uint8_t *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64)
        prefetch_l2(from + at);
}

INLINE void prefetch_row(const void *base, const struct clsa_rows *rows,
                         size_t i, size_t bytes)
{
    if (i >= rows->n)
        return;
    prefetch_bytes(row_at(base, rows, i), bytes);
}

/* Rows of K that will be converted soon: sixteen that are read in a row wait
   for each other, and memory for all of them. */
INLINE void prefetch_key(const struct clsa_rows *rows, size_t i, size_t bytes)
{
    if (i >= rows->n)
        return;
    for (size_t at = 0; at < bytes; at += 64)
        prefetch_l1(row_at(rows->k, rows, i) + at);
}

/* Four values of each head of a tile side by side; heads from r on are 0. */
INLINE void arrange(struct scores *s, const float *q, size_t r, size_t e,
                    enum clsa_format format)
{
    float x[AVX512_SPLIT];
    for (size_t h = 0; h < (r + QUAD - 1) / QUAD * QUAD; h++)
        for (size_t j = 0; j < e; j += AVX512_SPLIT) {
            __m512 v[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
            if (h < r)
                avx512_load_split(v, q + h * e, j, e - j, CLSA_F32);
            avx512_split(v, format);
            _mm512_storeu_ps(x, v[0]);
            _mm512_storeu_ps(x + LANES, v[1]);
            for (size_t c = 0; c < AVX512_SPLIT / QUAD; c++)
                _mm_storeu_ps(s->q[h / QUAD][j / QUAD + c] + h % QUAD * QUAD,
                              _mm_loadu_ps(x + c * QUAD));
        }
}

/* The sums of four rows, of head h in quarter h. */
INLINE __m512 sum_quarters(const __m512 v[4])
{
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]),
                              _mm512_unpackhi_ps(v[0], v[1]));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]),
                              _mm512_unpackhi_ps(v[2], v[3]));
    __m512d x = _mm512_castps_pd(ab), y = _mm512_castps_pd(cd);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}

/* Sixteen scores of each of four heads, the first `heads` of which count. */
INLINE void store_scores(float (*p)[CLSA_ATTEND_ROWS], size_t i, size_t heads,
                         const __m512 sum[LANES])
{
    __m512 t[4], u[4];
    UNROLL
    for (int n = 0; n < 4; n++)
        t[n] = sum_quarters(sum + 4 * n);
    UNROLL
    for (int n = 0; n < 2; n++) {
        u[2 * n] = _mm512_shuffle_f32x4(t[2 * n], t[2 * n + 1], 0x44);
        u[2 * n + 1] = _mm512_shuffle_f32x4(t[2 * n], t[2 * n + 1], 0xee);
    }
    UNROLL
    for (size_t h = 0; h < 4; h++)
        if (h < heads)
            _mm512_storeu_ps(
                p[h] + i,
                h % 2 ? _mm512_shuffle_f32x4(u[h / 2], u[h / 2 + 2], 0xdd)
                      : _mm512_shuffle_f32x4(u[h / 2], u[h / 2 + 2], 0x88));
}

/*
 * Memory that is read after all of the rows is prefetched in four quarters: as
 * rows are converted, multiplied, made exponentials of, and added up. Whatever
 * is prefetched in one go waits for each other, and all else for it. Part i of
 * n of a quarter.
 */
INLINE void fetch_next(const struct clsa_rows *rows, size_t quarter, size_t i,
                       size_t bytes)
{
    prefetch_bytes((const uint8_t *)rows->ahead +
                       (quarter * rows->n + i) * (bytes / 2),
                   bytes / 2);
}

/* The first two quarters take turns, so that memory is read in order. */
INLINE void fetch_converted(const struct clsa_rows *rows, size_t i, size_t r,
                            size_t bytes)
{
    fetch_next(rows, 0, 2 * i + r, bytes);
}

INLINE void fetch_multiplied(const struct clsa_rows *rows, size_t i, size_t r,
                             size_t bytes, bool ahead)
{
    if (ahead)
        fetch_next(rows, 0, 2 * i + LANES + r, bytes);
    else
        prefetch_row(rows->v, rows, i + r, bytes);
    prefetch_key(rows, i + r + AVX512_ATTEND_AHEAD, bytes);
}

/* Up to VALUES values of sixteen rows from j on, as floats; `fetch`: with what
   comes later. */
INLINE void convert_rows(float (*x)[VALUES], const uint8_t *const k[LANES],
                         size_t j, size_t e, const struct clsa_rows *rows,
                         size_t i, bool fetch, enum clsa_format format)
{
    for (size_t r = 0; r < LANES; r++) {
        if (fetch)
            fetch_converted(rows, i, r, clsa_format_bytes(format, e));
        for (size_t n = j; n < j + VALUES && n < e; n += AVX512_SPLIT) {
            __m512 v[2];
            avx512_load_split(v, k[r], n, e - n, format);
            _mm512_storeu_ps(x[r] + n - j, v[0]);
            _mm512_storeu_ps(x[r] + n - j + LANES, v[1]);
        }
    }
}

/* Scores of up to four heads and sixteen rows; `fetch`: no other heads have
   fetched. */
INLINE void score_tile(float (*p)[CLSA_ATTEND_ROWS], size_t heads,
                       const float (*q)[LANES], size_t e,
                       const uint8_t *const k[LANES], size_t i,
                       const struct clsa_rows *rows, bool fetch, bool ahead,
                       enum clsa_format format)
{
    const size_t bytes = clsa_format_bytes(format, e);
    float x[LANES][VALUES];
    __m512 sum[LANES];
    UNROLL
    for (int r = 0; r < LANES; r++)
        sum[r] = _mm512_setzero_ps();
    for (size_t j = 0; j < e; j += VALUES, q += CHUNKS) {
        convert_rows(x, k, j, e, rows, i, fetch && ahead && j == 0, format);
        for (size_t c = 0; c < CHUNKS; c++) {
            if (fetch && j == 0)
                fetch_multiplied(rows, i, c, bytes, ahead);
            if (j + c * QUAD >=
                (e + AVX512_SPLIT - 1) / AVX512_SPLIT * AVX512_SPLIT)
                continue;
            const __m512 y = _mm512_loadu_ps(q[c]);
            UNROLL
            for (int r = 0; r < LANES; r++)
                sum[r] = _mm512_fmadd_ps(
                    y, _mm512_broadcast_f32x4(_mm_loadu_ps(x[r] + c * QUAD)),
                    sum[r]);
        }
    }
    store_scores(p, i, heads, sum);
}

/*
 * All scores, sixteen rows at a time; p has room for the repeats of the last
 * row. V rows are prefetched with the K rows, a whole pass before their use.
 */
INLINE void score_rows(struct scores *s, size_t r, size_t e,
                       const struct clsa_rows *rows, bool ahead,
                       enum clsa_format format)
{
    for (size_t i = 0; i < rows->n; i += LANES) {
        const uint8_t *k[LANES];
        for (size_t n = 0; n < LANES; n++)
            k[n] = row_at(rows->k, rows, avx512_min_size(i + n, rows->n - 1));
        for (size_t j = 0; j < r; j += QUAD)
            score_tile(s->p + j, r - j, s->q[j / QUAD], e, k, i, rows, j == 0,
                       ahead, format);
    }
}

/* p = exp(p - max), for n rows, *sum of them; returns max. Scores after the n
   rows stays unused. With each vector, `parts` of the third quarter of what is
   read next from part `first` on. */
INLINE float normalize(float *p, const struct clsa_rows *rows, float *sum,
                       size_t first, size_t parts, size_t bytes)
{
    const size_t n = rows->n;
    __m512 most = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
        most = _mm512_mask_max_ps(most, m, most, _mm512_loadu_ps(p + i));
    }
    float max = _mm512_reduce_max_ps(most);
    for (size_t i = 0; i < n; i += LANES) {
        __mmask16 m = avx512_first_lanes(n - i);
        __m512 v = avx512_exp(
            _mm512_sub_ps(_mm512_loadu_ps(p + i), _mm512_set1_ps(max)));
        for (size_t k = 0; k < parts; k++)
            fetch_next(rows, 2, first++, bytes);
        _mm512_storeu_ps(p + i, v);
        total = _mm512_mask_add_ps(total, m, total, v);
    }
    *sum = _mm512_reduce_add_ps(total);
    return max;
}

/* out[j..] of H heads, `splits` pairs of vectors, the last one of n values;
   `fetch`: with the last quarter of what is read after all of the rows. */
INLINE void value_tile(float *out, float (*p)[CLSA_ATTEND_ROWS], size_t e,
                       size_t j, const struct clsa_rows *rows, const int H,
                       const int splits, size_t n, bool fetch,
                       enum clsa_format format)
{
    __m512 sum[4][4];
    const size_t bytes = clsa_format_bytes(format, e);
    UNROLL
    for (int h = 0; h < H; h++)
        UNROLL
    for (int t = 0; t < 2 * splits; t++)
        sum[h][t] = _mm512_setzero_ps();
    for (size_t i = 0; i < rows->n; i++) {
        const uint8_t *row = row_at(rows->v, rows, i);
        __m512 v[4];
        if (fetch)
            fetch_next(rows, 3, i, bytes);
        UNROLL
        for (int t = 0; t < splits; t++)
            avx512_load_split(v + 2 * t, row, j + t * AVX512_SPLIT, n, format);
        UNROLL
        for (int h = 0; h < H; h++) {
            __m512 weight = _mm512_set1_ps(p[h][i]);
            UNROLL
            for (int t = 0; t < 2 * splits; t++)
                sum[h][t] = _mm512_fmadd_ps(weight, v[t], sum[h][t]);
        }
    }
    UNROLL
    for (int h = 0; h < H; h++)
        UNROLL
    for (int t = 0; t < splits; t++) {
        float *o = out + h * (e + 2) + j + t * AVX512_SPLIT;
        avx512_unsplit(sum[h] + 2 * t, format);
        _mm512_mask_storeu_ps(o, avx512_first_lanes(n), sum[h][2 * t]);
        if (n > LANES)
            _mm512_mask_storeu_ps(o + LANES, avx512_first_lanes(n - LANES),
                                  sum[h][2 * t + 1]);
    }
}

INLINE void value_heads(float *out, float (*p)[CLSA_ATTEND_ROWS], size_t e,
                        const struct clsa_rows *rows, const int H, bool fetch,
                        enum clsa_format format)
{
    size_t j = 0;
    for (; j + VALUES <= e; j += VALUES)
        value_tile(out, p, e, j, rows, H, VALUES / AVX512_SPLIT, AVX512_SPLIT,
                   fetch && j == 0, format);
    for (; j < e; j += AVX512_SPLIT)
        value_tile(out, p, e, j, rows, H, 1,
                   avx512_min_size(e - j, AVX512_SPLIT), fetch && j == 0,
                   format);
}

INLINE void values(float *out, struct scores *s, size_t r, size_t e,
                   const struct clsa_rows *rows, bool fetch,
                   enum clsa_format format)
{
    size_t j = 0;
    for (; j + 4 <= r; j += 4)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 4, fetch && j == 0,
                    format);
    for (; j + 2 <= r; j += 2)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 2, fetch && j == 0,
                    format);
    for (; j < r; j++)
        value_heads(out + j * (e + 2), s->p + j, e, rows, 1, fetch && j == 0,
                    format);
}

/* Scores of n rows, bounded. */
INLINE void cap_scores(float *p, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += LANES)
        _mm512_storeu_ps(p + i, avx512_softcap(_mm512_loadu_ps(p + i), cap));
}

/* The rows are copied, for what is written to scratch could change them. */
INLINE void attend(float *out, const float *q, size_t r, size_t e,
                   const struct clsa_rows *list, bool ahead,
                   enum clsa_format format)
{
    const struct clsa_rows copy = *list, *rows = &copy;
    struct scores *s = rows->scratch;

    arrange(s, q, r, e, format);
    score_rows(s, r, e, rows, ahead, format);
    for (size_t h = 0; h < r; h++) {
        float *o = out + h * (e + 2) + e;
        const size_t parts = ahead ? LANES / r : 0;
        if (rows->cap > 0)
            cap_scores(s->p[h], rows->n, rows->cap);
        o[0] = normalize(s->p[h], rows, o + 1, h * parts * (rows->n / LANES),
                         parts, clsa_format_bytes(format, e));
    }
    values(out, s, r, e, rows, ahead, format);
}

/* Loops of known length for the usual size: 13 % faster. Functions of their
   own: a test in the loops of the second costs a working set 7 %. */
#define ATTEND(name, format)                                                   \
    static __attribute__((noinline)) void next_##name(                         \
        float *out, const float *q, size_t r, size_t e,                        \
        const struct clsa_rows *rows)                                          \
    {                                                                          \
        if (e == VALUES)                                                       \
            attend(out, q, r, VALUES, rows, true, format);                     \
        else                                                                   \
            attend(out, q, r, e, rows, true, format);                          \
    }                                                                          \
                                                                               \
    static void attend_##name##_avx512(float *out, const float *q, size_t r,   \
                                       size_t e, const struct clsa_rows *rows) \
    {                                                                          \
        if (rows->ahead)                                                       \
            next_##name(out, q, r, e, rows);                                   \
        else if (e == VALUES)                                                  \
            attend(out, q, r, VALUES, rows, false, format);                    \
        else                                                                   \
            attend(out, q, r, e, rows, false, format);                         \
    }

CLSA_ROW_FORMATS(ATTEND)

#define FILL(name, format) table->attend[format] = attend_##name##_avx512;

void clsa_attend_avx512(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
