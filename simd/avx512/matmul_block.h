/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_block.h: the loops of the Q8_0 and Q4_0 matmul, included once by
 * each matmul_q*.c, which has defined before:
 *
 *   BLOCK_BYTES   bytes of a block of the weights
 *   PACKED        vectors of a packed block
 *   EXPANDED      vectors that dot_block takes
 *   pack_block    one block of 16 rows -> PACKED vectors
 *   expand_block  PACKED -> EXPANDED vectors
 *   OFFSET        what the packed weights are larger by than they should be
 *   dot_block     start + EXPANDED vectors x one block of a column -> 16 exact
 *                 sums; `columns` go side by side
 *
 * Sixteen rows make a panel, one row a lane. A packed block is transposed:
 *
 *   vector k, lane r  =  the four bytes 4k..4k+3 of row r's block
 *
 * so that a dot instruction with four broadcast bytes of the column adds to
 * the sixteen block sums, nothing is ever summed across lanes, and conversion
 * and scales are paid once for 16 x 32 products. Eight blocks after the other
 * are summed up, fma(d_w * d_a, dot, sum) from 0 on, and added to the sum of
 * the row, whatever the number of columns. Those are the bits of AVX2 as well,
 * whose kernel for one column is the better one: it is bound by memory, and
 * turning the weights for one product each takes longer than adding across (28
 * against 21 GB/s of Q8_0 where a plain loop reads 33; Xeon, 2 threads,
 * November 2026). With VNNI it is that of matvec_vnni.h.
 */
#include "simd/avx512/transpose.h"

struct panel {
    const uint8_t *row[LANES];
    const uint8_t *next; /* the weights behind the panel, NULL at the end */
    size_t blocks;       /* of a row */
    __mmask16 valid;
    /* a packed chunk, for its second tile on */
    __m256i d[PANEL_BLOCKS];
    __m512i w[PANEL_BLOCKS][PACKED];
};

/*
 * The next panel lies behind this one as a whole, so it is asked for in
 * address order, at the speed at which this one is used: a block of it in
 * `slots` parts between the arithmetic. At once they would wait for each other
 * (8 columns of Q8_0: 3300 us, in parts 2780).
 */
INLINE void prefetch_next(const struct panel *p, size_t b, size_t slot,
                          size_t slots)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    if (p->next)
        prefetch_part(p->next + b * bytes, bytes, slot, slots);
}

/* The kernel for one column. */
static void (*one_column)(float *y, size_t ldy, const void *w, size_t rows,
                          const struct clsa_act *a);

/* What OFFSET adds to the sums of up to 8 columns c.., taken off. */
struct starts {
    int32_t of[PANEL_BLOCKS][8];
};

INLINE void take_starts(struct starts *starts, const struct clsa_act *a,
                        size_t from, size_t to, size_t c, const int columns)
{
    const __mmask8 m = (__mmask8)((1u << columns) - 1);
    for (size_t b = from; OFFSET && b < to; b++)
        _mm256_storeu_si256((__m256i *)starts->of[b - from],
                            _mm256_mullo_epi32(_mm256_maskz_loadu_epi32(
                                                   m, a->sum + b * a->ldd + c),
                                               _mm256_set1_epi32(-OFFSET)));
}

/* sum + d_w * d_a * dot */
INLINE __m512 add_block(__m512 sum, const __m512i w[EXPANDED], __m512 dw,
                        const struct clsa_act *a, size_t b, size_t c,
                        int32_t start, const int columns)
{
    __m512i dot =
        dot_block(w, a->q + c * a->ldq + b * CLSA_BLOCK, start, columns);
    __m512 d = _mm512_mul_ps(dw, _mm512_set1_ps(a->d[b * a->ldd + c]));
    return _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(dot), sum);
}

INLINE void keep_block(struct panel *p, size_t i, __m256i d,
                       const __m512i packed[PACKED])
{
    p->d[i] = d;
    UNROLL
    for (int k = 0; k < PACKED; k++)
        p->w[i][k] = packed[k];
}

/*
 * Columns c.. of the chunk that begins at block `from`. The first tile of a
 * chunk reads the rows and packs, which overlaps with its dot instructions;
 * `keep`: it stores what it packed for the others. The sums rest in y.
 */
