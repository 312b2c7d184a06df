/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_k_tmpl.h: the products of weight rows in blocks with parts and
 * columns, a template. The files of these formats define before they include
 * it:
 *
 *   BLOCK_BYTES     bytes of a block of the weights
 *   BLOCKS_OF_32    true: of 32 values, false: of 256
 *   UNPACK_BLOCK    function: makes a struct avx2_k_block of a block of 256
 *                   values, or of eight blocks of 32
 *   FACTORS         function: its factors as floats, with FACTORS_MINS or not
 *   WEIGHT_OFFSET   what its values are larger by than the weights
 *   MULTIPLY_BLOCK  function: adds it times 256 values x; d and sum belong to
 *                   their 8 blocks
 *
 * It defines matmul_k() and load_k(), for rows as floats, and undefines them.
 *
 * The lanes are the eight parts of 32 values, which have one activation block
 * each: eight products are added across at once, and a block
 * takes one conversion, one scale and one FMA. The lanes are summed at the end
 * of the row. One way for any number of rows and columns, so that each result
 * has the same bits in any company; a block is unpacked once for all columns
 * of a group.
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef BLOCKS_OF_32
#error "BLOCKS_OF_32: see above"
#endif
#ifndef UNPACK_BLOCK
#error "UNPACK_BLOCK: see above"
#endif
#ifndef FACTORS
#error "FACTORS: see above"
#endif
#ifndef FACTORS_MINS
#error "FACTORS_MINS: see above"
#endif
#ifndef WEIGHT_OFFSET
#error "WEIGHT_OFFSET: see above"
#endif
#ifndef MULTIPLY_BLOCK
#error "MULTIPLY_BLOCK: see above"
#endif

#define K_COLUMNS      4   /* most columns of a group */
#define K_MOST_COLUMNS 128 /* of all groups to one pass over the rows */
#define BLOCK_VALUES   (BLOCKS_OF_32 ? CLSA_BLOCK : CLSA_K_BLOCK)
#define GROUP_BYTES    (CLSA_K_BLOCK / BLOCK_VALUES * BLOCK_BYTES)

/* Every `ld`th of 8 values. */
INLINE __m256i pick8(const void *p, size_t ld)
{
    const int ofs = (int)ld;
    if (ld == 1)
        return _mm256_loadu_si256(p);
    return _mm256_i32gather_epi32(p,
                                  _mm256_setr_epi32(0, ofs, 2 * ofs, 3 * ofs,
                                                    4 * ofs, 5 * ofs, 6 * ofs,
                                                    7 * ofs),
                                  4);
}

/* The blocks of 32 that come after the last eight, with zeros after them. */
struct rest {
    _Alignas(32) int8_t x[CLSA_K_BLOCK];
    float d[CLSA_K_PARTS];
    int32_t sum[CLSA_K_PARTS];
};

_Static_assert(sizeof(struct rest) * K_MOST_COLUMNS <= CLSA_KERNEL_SCRATCH,
               "simd.h");

static void take_rest(const struct clsa_act *a, size_t blocks)
{
    const size_t first = a->len / CLSA_BLOCK - blocks;
    struct rest *r = a->scratch;
    for (size_t c = 0; c < a->n; c++, r++) {
        memset(r, 0, sizeof *r);
        memcpy(r->x, a->q + c * a->ldq + first * CLSA_BLOCK,
               blocks * CLSA_BLOCK);
        for (size_t b = 0; b < blocks; b++) {
            r->d[b] = a->d[(first + b) * a->ldd + c];
            r->sum[b] = a->sum[(first + b) * a->ldd + c];
        }
    }
}

INLINE void add_rest(struct avx2_k_sums *s, const uint8_t *row, size_t blocks,
                     const struct rest *r, int columns)
{
    uint8_t w[GROUP_BYTES] = {0};
    struct avx2_k_block u;
    memcpy(w, row, blocks * BLOCK_BYTES);
    UNPACK_BLOCK(&u, w);
    UNROLL
    for (int c = 0; c < columns; c++)
        MULTIPLY_BLOCK(&s[c], &u, r[c].x, _mm256_loadu_ps(r[c].d),
                       _mm256_loadu_si256((const __m256i *)r[c].sum));
}

