/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matvec_k_tmpl.h: the products of weight rows in blocks with parts and one or
 * two columns, a template. The VNNI files of these formats define before they
 * include it:
 *
 *   BLOCK_BYTES    bytes of a block of the weights
 *   BLOCKS_OF_32   true: of 32 values, false: of 256
 *   UNPACK_GROUP   function: a group of 256 values as four vectors of bytes
 *                  without a sign
 *   PLACES         the sixteen values from 16 * PLACES[4 * k + j] on are lane j
 *                  of 128 bits of vector k. Vectors 0 and 1 have the halves of
 *                  the same parts, and vectors 2 and 3 those of the others
 *   FACTORS        function: the factors of two groups
 *   SCALES         0: none but d, 1: of parts, 2: of halves of parts, which are
 *                  the sixteen int8 at SCALES_AT of a block
 *   MINS           0: none, 1: dmin alone, 2: dmin and min
 *   WEIGHT_OFFSET  what the bytes are larger by than the weights
 *   LEVEL_BELOW    kernel for more columns
 *
 * It defines matvec_k(), and undefines them.
 *
 * The result has the bits of simd/avx2/matmul_k_tmpl.h: lanes are the eight
 * parts, to which groups are added in ascending order, and which are summed at
 * the end of a row. Here two groups go side by side. All rows are one stream of
 * memory, whose lines are prefetched one by one among the arithmetic.
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef BLOCKS_OF_32
#error "BLOCKS_OF_32: see above"
#endif
#ifndef UNPACK_GROUP
#error "UNPACK_GROUP: see above"
#endif
#ifndef PLACES
#error "PLACES: see above"
#endif
#ifndef FACTORS
#error "FACTORS: see above"
#endif
#ifndef SCALES
#error "SCALES: see above"
#endif
#ifndef MINS
#error "MINS: see above"
#endif
#ifndef WEIGHT_OFFSET
#error "WEIGHT_OFFSET: see above"
#endif
#ifndef LEVEL_BELOW
#error "LEVEL_BELOW: see above"
#endif

#define GROUP_BYTES  (BLOCKS_OF_32 ? 8 * BLOCK_BYTES : BLOCK_BYTES)
#define BLOCK_VALUES (BLOCKS_OF_32 ? CLSA_BLOCK : CLSA_K_BLOCK)
#define PAIR_VALUES  (2 * CLSA_K_BLOCK)
#define PAIR_LINES   ((2 * GROUP_BYTES + 63) / 64)
#define HALVES       (SCALES == 2)
#define MOST_COLUMNS 2

static const uint8_t places[16] = PLACES;

/* Two groups of a column. Lanes as in the factors, or with scales of halves,
   `less` by group, by half_lane. */
struct k_pair {
    _Alignas(64) int8_t x[2][4][64]; /* by group, as UNPACK_GROUP has the
                                        weights */
    float d[LANES], sum[LANES];
    int32_t less[1 + HALVES][LANES];
};

struct k_columns {
    _Alignas(64) int32_t turn[LANES]; /* sums of two groups to parts */
    uint8_t scale_at[16];             /* of sums of halves */
    struct k_pair pair[];             /* [pairs][columns] */
};

/* Where the sum of lane j of vector k is among those of halves. */
INLINE size_t half_lane(size_t k, size_t j)
{
    return 4 * j + k / 2 + 2 * (k % 2);
}

static void prepare_orders(struct k_columns *c)
{
    for (size_t k = 0; k < 4; k++)
        for (size_t j = 0; j < 4; j++) {
            const size_t place = places[4 * k + j];
            c->scale_at[half_lane(k, j)] = (uint8_t)place;
            for (size_t g = 0; g < 2 && k % 2 == 0; g++)
                c->turn[8 * g + place / 2] = (int32_t)(4 * j + k / 2 + 2 * g);
        }
}

