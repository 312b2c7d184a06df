/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k_tmpl.h: the products of Q4_K and Q6_K weight rows and columns, a
 * template. matmul_q4_k_tmpl.h and matmul_q6_k_tmpl.h define before they
 * include it:
 *
 *   BLOCK_BYTES   bytes of a block of the weights
 *   UNPACK_BLOCK  function: makes a struct avx512_k_block of the blocks at
 *                 byte `at` of sixteen rows
 *   BEGIN_COLUMN  function: completes a column, whose pointers are set
 *   ADD_PART      function: adds part p times the column; w: the values of the
 *                 part, ofs: p * ldd
 *
 * It defines matmul_k(), and undefines them.
 *
 * Sixteen rows make a panel, one row a lane. A block of a panel is unpacked
 * once for all columns, into L1, so that a dot instruction with four broadcast
 * bytes of the column adds to the sixteen sums, and nothing is ever summed
 * across lanes. Sums of a part times their scale stay below 2^24 and are exact
 * in float. They are added as by simd/avx2/matmul_k_tmpl.h, part by part over
 * the blocks and then the eight of a row, so these kernels give its bits. One
 * column goes this way, too: from a cache 9.4 ns for a block of Q4_K, where the
 * AVX2 kernel takes 14.2 (Xeon, family 6 model 207).
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef UNPACK_BLOCK
#error "UNPACK_BLOCK: see above"
#endif
#ifndef BEGIN_COLUMN
#error "BEGIN_COLUMN: see above"
#endif
#ifndef ADD_PART
#error "ADD_PART: see above"
#endif

#define K_TILE_COLUMNS 4  /* most columns of a tile */
#define K_MOST_COLUMNS 48 /* of all tiles to one pass over the rows */

_Static_assert(K_MOST_COLUMNS * sizeof(struct avx512_k_sums) <=
                   CLSA_KERNEL_SCRATCH,
               "simd.h");

struct k_panel {
    const uint8_t *row[LANES];
    const uint8_t *next; /* the next panel, NULL at the end */
    __mmask16 valid;
};

/* Columns c.. at block b. */
INLINE void tile(struct avx512_k_sums *sums, const struct avx512_k_block *u,
                 const struct clsa_act *a, size_t b, size_t c,
                 const int columns)
{
    struct avx512_k_column col[K_TILE_COLUMNS];
    UNROLL
    for (int j = 0; j < columns; j++) {
        const size_t at = c + (size_t)j;
        col[j].x = a->q + at * a->ldq + b * CLSA_K_BLOCK;
        col[j].d = a->d + b * CLSA_K_PARTS * a->ldd + at;
        col[j].sum = a->sum + b * CLSA_K_PARTS * a->ldd + at;
        BEGIN_COLUMN(&col[j]);
    }
    for (size_t p = 0; p < CLSA_K_PARTS; p++) {
        __m512i w[AVX512_PART_STEPS];
        UNROLL
        for (int k = 0; k < AVX512_PART_STEPS; k++)
            w[k] = u->q[p][k];
        UNROLL
        for (int j = 0; j < columns; j++)
            ADD_PART(&sums[c + (size_t)j], w, u, p, &col[j], p * a->ldd);
    }
}

/* In the order of avx2_sum. */
INLINE __m512 add_parts(const struct avx512_k_sums *s)
{
    __m512 v[CLSA_K_PARTS];
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS; p++)
        v[p] = _mm512_sub_ps(s->y[p], s->minus[p]);
    UNROLL
    for (int p = 0; p < CLSA_K_PARTS / 2; p++)
        v[p] = _mm512_add_ps(v[p], v[p + 4]);
    return _mm512_add_ps(_mm512_add_ps(v[0], v[2]), _mm512_add_ps(v[1], v[3]));
}

/* The next panel, at the speed at which this one is used. */
INLINE void prefetch_next(const struct k_panel *p, size_t b)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    if (!p->next)
        return;
    for (size_t at = 0; at < bytes; at += 64)
        prefetch_l2(p->next + b * bytes + at);
}

static void panel_columns(float *y, size_t ldy, const struct k_panel *p,
                          const struct clsa_act *a)
{
    struct avx512_k_sums *const sums = a->scratch;
    __builtin_memset(sums, 0, a->n * sizeof *sums);
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++) {
        struct avx512_k_block u;
        size_t c = 0;
        prefetch_next(p, b);
        UNPACK_BLOCK(&u, p->row, b * BLOCK_BYTES);
        for (; c + K_TILE_COLUMNS <= a->n; c += K_TILE_COLUMNS)
            tile(sums, &u, a, b, c, K_TILE_COLUMNS);
        for (; c < a->n; c++)
            tile(sums, &u, a, b, c, 1);
    }
    for (size_t c = 0; c < a->n; c++)
        _mm512_mask_storeu_ps(y + c * ldy, p->valid, add_parts(&sums[c]));
}

/* Up to K_MOST_COLUMNS columns. */
static void panels(float *y, size_t ldy, const uint8_t *w, size_t rows,
                   const struct clsa_act *a)
{
    const size_t stride = a->len / CLSA_K_BLOCK * BLOCK_BYTES;
    for (size_t i = 0; i < rows; i += LANES) {
        const uint8_t *first = w + i * stride;
        struct k_panel p;
        for (size_t r = 0; r < LANES; r++)
            p.row[r] = first + avx512_min_size(r, rows - i - 1) * stride;
        p.valid = avx512_first_lanes(rows - i);
        p.next = rows - i >= 2 * LANES ? first + LANES * stride : NULL;
        panel_columns(y + i, ldy, &p, a);
    }
}

INLINE void matmul_k(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a)
{
    for (size_t c = 0; c < a->n; c += K_MOST_COLUMNS) {
        struct clsa_act some = *a;
        some.n = avx512_min_size(K_MOST_COLUMNS, a->n - c);
        some.q += c * a->ldq;
        some.d += c;
        some.sum += c;
        panels(y + c * ldy, ldy, w, rows, &some);
    }
}

#undef K_TILE_COLUMNS
#undef K_MOST_COLUMNS
#undef BLOCK_BYTES
#undef UNPACK_BLOCK
#undef BEGIN_COLUMN
#undef ADD_PART
