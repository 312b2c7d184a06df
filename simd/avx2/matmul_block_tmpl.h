/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_block_tmpl.h: the products of Q8_0 and Q4_0 weight rows and columns,
 * a template. matmul_q8_0.c and matmul_q4_0.c define before they include it:
 *
 *   BLOCK_BYTES     bytes of a block of the weights
 *   DOT_BLOCK       function: product of a block and 32 values, as 32-bit
 *                   partial sums, or as 16-bit ones if BLOCK_WORDS
 *   BLOCK_WORDS     true or false
 *   MULTIPLY_BLOCK  function: integer sums of one block of some rows and some
 *                   groups of columns
 *   PACKED_STEPS    steps of 4 bytes in a packed block of a column: 8, or 16
 *                   if its values are widened to 16 bits
 *   PAIR_ROWS       rows of a tile of two groups of columns
 *
 * It defines matmul_block(), and undefines them.
 *
 * One order of sums for every n, see OCTET in x86.h. Two ways compute the same
 * bits:
 *
 * - few columns, bound by memory: a row at a time, as one stream of memory
 *   reads fastest. The blocks of an octet are added across at once, and their
 *   products with the scales go to the sum one by one.
 * - more columns, bound by arithmetic: the lanes are 8 columns. Activations
 *   are packed so that a vector holds 4 bytes of each of 8 columns, and 4 bytes
 *   of a weight row are broadcast against it. A block of 8 columns takes one
 *   conversion, one scale and one FMA instead of eight of each.
 *
 * Packed columns, for block b and group g of 8 columns (G groups):
 *     x[(b * G + g) * GROUP_BYTES + step * 32 + column * 4]: values of the step
 *     d[(b * G + g) * 8 + column], minus[...] = -8 * sum of the block
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef BLOCK_WORDS
#error "BLOCK_WORDS: see above"
#endif
#ifndef PACKED_STEPS
#error "PACKED_STEPS: see above"
#endif
#ifndef PAIR_ROWS
#error "PAIR_ROWS: see above"
#endif
#ifndef DOT_BLOCK
#error "DOT_BLOCK: see above"
#endif
#ifndef MULTIPLY_BLOCK
#error "MULTIPLY_BLOCK: see above"
#endif

#define PACKED_WIDE   (PACKED_STEPS == 16)
#define GROUP_BYTES   (PACKED_STEPS * 32)
#define PACKED_BLOCKS (AVX2_PACKED_BYTES / GROUP_BYTES) /* of one group */

struct packed_columns {
    _Alignas(32) int8_t x[PACKED_BLOCKS * GROUP_BYTES];
    float d[PACKED_BLOCKS * LANES];
    int32_t minus[PACKED_BLOCKS * LANES];
};

_Static_assert(sizeof(struct packed_columns) <= CLSA_KERNEL_SCRATCH, "simd.h");

/* ------------------------------------------------------------- few columns */

/* The scales of 8 blocks. Broadcasts and blends, which leave alone the port of
   the shuffles that the sums go through. */
INLINE __m256 scales8(const uint8_t *const w[OCTET])
{
    __m256i d[OCTET];
    UNROLL
    for (int i = 0; i < OCTET; i++)
        d[i] = avx2_broadcast4(w[i]);
    UNROLL
    for (int i = 0; i < OCTET; i += 2)
        d[i] = _mm256_blend_epi32(d[i], d[i + 1], 0xaa);
    UNROLL
    for (int i = 0; i < OCTET; i += 4)
        d[i] = _mm256_blend_epi32(d[i], d[i + 2], 0xcc);
    d[0] = _mm256_blend_epi32(d[0], d[4], 0xf0);
    d[0] = _mm256_and_si256(d[0], _mm256_set1_epi32(0xffff));
    d[0] = _mm256_permute4x64_epi64(_mm256_packus_epi32(d[0], d[0]), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(d[0]));
}

