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

#define K_COLUMNS      4   /* most columns of a tile */
#define K_MOST_COLUMNS 128 /* of all tiles to one pass over the rows */
#define BLOCK_VALUES   (BLOCKS_OF_32 ? CLSA_BLOCK : CLSA_K_BLOCK)
#define GROUP_BYTES    (CLSA_K_BLOCK / BLOCK_VALUES * BLOCK_BYTES)

/* Scales and sums of 256 values of a column, zeros after its end. */
struct factors_of_column {
    float d[CLSA_K_PARTS];
    int32_t sum[CLSA_K_PARTS];
};

/* Columns as they are multiplied: n of them. */
struct columns {
    size_t n, groups;             /* groups: of 256 values, the last one may
                                     have fewer blocks of 32 */
    size_t rest;                  /* blocks in it then, or 0 */
    struct factors_of_column *of; /* [n][groups] */
    int8_t (*last)[CLSA_K_BLOCK]; /* [n] values of such a group */
};

/* How many columns there is room for. */
static size_t most_columns(const struct clsa_act *a, size_t groups)
{
    const size_t each = groups * sizeof(struct factors_of_column) +
                        sizeof(int8_t[CLSA_K_BLOCK]);
    const size_t most = CLSA_KERNEL_SCRATCH / each;
    const size_t n = a->n < K_MOST_COLUMNS ? a->n : K_MOST_COLUMNS;
    return n < most ? n : most;
}

/* Factors of group g of column i. */
INLINE void take_factors(struct factors_of_column *to, const struct clsa_act *a,
                         size_t i, size_t g)
{
    const size_t blocks = a->len / CLSA_BLOCK;
    for (size_t p = 0; p < CLSA_K_PARTS; p++) {
        const size_t b = g * CLSA_K_PARTS + p, at = b * a->ldd + i;
        to->d[p] = b < blocks ? a->d[at] : 0;
        to->sum[p] = b < blocks ? a->sum[at] : 0;
    }
}

static void take_last(int8_t to[CLSA_K_BLOCK], const struct clsa_act *a,
                      size_t i, size_t rest)
{
    memset(to, 0, CLSA_K_BLOCK);
    memcpy(to, a->q + i * a->ldq + a->len - rest * CLSA_BLOCK,
           rest * CLSA_BLOCK);
}

/* One column after the other, so that its factors are loaded at once. */
static void take_columns(struct columns *c, const struct clsa_act *a)
{
    c->of = a->scratch;
    c->last = (int8_t(*)[CLSA_K_BLOCK])(void *)(c->of + c->n * c->groups);
    for (size_t i = 0; i < c->n; i++) {
        for (size_t g = 0; g < c->groups; g++)
            take_factors(c->of + i * c->groups + g, a, i, g);
        if (c->rest)
            take_last(c->last[i], a, i, c->rest);
    }
}

/* A group of a row and a tile of columns; x: its values of the first one. */
INLINE void add_group(struct avx2_k_sums *s, const uint8_t *group,
                      const int8_t *x, size_t ldx,
                      const struct factors_of_column *of, size_t groups,
                      int columns)
{
    struct avx2_k_block u;
    UNPACK_BLOCK(&u, group);
    UNROLL
    for (int c = 0; c < columns; c++) {
        const struct factors_of_column *f = of + (size_t)c * groups;
        MULTIPLY_BLOCK(&s[c], &u, x + (size_t)c * ldx, _mm256_loadu_ps(f->d),
                       _mm256_loadu_si256((const __m256i *)f->sum));
    }
}

INLINE void row_columns(float *y, size_t ldy, const uint8_t *row,
                        const struct clsa_act *a, const struct columns *c,
                        size_t from, int columns)
{
    const size_t whole = c->groups - (c->rest > 0);
    const struct factors_of_column *of = c->of + from * c->groups;
    const int8_t *x = a->q + from * a->ldq;
    struct avx2_k_sums s[K_COLUMNS];
    UNROLL
    for (int i = 0; i < columns; i++)
        s[i].y = s[i].minus = _mm256_setzero_ps();
    for (size_t b = 0; b < whole; b++) {
        for (size_t p = 0; p < GROUP_BYTES; p += 64)
            avx2_prefetch_l2((const char *)row + AVX2_AHEAD + p);
        add_group(s, row, x, a->ldq, of++, c->groups, columns);
        row += GROUP_BYTES;
        x += CLSA_K_BLOCK;
    }
    if (BLOCKS_OF_32 && c->rest) {
        uint8_t w[GROUP_BYTES] = {0};
        memcpy(w, row, c->rest * BLOCK_BYTES);
        add_group(s, w, c->last[from], CLSA_K_BLOCK, of, c->groups, columns);
    }
    UNROLL
    for (int i = 0; i < columns; i++)
        y[(from + (size_t)i) * ldy] =
            avx2_sum(_mm256_sub_ps(s[i].y, s[i].minus));
}

/* As many columns as there is room for. */
INLINE void all_rows(float *y, size_t ldy, const uint8_t *row, size_t rows,
                     const struct clsa_act *a, struct columns *c)
{
    const size_t bytes = a->len / BLOCK_VALUES * BLOCK_BYTES;
    take_columns(c, a);
    for (size_t r = 0; r < rows; r++, row += bytes) {
        size_t i = 0;
        for (; i + K_COLUMNS <= c->n; i += K_COLUMNS)
            row_columns(y + r, ldy, row, a, c, i, K_COLUMNS);
        for (; i + 2 <= c->n; i += 2)
            row_columns(y + r, ldy, row, a, c, i, 2);
        for (; i < c->n; i++)
            row_columns(y + r, ldy, row, a, c, i, 1);
    }
}

/* Column i, of which not even the factors have room. */
static void long_rows(float *y, const uint8_t *row, size_t rows,
                      const struct clsa_act *a, const struct columns *c,
                      size_t i)
{
    const size_t last = c->groups - 1;
    int8_t *const x = a->scratch;
    if (c->rest)
        take_last(x, a, i, c->rest);
    for (size_t r = 0; r < rows; r++) {
        struct avx2_k_sums s = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        for (size_t g = 0; g < c->groups; g++) {
            const bool part = c->rest && g == last;
            const size_t bytes = part ? c->rest * BLOCK_BYTES : GROUP_BYTES;
            struct factors_of_column f;
            uint8_t w[GROUP_BYTES] = {0};
            memcpy(w, row, bytes);
            take_factors(&f, a, i, g);
            add_group(&s, w, part ? x : a->q + i * a->ldq + g * CLSA_K_BLOCK, 0,
                      &f, 0, 1);
            row += bytes;
        }
        y[r] = avx2_sum(_mm256_sub_ps(s.y, s.minus));
    }
}

INLINE void matmul_k(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a)
{
    struct columns c = {
        .groups = (a->len + CLSA_K_BLOCK - 1) / CLSA_K_BLOCK,
        .rest = a->len % CLSA_K_BLOCK / CLSA_BLOCK,
    };
    const size_t most = most_columns(a, c.groups);
    for (size_t i = 0; i < a->n && !most; i++)
        long_rows(y + i * ldy, w, rows, a, &c, i);
    for (size_t i = 0; i < a->n && most; i += c.n) {
        struct clsa_act some = *a;
        c.n = a->n - i < most ? a->n - i : most;
        some.q += i * a->ldq;
        some.d += i;
        some.sum += i;
        all_rows(y + i * ldy, ldy, w, rows, &some, &c);
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