INLINE void tile(float *y, size_t ldy, struct panel *p,
                 const struct clsa_act *a, size_t from, size_t c,
                 const int columns, const int first, int keep)
{
    const size_t to = min_size(from + PANEL_BLOCKS, p->blocks);
    struct starts starts;
    __m512 sum[8];
    UNROLL
    for (int j = 0; j < columns; j++)
        sum[j] = _mm512_setzero_ps();
    take_starts(&starts, a, from, to, c, columns);
    for (size_t b = from; b < to; b++) {
        __m512i packed[PACKED], w[EXPANDED];
        __m256i d;
        if (first) {
            prefetch_next(p, b, 0, columns + 2);
            d = sixteen_words(p->row, b * BLOCK_BYTES);
            pack_block(packed, p->row, b * BLOCK_BYTES);
            if (keep)
                keep_block(p, b - from, d, packed);
        } else {
            d = p->d[b - from];
            UNROLL
            for (int k = 0; k < PACKED; k++)
                packed[k] = p->w[b - from][k];
        }
        if (first)
            prefetch_next(p, b, 1, columns + 2);
        expand_block(w, packed);
        __m512 dw = _mm512_cvtph_ps(d);
        UNROLL
        for (int j = 0; j < columns; j++) {
            sum[j] = add_block(sum[j], w, dw, a, b, c + j,
                               OFFSET ? starts.of[b - from][j] : 0, columns);
            if (first)
                prefetch_next(p, b, j + 2, columns + 2);
        }
    }
    UNROLL
    for (int j = 0; j < columns; j++) {
        float *out = y + (c + j) * ldy;
        const __m512 before =
            from ? _mm512_maskz_loadu_ps(p->valid, out) : _mm512_setzero_ps();
        _mm512_mask_storeu_ps(out, p->valid, _mm512_add_ps(before, sum[j]));
    }
}

/* The widest first tile that two columns or more fill; returns its width. */
static size_t first_tile(float *y, size_t ldy, struct panel *p,
                         const struct clsa_act *a, size_t from)
{
    if (a->n >= 8) {
        tile(y, ldy, p, a, from, 0, 8, 1, a->n > 8);
        return 8;
    }
    if (a->n >= 4) {
        tile(y, ldy, p, a, from, 0, 4, 1, a->n > 4);
        return 4;
    }
    tile(y, ldy, p, a, from, 0, 2, 1, a->n > 2);
    return 2;
}

static void panel_columns(float *y, size_t ldy, struct panel *p,
                          const struct clsa_act *a)
{
    size_t from = 0;
    do { /* once even for no blocks, to clear y */
        size_t c = first_tile(y, ldy, p, a, from);
        for (; c + 8 <= a->n; c += 8)
            tile(y, ldy, p, a, from, c, 8, 0, 0);
        for (; c + 4 <= a->n; c += 4)
            tile(y, ldy, p, a, from, c, 4, 0, 0);
        for (; c + 2 <= a->n; c += 2)
            tile(y, ldy, p, a, from, c, 2, 0, 0);
        for (; c < a->n; c++)
            tile(y, ldy, p, a, from, c, 1, 0, 0);
        from += PANEL_BLOCKS;
    } while (from < p->blocks);
}

static void matmul_block(float *y, size_t ldy, const void *w, size_t rows,
                         const struct clsa_act *a)
{
    struct panel p;

    if (a->n == 1) {
        one_column(y, ldy, w, rows, a);
        return;
    }
    p.blocks = a->len / CLSA_BLOCK;
    const size_t stride = p.blocks * BLOCK_BYTES;

    for (size_t i = 0; a->n && i < rows; i += LANES) {
        const uint8_t *first = (const uint8_t *)w + i * stride;
        for (size_t r = 0; r < LANES; r++)
            p.row[r] = first + min_size(r, rows - i - 1) * stride;
        p.valid = first_lanes(rows - i);
        p.next = rows - i >= 2 * LANES ? first + LANES * stride : NULL;
        panel_columns(y + i, ldy, &p, a);
    }
}