/* Values of 8 blocks of a column, `left` are there; ld: from block to block. */
INLINE __m256i column8(const void *p, size_t ld, size_t left)
{
    const int32_t *v = p;
    int32_t all[OCTET];
    if (ld == 1 && left >= OCTET)
        return _mm256_loadu_si256(p);
    for (size_t b = 0; b < OCTET; b++)
        all[b] = v[(b < left ? b : left - 1) * ld];
    return _mm256_loadu_si256((const __m256i *)all);
}

/* The sum of up to 8 blocks of a row, with a line of what comes later for each
   of them while there are more. */
INLINE float octet(const uint8_t *row, const struct clsa_act *a, size_t c,
                   size_t b, size_t left)
{
    const int8_t *q = a->q + c * a->ldq + b * CLSA_BLOCK;
    const size_t at = b * a->ldd + c;
    const uint8_t *w[OCTET];
    __m256i v[OCTET], isum;
    float scale[OCTET], value[OCTET], y = 0;
    UNROLL
    for (size_t i = 0; i < OCTET; i++) {
        const size_t k = i < left ? i : left - 1;
        w[i] = row + k * BLOCK_BYTES;
        v[i] = DOT_BLOCK(
            w[i], _mm256_loadu_si256((const __m256i *)(q + k * CLSA_BLOCK)));
        if (i * 64 < OCTET * BLOCK_BYTES)
            prefetch_l1((const char *)row + AVX2_STREAM_AHEAD + i * 64);
        PIN(v[i]);
    }
    isum = avx2_isum8(v, BLOCK_WORDS);
    if (BLOCK_WORDS)
        isum = _mm256_sub_epi32(
            _mm256_madd_epi16(isum, _mm256_set1_epi16(1)),
            _mm256_slli_epi32(column8(a->sum + at, a->ldd, left), 3));
    _mm256_storeu_ps(value, _mm256_cvtepi32_ps(isum));
    _mm256_storeu_ps(scale,
                     _mm256_mul_ps(scales8(w), _mm256_castsi256_ps(column8(
                                                   a->d + at, a->ldd, left))));
    AVX2_IN_MEMORY(scale); /* loads are free here, and shuffles are not */
    AVX2_IN_MEMORY(value);
    UNROLL
    for (size_t i = 0; i < OCTET; i++)
        if (i < left)
            y = __builtin_fmaf(scale[i], value[i], y);
    return y;
}

/* One row and one column. Rows follow each other, so that all of them are one
   stream of memory. */
INLINE float dot(const uint8_t *row, const struct clsa_act *a, size_t c)
{
    const size_t blocks = a->len / CLSA_BLOCK;
    float y = 0;
    size_t b = 0;
    for (; b + OCTET <= blocks; b += OCTET) {
        y += octet(row, a, c, b, OCTET);
        row += OCTET * BLOCK_BYTES;
    }
    return b < blocks ? y + octet(row, a, c, b, blocks - b) : y;
}

/* Columns from..to of all rows. */
static void few_columns(float *y, size_t ldy, const uint8_t *w, size_t rows,
                        const struct clsa_act *a, size_t from, size_t to)
{
    const size_t bytes = a->len / CLSA_BLOCK * BLOCK_BYTES;
    for (size_t i = 0; i < rows; i++)
        for (size_t c = from; c < to; c++)
            y[c * ldy + i] = dot(w + i * bytes, a, c);
}

/* ------------------------------------------------------------ more columns */

/* Part of a product: blocks first..first+blocks, columns from..from+cols. */
struct part {
    const struct clsa_act *a;
    size_t first, blocks, from, cols;
};

