/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attend.c: attention over a list of rows, AVX2.
 *
 * Two passes over the rows. The first makes all scores, eight (head, row)
 * pairs at a time, and fetches V meanwhile; the second adds p * v in ascending
 * order, one accumulator for each value of out. Every pair and every value is
 * computed in the same order whatever the number of heads and the tile.
 *
 * Rows are taken 16 values at a time, in the order in which the format yields
 * them at the least cost: bf16 gives the 8 even values, then the 8 odd ones.
 * The query is brought into that order once, and the result out of it. A last
 * group of 8 values is always in plain order.
 */
#include <math.h>

#include "simd/avx2/avx2.h"

enum { PAIRS = 8, CHUNKS = 4 };

struct pair {
    __m256 a, b;
};

struct heads {
    float *out; /* [r][e + 2]; holds the rearranged query during pass one */
    size_t r, e;
    const struct clsa_rows *rows;
    size_t at[CLSA_ATTEND_ROWS];      /* byte offset of row i */
    float (*score)[CLSA_ATTEND_ROWS]; /* [CLSA_ATTEND_HEADS]; later exp */
};

_Static_assert(CLSA_ATTEND_HEADS *CLSA_ATTEND_ROWS * sizeof(float) <=
                   CLSA_KERNEL_SCRATCH,
               "simd.h");

/* ------------------------------------------------------------ 16 values */

INLINE __m256 load8_q8_0(const uint8_t *q, __m256 d)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)q);
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), d);
}

/* Values j..j+15 of a row, in the order of the format. */
INLINE struct pair load16(const char *row, size_t j, enum clsa_format format)
{
    if (format == CLSA_BF16) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(row + 2 * j));
        const __m256i odd =
            _mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000u));
        return (struct pair){_mm256_castsi256_ps(_mm256_slli_epi32(v, 16)),
                             _mm256_castsi256_ps(odd)};
    }
    if (format == CLSA_Q8_0) {
        const uint8_t *block =
            (const uint8_t *)row + j / CLSA_BLOCK * CLSA_Q8_0_BYTES;
        const __m256 d = avx2_block_scale(block);
        const uint8_t *q = block + 2 + j % CLSA_BLOCK;
        return (struct pair){load8_q8_0(q, d), load8_q8_0(q + 8, d)};
    }
    return (struct pair){avx2_load8(row, j, format),
                         avx2_load8(row, j + 8, format)};
}

/* 16 values, or the last 8 of a row and nothing. */
INLINE struct pair load(const char *row, size_t j, bool half,
                        enum clsa_format format)
{
    if (half)
        return (struct pair){avx2_load8(row, j, format), _mm256_setzero_ps()};
    return load16(row, j, format);
}

/* Plain order to the one of the format. */
INLINE void arrange(float *y, const float *x, size_t e, enum clsa_format format)
{
    size_t j = 0;
    if (format == CLSA_BF16)
        for (; j + 16 <= e; j += 16)
            for (size_t i = 0; i < 8; i++) {
                y[j + i] = x[j + 2 * i];
                y[j + 8 + i] = x[j + 2 * i + 1];
            }
    memcpy(y + j, x + j, (e - j) * sizeof *y);
}

/* 16 values in plain order again, or the last 8. */
INLINE void store(float *y, __m256 a, __m256 b, bool half,
                  enum clsa_format format)
{
    if (format == CLSA_BF16 && !half) {
        const __m256 lo = _mm256_unpacklo_ps(a, b);
        const __m256 hi = _mm256_unpackhi_ps(a, b);
        a = _mm256_permute2f128_ps(lo, hi, 0x20);
        b = _mm256_permute2f128_ps(lo, hi, 0x31);
    }
    _mm256_storeu_ps(y, a);
    if (!half)
        _mm256_storeu_ps(y + 8, b);
}

/* ------------------------------------------------------- pass one: q . k */

/* heads * rows == PAIRS sums; whichever operand is fewer stays in registers. */
INLINE void dot_step(__m256 sum[PAIRS], const char *const k[PAIRS],
                     const float *q, size_t ldq, size_t j, int heads, int rows,
                     bool half, enum clsa_format format)
{
    struct pair key[PAIRS], x[PAIRS];
    UNROLL
    for (int i = 0; i < heads * rows; i++) {
        const int h = rows < heads ? i / rows : i % heads;
        const int r = rows < heads ? i % rows : i / heads;
        if (i < heads || (rows < heads && r == 0))
            x[h] = (struct pair){
                _mm256_loadu_ps(q + (size_t)h * ldq + j),
                half ? _mm256_setzero_ps()
                     : _mm256_loadu_ps(q + (size_t)h * ldq + j + 8)};
        if (i < rows || (rows >= heads && h == 0))
            key[r] = load(k[r], j, half, format);
        __m256 *s = &sum[h * rows + r];
        *s = _mm256_fmadd_ps(x[h].a, key[r].a, *s);
        if (!half)
            *s = _mm256_fmadd_ps(x[h].b, key[r].b, *s);
    }
}