INLINE void row_columns(float *y, size_t ldy, const uint8_t *row,
                        const struct clsa_act *a, size_t from, int columns)
{
    const size_t rest = a->len % CLSA_K_BLOCK / CLSA_BLOCK;
    struct avx2_k_sums s[K_COLUMNS];
    UNROLL
    for (int c = 0; c < columns; c++)
        s[c].y = s[c].minus = _mm256_setzero_ps();
    for (size_t b = 0; b < a->len / CLSA_K_BLOCK; b++, row += GROUP_BYTES) {
        struct avx2_k_block u;
        UNPACK_BLOCK(&u, row);
        UNROLL
        for (int p = 0; p < CLSA_K_PARTS; p++) {
            if (p * 64 < GROUP_BYTES)
                prefetch_l1((const char *)row + AVX2_STREAM_AHEAD + p * 64);
            PIN(u.q[p]);
        }
        UNROLL
        for (int c = 0; c < columns; c++) {
            const size_t at = from + (size_t)c;
            const size_t scale = b * CLSA_K_PARTS * a->ldd + at;
            MULTIPLY_BLOCK(&s[c], &u, a->q + at * a->ldq + b * CLSA_K_BLOCK,
                           _mm256_castsi256_ps(pick8(a->d + scale, a->ldd)),
                           pick8(a->sum + scale, a->ldd));
        }
    }
    if (BLOCKS_OF_32 && rest)
        add_rest(s, row, rest, (const struct rest *)a->scratch + from, columns);
    UNROLL
    for (int c = 0; c < columns; c++)
        y[(from + (size_t)c) * ldy] =
            avx2_sum(_mm256_sub_ps(s[c].y, s[c].minus));
}

/* Up to K_MOST_COLUMNS columns. */
INLINE void all_rows(float *y, size_t ldy, const uint8_t *row, size_t rows,
                     const struct clsa_act *a)
{
    const size_t bytes = a->len / BLOCK_VALUES * BLOCK_BYTES;
    const size_t rest = a->len % CLSA_K_BLOCK / CLSA_BLOCK;
    if (BLOCKS_OF_32 && rest)
        take_rest(a, rest);
    for (size_t i = 0; i < rows; i++, row += bytes) {
        size_t c = 0;
        for (; c + K_COLUMNS <= a->n; c += K_COLUMNS)
            row_columns(y + i, ldy, row, a, c, K_COLUMNS);
        for (; c + 2 <= a->n; c += 2)
            row_columns(y + i, ldy, row, a, c, 2);
        for (; c < a->n; c++)
            row_columns(y + i, ldy, row, a, c, 1);
    }
}

INLINE void matmul_k(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a)
{
    for (size_t c = 0; c < a->n; c += K_MOST_COLUMNS) {
        struct clsa_act some = *a;
        some.n = a->n - c < K_MOST_COLUMNS ? a->n - c : K_MOST_COLUMNS;
        some.q += c * a->ldq;
        some.d += c;
        some.sum += c;
        all_rows(y + c * ldy, ldy, w, rows, &some);
    }
}

INLINE void load_group(float *y, const uint8_t *group)
{
    struct avx2_k_block u;
    struct avx2_factors f;
    UNPACK_BLOCK(&u, group);
    FACTORS(&f, &u, FACTORS_MINS);
    avx2_k_floats(y, &u, &f, WEIGHT_OFFSET);
}

INLINE void load_k(float *y, const void *x, size_t n)
{
    const uint8_t *group = x;
    for (; n >= CLSA_K_BLOCK; n -= CLSA_K_BLOCK, y += CLSA_K_BLOCK) {
        load_group(y, group);
        group += GROUP_BYTES;
    }
    if (BLOCKS_OF_32 && n) {
        uint8_t w[GROUP_BYTES] = {0};
        float all[CLSA_K_BLOCK];
        memcpy(w, group, n / CLSA_BLOCK * BLOCK_BYTES);
        load_group(all, w);
        memcpy(y, all, n * sizeof *y);
    }
}

#undef K_COLUMNS
#undef K_MOST_COLUMNS
#undef BLOCK_VALUES
#undef GROUP_BYTES
#undef BLOCKS_OF_32
#undef FACTORS
#undef FACTORS_MINS
#undef WEIGHT_OFFSET
#undef BLOCK_BYTES
#undef UNPACK_BLOCK
#undef MULTIPLY_BLOCK