INLINE int32_t sum16(const int8_t *x)
{
    const __m128i v = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1),
                                       _mm_loadu_si128((const void *)x));
    const __m128i two = _mm_add_epi32(v, _mm_shuffle_epi32(v, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Group `group` of column c, or zeros after the end. */
static void prepare_group(struct k_pair *p, size_t g, const struct clsa_act *a,
                          size_t group, size_t c)
{
    const size_t first = group * CLSA_K_PARTS, blocks = a->len / CLSA_BLOCK;
    const size_t there = first < blocks ? blocks - first : 0;
    int8_t x[CLSA_K_BLOCK] = {0};
    __builtin_memcpy(x, a->q + c * a->ldq + first * CLSA_BLOCK,
                     avx512_min_size(there, CLSA_K_PARTS) * CLSA_BLOCK);
    for (size_t part = 0; part < CLSA_K_PARTS; part++) {
        const size_t at = (first + part) * a->ldd + c, lane = 8 * g + part;
        const int32_t sum = part < there ? a->sum[at] : 0;
        p->d[lane] = part < there ? a->d[at] : 0;
        p->sum[lane] = (float)sum;
        if (!HALVES)
            p->less[0][lane] = WEIGHT_OFFSET * sum;
    }
    for (size_t k = 0; k < 4; k++)
        for (size_t j = 0; j < 4; j++) {
            const int8_t *from = x + 16 * places[4 * k + j];
            __builtin_memcpy(&p->x[g][k][16 * j], from, 16);
            if (HALVES)
                p->less[HALVES * g][half_lane(k, j)] =
                    WEIGHT_OFFSET * sum16(from);
        }
}

/* ----------------------------------------------------------------- products */

/* Lane 4 j + i of the result is the sum of lane j of 128 bits of v[i]. */
INLINE __m512i sum_quarters(const __m512i v[4])
{
    return avx512_add_halves(avx512_add_pairs(v[0], v[1]),
                             avx512_add_pairs(v[2], v[3]));
}

/* The exact sums of the parts of two groups. */
INLINE __m512 dot_parts(const __m512i q[2][4], const struct k_pair *x,
                        __m512i turn)
{
    __m512i v[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i *w = q[i / 2] + i % 2 * 2;
        const int8_t(*by)[64] = x->x[i / 2] + i % 2 * 2;
        v[i] = _mm512_dpbusd_epi32(
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), w[0],
                                _mm512_load_si512(by[0])),
            w[1], _mm512_load_si512(by[1]));
    }
    __m512i sums = _mm512_permutexvar_epi32(turn, sum_quarters(v));
    if (WEIGHT_OFFSET)
        sums = _mm512_sub_epi32(sums, _mm512_load_si512(x->less[0]));
    return _mm512_cvtepi32_ps(sums);
}

/* The sums of halves of a group times their scales. */
INLINE __m512 dot_halves(const __m512i q[4], const struct k_pair *x, int g,
                         __m512 scale)
{
    static const int order[4] = {0, 2, 1, 3};
    __m512i v[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[order[i]],
                                   _mm512_load_si512(x->x[g][order[i]]));
    return _mm512_mul_ps(
        _mm512_cvtepi32_ps(_mm512_sub_epi32(
            sum_quarters(v), _mm512_load_si512(x->less[HALVES * g]))),
        scale);
}

/* The same of two groups, with the halves added: less than 2^24, so exact. */
INLINE __m512 add_halves(__m512 first, __m512 second, __m512i turn)
{
    const __m512d a = _mm512_castps_pd(first), b = _mm512_castps_pd(second);
    return _mm512_permutexvar_ps(
        turn, _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b))));
}

/* y + the first group's parts + the second one's */
INLINE __m256 add_groups(__m256 y, __m512 d, __m512 parts)
{
    y = _mm256_fmadd_ps(_mm512_castps512_ps256(d),
                        _mm512_castps512_ps256(parts), y);
    return _mm256_fmadd_ps(_mm512_extractf32x8_ps(d, 1),
                           _mm512_extractf32x8_ps(parts, 1), y);
}

struct k_sums {
    __m256 y, minus;
};

#if SCALES == 2
INLINE __m512 scales_of_halves(const uint8_t *w, const struct k_columns *c)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
        _mm_shuffle_epi8(_mm_loadu_si128((const void *)(w + SCALES_AT)),
                         _mm_load_si128((const void *)c->scale_at))));
}
#endif