/* Fetches K and V of the rows that come AVX2_ROWS_AHEAD later; V waits in
   L2 for the second pass. */
INLINE void fetch(const struct heads *t, size_t i, size_t rows, size_t bytes)
{
    for (size_t r = i; r < i + rows; r++) {
        const size_t ahead = r + AVX2_ROWS_AHEAD;
        const size_t last = t->rows->n - 1;
        const size_t at = t->at[ahead < last ? ahead : last];
        for (size_t b = 0; b < bytes; b += 64) {
            _mm_prefetch((const char *)t->rows->k + at + b, _MM_HINT_T0);
            avx2_prefetch_l2((const char *)t->rows->v + at + b);
        }
    }
}

/* The same for what is read after all of these rows. */
INLINE void fetch_next(const struct heads *t, size_t i, size_t rows,
                       size_t bytes)
{
    const char *ahead = (const char *)t->rows->ahead + 2 * i * bytes;
    for (size_t b = 0; b < 2 * rows * bytes; b += 64)
        avx2_prefetch_l2(ahead + b);
}

/* Scores of `heads` heads from h on; the first heads fetch for all. */
INLINE void scores(struct heads *t, size_t h, int heads, int rows,
                   enum clsa_format format)
{
    const size_t e = t->e, n = t->rows->n, step = (size_t)rows;
    const float *q = t->out + h * (e + 2);
    const size_t bytes = clsa_format_bytes(format, e);
    for (size_t i = 0; i < n; i += step) {
        const char *k[PAIRS];
        __m256 sum[PAIRS];
        float s[PAIRS];
        size_t j = 0;
        UNROLL
        for (int r = 0; r < rows; r++) {
            const size_t at = i + (size_t)r < n ? i + (size_t)r : n - 1;
            k[r] = (const char *)t->rows->k + t->at[at];
        }
        if (h == 0 && t->rows->ahead)
            fetch_next(t, i, step, bytes);
        else if (h == 0)
            fetch(t, i, step, bytes);
        UNROLL
        for (int p = 0; p < PAIRS; p++)
            sum[p] = _mm256_setzero_ps();
        for (; j + 16 <= e; j += 16)
            dot_step(sum, k, q, e + 2, j, heads, rows, false, format);
        if (j < e)
            dot_step(sum, k, q, e + 2, j, heads, rows, true, format);
        _mm256_storeu_ps(s, avx2_sum8(sum));
        /* rows divides CLSA_ATTEND_ROWS: surplus rows stay inside of score */
        UNROLL
        for (int p = 0; p < heads; p++)
            memcpy(&t->score[h + (size_t)p][i], s + p * rows, step * sizeof *s);
    }
}

/* Scores of n rows, bounded; there is room for whole vectors. */
static void cap_scores(float *score, size_t n, float cap)
{
    for (size_t i = 0; i < n; i += 8)
        _mm256_storeu_ps(score + i,
                         avx2_softcap(_mm256_loadu_ps(score + i), cap));
}

/* Scores to exp(score - max) and the end of out. The sum has 8 lanes by row. */
static void normalize(float *score, size_t n, float *max, float *sum)
{
    __m256 m = _mm256_set1_ps(-INFINITY), total = _mm256_setzero_ps();
    for (size_t i = n; i % 8; i++)
        score[i] = -INFINITY;
    for (size_t i = 0; i < n; i += 8)
        m = _mm256_max_ps(m, _mm256_loadu_ps(score + i));
    *max = avx2_max(m);
    m = _mm256_set1_ps(*max);
    for (size_t i = 0; i < n; i += 8) {
        const __m256 p = avx2_exp(_mm256_sub_ps(_mm256_loadu_ps(score + i), m));
        _mm256_storeu_ps(score + i, p);
        total = _mm256_add_ps(total, p);
    }
    *sum = avx2_sum(total);
}

/* --------------------------------------------------------- pass two: p v */

