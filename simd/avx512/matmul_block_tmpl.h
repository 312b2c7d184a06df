/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_block_tmpl.h: the products of Q8_0 and Q4_0 weight rows and columns,
 * a template. matmul_q8_0*.c and matmul_q4_0*.c define before they include it:
 *
 *   BLOCK_BYTES       bytes of a block of the weights
 *   PACKED_VECTORS    vectors of a packed block
 *   EXPANDED_VECTORS  vectors that DOT_BLOCK takes
 *   PACK_BLOCK        function: one block of 16 rows -> packed vectors
 *   EXPAND_BLOCK      function: packed -> expanded vectors
 *   WEIGHT_OFFSET     what the packed weights are larger by than the weights
 *   DOT_BLOCK         function: start + expanded vectors x one block of a
 *                     column -> 16 exact sums; `columns` go side by side
 *   ONE_COLUMN        kernel for n = 1
 *
 * It defines matmul_block(), and undefines them.
 *
 * Sixteen rows make a panel, one row a lane. A packed block is transposed:
 *
 *   vector k, lane r  =  the four bytes 4k..4k+3 of row r's block
 *
 * so that a dot instruction with four broadcast bytes of the column adds to
 * the sixteen block sums, nothing is ever summed across lanes, and conversion
 * and scales are paid once for 16 x 32 products. Blocks are packed (4 KiB) and
 * summed an octet at a time (x86.h), whatever the number of columns. AVX2 gives
 * the same bits, and its kernel for one column is the better one: it is bound
 * by memory, and transposing the weights for one product each takes longer than
 * adding across (28 against 21 GB/s of Q8_0 if a plain loop reads 33; Xeon, 2
 * threads, November 2026). With VNNI it is matvec_vnni_tmpl.h.
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef PACKED_VECTORS
#error "PACKED_VECTORS: see above"
#endif
#ifndef EXPANDED_VECTORS
#error "EXPANDED_VECTORS: see above"
#endif
#ifndef WEIGHT_OFFSET
#error "WEIGHT_OFFSET: see above"
#endif
#ifndef PACK_BLOCK
#error "PACK_BLOCK: see above"
#endif
#ifndef EXPAND_BLOCK
#error "EXPAND_BLOCK: see above"
#endif
#ifndef DOT_BLOCK
#error "DOT_BLOCK: see above"
#endif
#ifndef ONE_COLUMN
#error "ONE_COLUMN: see above"
#endif

struct row_panel {
    const uint8_t *row[LANES];
    const uint8_t *next; /* the next panel, NULL at the end */
    size_t blocks;       /* of a row */
    __mmask16 valid;
    /* a packed chunk, for its second tile on */
    __m256i d[OCTET];
    __m512i w[OCTET][PACKED_VECTORS];
};

/*
 * The next panel follows this one as a whole, so it is prefetched in
 * address order, at the speed at which this one is used: a block of it in
 * `slots` parts between the arithmetic. At once they would wait for each other
 * (8 columns of Q8_0: 3300 us, in parts 2780).
 */
INLINE void prefetch_next(const struct row_panel *p, size_t b, size_t slot,
                          size_t slots)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    if (p->next)
        avx512_prefetch_part(p->next + b * bytes, bytes, slot, slots);
}

/* What WEIGHT_OFFSET adds to the sums of up to 8 columns c.., taken off. */
struct starts {
    int32_t of[OCTET][8];
};

INLINE void take_starts(struct starts *starts, const struct clsa_act *a,
                        size_t from, size_t to, size_t c, const int columns)
{
    const __mmask8 m = (__mmask8)((1u << columns) - 1);
    for (size_t b = from; WEIGHT_OFFSET && b < to; b++)
        _mm256_storeu_si256(
            (__m256i *)starts->of[b - from],
            _mm256_mullo_epi32(
                _mm256_maskz_loadu_epi32(m, a->sum + b * a->ldd + c),
                _mm256_set1_epi32(-WEIGHT_OFFSET)));
}