/* A block of up to 8 columns; q: of the first one, `cols` are there. */
INLINE void pack_group(int8_t *x, const int8_t *q, size_t ldq, size_t cols)
{
    __m256i v[LANES];
    UNROLL
    for (int half = 0; half <= PACKED_WIDE; half++) {
        UNROLL
        for (size_t c = 0; c < LANES; c++) {
            const int8_t *from = q + c * ldq;
            if (c >= cols)
                v[c] = _mm256_setzero_si256();
            else if (PACKED_WIDE)
                v[c] = _mm256_cvtepi8_epi16(
                    _mm_loadu_si128((const __m128i *)(from + 16 * half)));
            else
                v[c] = _mm256_loadu_si256((const __m256i *)from);
        }
        avx2_transpose8(v);
        UNROLL
        for (int i = 0; i < LANES; i++)
            _mm256_store_si256((__m256i *)(x + (half * LANES + i) * 32), v[i]);
    }
}

/* Columns that are not there get zeros. */
static void pack(struct packed_columns *p, const struct part *t, size_t groups)
{
    const struct clsa_act *a = t->a;
    for (size_t b = 0; b < t->blocks; b++)
        for (size_t g = 0; g < groups; g++) {
            const size_t at = b * groups + g, c = g * LANES;
            const size_t from = (t->first + b) * a->ldd + t->from + c;
            const size_t cols = t->cols - c < LANES ? t->cols - c : LANES;
            pack_group(p->x + at * GROUP_BYTES,
                       a->q + (t->from + c) * a->ldq +
                           (t->first + b) * CLSA_BLOCK,
                       a->ldq, cols);
            for (size_t lane = 0; lane < LANES; lane++) {
                const bool there = lane < cols;
                p->d[at * LANES + lane] = there ? a->d[from + lane] : 0;
                p->minus[at * LANES + lane] =
                    there ? -8 * a->sum[from + lane] : 0;
            }
        }
}

/* A tile's sums live in y from one run of packed blocks to the next. */
static void transfer(float *y, size_t ldy, float *sum, size_t groups,
                     size_t rows, size_t cols, bool store)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++) {
            float *s = sum + (r * groups + c / LANES) * LANES + c % LANES;
            if (store)
                y[c * ldy + r] = *s;
            else
                *s = y[c * ldy + r];
        }
}

/* The scales of an octet of blocks of a row, of which `left` are there: eight
   at once if the products leave it little room (Q8_0; Q4_0 loses 4 %). */
INLINE void octet_scales(float *scale, const uint8_t *row, size_t left)
{
    const uint8_t *w[OCTET];
    UNROLL
    for (size_t i = 0; i < OCTET; i++)
        w[i] = row + (i < left ? i : left - 1) * BLOCK_BYTES;
    _mm256_storeu_ps(scale, scales8(w));
}

/* Adds packed blocks to a tile's sums. */
INLINE void tile(float *sums, const uint8_t *w, size_t bytes, size_t left,
                 const struct packed_columns *p, size_t blocks, int rows,
                 int groups)
{
    const uint8_t *row[AVX2_TILE_ROWS];
    __m256 acc[AVX2_TILE_ROWS][AVX2_COLUMN_GROUPS];
    float scale[AVX2_TILE_ROWS][OCTET];
    UNROLL
    for (int r = 0; r < rows; r++) {
        row[r] = w + ((size_t)r < left ? (size_t)r : left - 1) * bytes;
        UNROLL
        for (int g = 0; g < groups; g++)
            acc[r][g] = _mm256_setzero_ps();
    }
    for (size_t b = 0; b < blocks; b++) {
        const size_t at = b * (size_t)groups;
        __m256i isum[AVX2_TILE_ROWS][AVX2_COLUMN_GROUPS];
        if (PACKED_WIDE && b % OCTET == 0) {
            UNROLL
            for (int r = 0; r < rows; r++)
                octet_scales(scale[r], row[r], blocks - b);
        }
        /* the rows of the next tile: packing cuts every row into runs that
           are too short for the hardware to foresee */
        UNROLL
        for (int r = 0; r < rows; r++)
            avx2_prefetch_l2((const char *)row[r] + (size_t)rows * bytes);
        MULTIPLY_BLOCK(isum, row, p->x + at * GROUP_BYTES,
                       p->minus + at * LANES, rows, groups);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256 d = PACKED_WIDE ? _mm256_set1_ps(scale[r][b % OCTET])
                                         : avx2_block_scale(row[r]);
            UNROLL
            for (int g = 0; g < groups; g++)
                acc[r][g] = _mm256_fmadd_ps(
                    _mm256_mul_ps(
                        d, _mm256_loadu_ps(p->d + (at + (size_t)g) * LANES)),
                    _mm256_cvtepi32_ps(isum[r][g]), acc[r][g]);
            row[r] += BLOCK_BYTES;
        }
        if (b % OCTET < OCTET - 1 && b + 1 < blocks)
            continue;
        UNROLL
        for (int r = 0; r < rows; r++) {
            UNROLL
            for (int g = 0; g < groups; g++) {
                float *sum = sums + (r * groups + g) * LANES;
                _mm256_storeu_ps(
                    sum, _mm256_add_ps(_mm256_loadu_ps(sum), acc[r][g]));
                acc[r][g] = _mm256_setzero_ps();
            }
        }
    }
}