/* 16 * chunks values (or the last 8) of `heads` heads from h on. */
INLINE void mix(const struct heads *t, size_t h, size_t j, int heads,
                int chunks, bool half, enum clsa_format format)
{
    __m256 a[CLSA_ATTEND_HEADS][CHUNKS], b[CLSA_ATTEND_HEADS][CHUNKS];
    const size_t n = t->rows->n;
    const char *v = t->rows->v;
    UNROLL
    for (int k = 0; k < heads; k++) {
        UNROLL
        for (int c = 0; c < chunks; c++)
            a[k][c] = b[k][c] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < n; i++) {
        UNROLL
        for (int c = 0; c < chunks; c++) {
            const struct pair x =
                load(v + t->at[i], j + 16 * (size_t)c, half, format);
            UNROLL
            for (int k = 0; k < heads; k++) {
                const __m256 p = _mm256_set1_ps(t->score[h + (size_t)k][i]);
                a[k][c] = _mm256_fmadd_ps(p, x.a, a[k][c]);
                if (!half)
                    b[k][c] = _mm256_fmadd_ps(p, x.b, b[k][c]);
            }
        }
    }
    UNROLL
    for (int k = 0; k < heads; k++) {
        float *out = t->out + (h + (size_t)k) * (t->e + 2) + j;
        UNROLL
        for (int c = 0; c < chunks; c++)
            store(out + 16 * c, a[k][c], b[k][c], half, format);
    }
}

/* All values of `heads` heads; enough chunks for 8 FMAs in flight. */
INLINE void values(const struct heads *t, size_t h, int heads,
                   enum clsa_format format)
{
    const int chunks = heads == 1 ? 4 : heads <= 3 ? 2 : 1;
    const size_t wide = 16 * (size_t)chunks;
    size_t j = 0;
    for (; j + wide <= t->e; j += wide)
        mix(t, h, j, heads, chunks, false, format);
    if (chunks > 1)
        for (; j + 16 <= t->e; j += 16)
            mix(t, h, j, heads, 1, false, format);
    if (j < t->e)
        mix(t, h, j, heads, 1, true, format);
}

/* ------------------------------------------------------------------ kernel */

INLINE void all_scores(struct heads *t, enum clsa_format format)
{
    size_t h = 0;
    for (; h + 4 <= t->r; h += 4)
        scores(t, h, 4, 2, format);
    for (; h + 2 <= t->r; h += 2)
        scores(t, h, 2, 4, format);
    if (h < t->r)
        scores(t, h, 1, 8, format);
}

/* Up to 6 heads at once fit in the registers. */
INLINE void all_values(const struct heads *t, enum clsa_format format)
{
    size_t h = 0;
    for (; t->r - h > 6; h += 4)
        values(t, h, 4, format);
    switch (t->r - h) {
    case 1:
        values(t, h, 1, format);
        break;
    case 2:
        values(t, h, 2, format);
        break;
    case 3:
        values(t, h, 3, format);
        break;
    case 4:
        values(t, h, 4, format);
        break;
    case 5:
        values(t, h, 5, format);
        break;
    default:
        values(t, h, 6, format);
    }
}

/* The rows are copied, for what is written to scratch could change them. */
INLINE void attend(float *out, const float *q, size_t r, size_t e,
                   const struct clsa_rows *list, enum clsa_format format)
{
    const struct clsa_rows copy = *list, *rows = &copy;
    struct heads t;
    t.out = out;
    t.r = r;
    t.e = e;
    t.rows = rows;
    t.score = rows->scratch;
    for (size_t i = 0; i < rows->n; i++)
        t.at[i] = (rows->order ? rows->order[i] : i) * rows->stride;
    for (size_t h = 0; h < r; h++)
        arrange(out + h * (e + 2), q + h * e, e, format);
    all_scores(&t, format);
    for (size_t h = 0; h < r; h++) {
        float *end = out + h * (e + 2) + e;
        if (rows->cap > 0)
            cap_scores(t.score[h], rows->n, rows->cap);
        normalize(t.score[h], rows->n, end, end + 1);
    }
    all_values(&t, format);
}

#define ATTEND(name, format)                                                   \
    static void attend_##name##_avx2(float *out, const float *q, size_t r,     \
                                     size_t e, const struct clsa_rows *rows)   \
    {                                                                          \
        attend(out, q, r, e, rows, format);                                    \
    }

CLSA_ROW_FORMATS(ATTEND)

#define FILL(name, format) table->attend[format] = attend_##name##_avx2;

void clsa_attend_avx2(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