/* sum + d_w * d_a * dot */
INLINE __m512 add_block(__m512 sum, const __m512i w[EXPANDED_VECTORS],
                        __m512 dw, const struct clsa_act *a, size_t b, size_t c,
                        int32_t start, const int columns)
{
    __m512i dot =
        DOT_BLOCK(w, a->q + c * a->ldq + b * CLSA_BLOCK, start, columns);
    __m512 d = _mm512_mul_ps(dw, _mm512_set1_ps(a->d[b * a->ldd + c]));
    return _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(dot), sum);
}

INLINE void keep_block(struct row_panel *p, size_t i, __m256i d,
                       const __m512i packed[PACKED_VECTORS])
{
    p->d[i] = d;
    UNROLL
    for (int k = 0; k < PACKED_VECTORS; k++)
        p->w[i][k] = packed[k];
}

/*
 * Columns c.. of the chunk that begins at block `from`. The first tile of a
 * chunk reads the rows and packs, which overlaps with its dot instructions;
 * `keep`: it stores what it packed for the others. The sums rest in y.
 */
INLINE void tile(float *y, size_t ldy, struct row_panel *p,
                 const struct clsa_act *a, size_t from, size_t c,
                 const int columns, const int first, int keep)
{
    const size_t to = avx512_min_size(from + OCTET, p->blocks);
    struct starts starts;
    __m512 sum[8];
    UNROLL
    for (int j = 0; j < columns; j++)
        sum[j] = _mm512_setzero_ps();
    take_starts(&starts, a, from, to, c, columns);
    for (size_t b = from; b < to; b++) {
        __m512i packed[PACKED_VECTORS], w[EXPANDED_VECTORS];
        __m256i d;
        if (first) {
            prefetch_next(p, b, 0, columns + 2);
            d = avx512_sixteen_words(p->row, b * BLOCK_BYTES);
            PACK_BLOCK(packed, p->row, b * BLOCK_BYTES);
            if (keep)
                keep_block(p, b - from, d, packed);
        } else {
            d = p->d[b - from];
            UNROLL
            for (int k = 0; k < PACKED_VECTORS; k++)
                packed[k] = p->w[b - from][k];
        }
        if (first)
            prefetch_next(p, b, 1, columns + 2);
        EXPAND_BLOCK(w, packed);
        __m512 dw = _mm512_cvtph_ps(d);
        UNROLL
        for (int j = 0; j < columns; j++) {
            sum[j] =
                add_block(sum[j], w, dw, a, b, c + j,
                          WEIGHT_OFFSET ? starts.of[b - from][j] : 0, columns);
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
static size_t first_tile(float *y, size_t ldy, struct row_panel *p,
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

static void panel_columns(float *y, size_t ldy, struct row_panel *p,
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
        from += OCTET;
    } while (from < p->blocks);
}

INLINE void matmul_block(float *y, size_t ldy, const void *w, size_t rows,
                         const struct clsa_act *a)
{
    struct row_panel p;

    if (a->n == 1) {
        ONE_COLUMN(y, ldy, w, rows, a);
        return;
    }
    p.blocks = a->len / CLSA_BLOCK;
    const size_t stride = p.blocks * BLOCK_BYTES;

    for (size_t i = 0; a->n && i < rows; i += LANES) {
        const uint8_t *first = (const uint8_t *)w + i * stride;
        for (size_t r = 0; r < LANES; r++)
            p.row[r] = first + avx512_min_size(r, rows - i - 1) * stride;
        p.valid = avx512_first_lanes(rows - i);
        p.next = rows - i >= 2 * LANES ? first + LANES * stride : NULL;
        panel_columns(y + i, ldy, &p, a);
    }
}

#undef BLOCK_BYTES
#undef PACKED_VECTORS
#undef EXPANDED_VECTORS
#undef WEIGHT_OFFSET
#undef PACK_BLOCK
#undef EXPAND_BLOCK
#undef DOT_BLOCK
#undef ONE_COLUMN