INLINE void part_rows(float *y, size_t ldy, const uint8_t *w, size_t rows,
                      const struct part *t, const struct packed_columns *p,
                      int height, int groups)
{
    const size_t bytes = t->a->len / CLSA_BLOCK * BLOCK_BYTES;
    const size_t step = (size_t)height;
    w += t->first * BLOCK_BYTES;
    y += t->from * ldy;
    for (size_t i = 0; i < rows; i += step, w += step * bytes) {
        float sums[AVX2_TILE_ROWS * AVX2_COLUMN_GROUPS * LANES] = {0};
        const size_t left = rows - i;
        const size_t high = left < step ? left : step;
        if (t->first)
            transfer(y + i, ldy, sums, (size_t)groups, high, t->cols, false);
        tile(sums, w, bytes, left, p, t->blocks, height, groups);
        transfer(y + i, ldy, sums, (size_t)groups, high, t->cols, true);
    }
}

/* Up to 16 columns from `from` on. */
static void more_columns(float *y, size_t ldy, const uint8_t *w, size_t rows,
                         const struct clsa_act *a, size_t from, size_t to)
{
    const size_t blocks = a->len / CLSA_BLOCK;
    struct packed_columns *const p = a->scratch;
    const size_t groups = to - from > LANES ? 2 : 1;
    struct part t = {a, 0, PACKED_BLOCKS / groups, from, to - from};
    for (; t.first < blocks; t.first += t.blocks) {
        if (t.blocks > blocks - t.first)
            t.blocks = blocks - t.first;
        pack(p, &t, groups);
        if (groups > 1)
            part_rows(y, ldy, w, rows, &t, p, PAIR_ROWS, 2);
        else
            part_rows(y, ldy, w, rows, &t, p, AVX2_TILE_ROWS, 1);
    }
}

INLINE void matmul_block(float *y, size_t ldy, const void *w, size_t rows,
                         const struct clsa_act *a)
{
    for (size_t c = 0, to; c < a->n; c = to) {
        const size_t left = a->n - c;
        const size_t most =
            left < LANES + AVX2_PACK_COLUMNS ? LANES : 2 * LANES;
        to = left < most ? a->n : c + most;
        if (to - c >= AVX2_PACK_COLUMNS && a->len > 0)
            more_columns(y, ldy, w, rows, a, c, to);
        else
            few_columns(y, ldy, w, rows, a, c, to);
    }
}

#undef PACKED_WIDE
#undef GROUP_BYTES
#undef PACKED_BLOCKS
#undef BLOCK_BYTES
#undef BLOCK_WORDS
#undef PACKED_STEPS
#undef PAIR_ROWS
#undef DOT_BLOCK
#undef MULTIPLY_BLOCK