/* Adds two groups to the sums of `columns` columns. */
INLINE void add_pair(struct k_sums *s, const uint8_t *w0, const uint8_t *w1,
                     const struct k_columns *c, const struct k_pair *x,
                     int columns, const uint8_t *ahead)
{
    const __m512i turn = _mm512_load_si512(c->turn);
    struct avx512_k_factors f;
    __m512i q[2][4];
    __m512 parts[MOST_COLUMNS];
    UNROLL
    for (int g = 0; g < 2; g++) {
        UNPACK_GROUP(q[g], g ? w1 : w0);
        UNROLL
        for (size_t line = 0; line < PAIR_LINES; line++)
            if (line % 3 == (size_t)g) {
                prefetch_l1(ahead + line * 64);
                PIN(q[g][line / 3 % 4]);
            }
    }
#if SCALES == 2
    const __m512 scale[2] = {scales_of_halves(w0, c), scales_of_halves(w1, c)};
    UNROLL
    for (int i = 0; i < columns; i++)
        parts[i] = add_halves(dot_halves(q[0], x + i, 0, scale[0]),
                              dot_halves(q[1], x + i, 1, scale[1]), turn);
#else
    UNROLL
    for (int i = 0; i < columns; i++)
        parts[i] = dot_parts(q, x + i, turn);
#endif
    UNROLL
    for (int i = 0; i < columns; i++)
        PIN(parts[i]);
    UNROLL
    for (size_t line = 2; line < PAIR_LINES; line += 3)
        prefetch_l1(ahead + line * 64);
    FACTORS(&f, w0, w1);
    UNROLL
    for (int i = 0; i < columns; i++) {
        const __m512 d = _mm512_load_ps(x[i].d);
        if (SCALES == 1)
            parts[i] = _mm512_mul_ps(parts[i], f.scale);
        s[i].y = add_groups(s[i].y, _mm512_mul_ps(f.d, d), parts[i]);
        if (MINS) {
            const __m512 sum = _mm512_load_ps(x[i].sum);
            s[i].minus =
                add_groups(s[i].minus, _mm512_mul_ps(f.dmin, d),
                           MINS == 2 ? _mm512_mul_ps(f.min, sum) : sum);
        }
    }
}

INLINE void k_rows(float *y, size_t ldy, const uint8_t *w, size_t rows,
                   const struct k_columns *c, size_t len, int columns)
{
    const size_t bytes = len / BLOCK_VALUES * BLOCK_BYTES;
    const size_t pairs = len / PAIR_VALUES;
    const size_t rest = bytes - pairs * 2 * GROUP_BYTES;
    for (size_t r = 0; r < rows; r++) {
        const struct k_pair *x = c->pair;
        struct k_sums s[MOST_COLUMNS];
        UNROLL
        for (int i = 0; i < columns; i++)
            s[i].y = s[i].minus = _mm256_setzero_ps();
        for (size_t p = 0; p < pairs; p++) {
            add_pair(s, w, w + GROUP_BYTES, c, x, columns,
                     w + AVX512_UNIT_AHEAD);
            w += 2 * GROUP_BYTES;
            x += columns;
        }
        if (rest) {
            uint8_t last[2 * GROUP_BYTES] = {0};
            __builtin_memcpy(last, w, rest);
            add_pair(s, last, last + GROUP_BYTES, c, x, columns,
                     w + AVX512_UNIT_AHEAD);
            w += rest;
        }
        UNROLL
        for (int i = 0; i < columns; i++)
            y[(size_t)i * ldy + r] =
                avx2_sum(MINS ? _mm256_sub_ps(s[i].y, s[i].minus) : s[i].y);
    }
}

INLINE void matvec_k(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a)
{
    const size_t pairs = (a->len + PAIR_VALUES - 1) / PAIR_VALUES;
    struct k_columns *const c = a->scratch;
    if (a->n > MOST_COLUMNS ||
        sizeof *c + pairs * a->n * sizeof *c->pair > CLSA_KERNEL_SCRATCH) {
        LEVEL_BELOW(y, ldy, w, rows, a);
        return;
    }
    prepare_orders(c);
    for (size_t p = 0; p < 2 * pairs; p++)
        for (size_t i = 0; i < a->n; i++)
            prepare_group(&c->pair[p / 2 * a->n + i], p % 2, a, p, i);
    if (a->n == 1)
        k_rows(y, ldy, w, rows, c, a->len, 1);
    else if (a->n == 2)
        k_rows(y, ldy, w, rows, c, a->len, 2);
}

#undef GROUP_BYTES
#undef BLOCK_VALUES
#undef PAIR_VALUES
#undef PAIR_LINES
#undef HALVES
#undef MOST_COLUMNS
#undef BLOCK_BYTES
#undef BLOCKS_OF_32
#undef UNPACK_GROUP
#undef PLACES
#undef FACTORS
#undef SCALES
#undef SCALES_AT
#undef MINS
#undef WEIGHT_OFFSET
#undef LEVEL_BELOW
