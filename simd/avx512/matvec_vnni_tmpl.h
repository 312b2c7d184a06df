/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matvec_vnni_tmpl.h: the products of Q8_0 and Q4_0 weight rows and one column,
 * a template. The VNNI files of both define before they include it:
 *
 *   BLOCK_BYTES    bytes of a block of the weights
 *   WEIGHT_OFFSET  as in matmul_block_tmpl.h
 *   QUAD_PARTS     parts of a quad of blocks, 1 or 2
 *   ARRANGE_QUAD   function: the 128 values of four blocks of the column, as
 *                  DOT_PART takes them
 *   DOT_PART       function: products of one part of a quad; Q4_0: a block a
 *                  lane of 128 bits, Q8_0: two lanes. The scales of its blocks
 *                  go to the first words of `scales`; some words after them are
 *                  overwritten
 *   LEVEL_BELOW    kernel for the rows that fill no unit
 *
 * It defines matvec(), and undefines them.
 *
 * The result has the bits of simd/avx2/matmul_block_tmpl.h: sums of octets
 * (x86.h), which are added in ascending order. Rows follow each other, so all
 * rows are one sequence of octets. Sixteen octets make a unit, one octet a
 * lane: an FMA adds block p of every octet to the sixteen sums, and no chain of
 * roundings is waited for. The sums of the blocks come in groups, of quad h of
 * octets 4g..4g+3:
 *
 *   128-bit lane j, element i  =  block 4h + j of octet 4g + i
 *
 * Four groups, g = 0..3, are turned into one vector for each block.
 */
#include <string.h>

#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef WEIGHT_OFFSET
#error "WEIGHT_OFFSET: see above"
#endif
#ifndef QUAD_PARTS
#error "QUAD_PARTS: see above"
#endif
#ifndef ARRANGE_QUAD
#error "ARRANGE_QUAD: see above"
#endif
#ifndef DOT_PART
#error "DOT_PART: see above"
#endif
#ifndef LEVEL_BELOW
#error "LEVEL_BELOW: see above"
#endif

#define OCTET_BYTES ((size_t)OCTET * BLOCK_BYTES)
#define MOST_OCTETS 64 /* of a row: 16384 values */
#define MOST_UNITS  16 /* most places of a row that units begin at */

/* The column, for each unit that can meet it: a row has `octets`, and the
   units begin at `units` places of it in turn. */
struct column {
    size_t octets, units;
    /* as ARRANGE_QUAD makes it */
    _Alignas(64) int8_t x[MOST_OCTETS * OCTET * CLSA_BLOCK];
    struct column_unit {
        _Alignas(64) float d[OCTET][LANES]; /* scales of the blocks */
        int32_t minus[OCTET][LANES];        /* WEIGHT_OFFSET * their sums */
        const int8_t *x[LANES];             /* the octets */
    } unit[MOST_UNITS];
};

_Static_assert(sizeof(struct column) <= CLSA_KERNEL_SCRATCH, "simd.h");

static void prepare_unit(struct column *c, size_t u, const struct clsa_act *a)
{
    for (size_t s = 0; s < LANES; s++) {
        const size_t at = (u * LANES + s) % c->octets;
        c->unit[u].x[s] = c->x + at * OCTET * CLSA_BLOCK;
        for (size_t p = 0; p < OCTET; p++) {
            const size_t b = (at * OCTET + p) * a->ldd;
            c->unit[u].d[p][s] = a->d[b];
            c->unit[u].minus[p][s] = WEIGHT_OFFSET * a->sum[b];
        }
    }
}

/* How many of `rows` rows fill units. */
static size_t prepare(struct column *c, const struct clsa_act *a, size_t rows)
{
    const size_t quads = a->len / CLSA_BLOCK / AVX512_QUAD;
    size_t together = LANES; /* rows after which units begin anew */

    c->octets = quads / 2;
    while (together > 1 && together / 2 * c->octets % LANES == 0)
        together /= 2;
    c->units = together * c->octets / LANES;
    rows -= rows % together;
    if (rows == 0 || c->units > MOST_UNITS)
        return 0;
    for (size_t q = 0; q < quads; q++)
        ARRANGE_QUAD(c->x + q * AVX512_QUAD * CLSA_BLOCK,
                     a->q + q * AVX512_QUAD * CLSA_BLOCK);
    for (size_t u = 0; u < c->units; u++)
        prepare_unit(c, u, a);
    return rows;
}

/* Scales of one part of every octet as they are read, and some space. */
struct scales {
    _Alignas(64) uint16_t of[LANES][AVX512_QUAD / QUAD_PARTS];
    uint16_t space[32];
};

/* The products of one quad of each of four octets. */
struct group {
    __m512i v[QUAD_PARTS][4];
};

/* Their way to sums of blocks, as told above: in sums[0] at last. */
struct reduction {
    __m512i a, b, sums[QUAD_PARTS];
};

/* What is known of a unit while the next one is read. */
struct unit {
    struct group last;
    __m512i sums[2][4];            /* of the groups [h][g] */
    __m512i dots[OCTET];           /* the same, a block each */
    uint16_t scales[OCTET][LANES]; /* d_w */
    struct scales read[2 * QUAD_PARTS];
    const struct column_unit *c;
};

/* Part k of quad h of octet s, and one line of memory that will be used about
   a unit later. */
INLINE __m512i one_part(struct scales *to, const uint8_t *w, const int8_t *x,
                        size_t s, size_t h, size_t k)
{
    const size_t first = h * AVX512_QUAD + k * (AVX512_QUAD / QUAD_PARTS);
    const size_t line = (s / 4 * 8 + h * 4) * QUAD_PARTS + k * 4 + s % 4;
    __m512i dot =
        DOT_PART(w + s * OCTET_BYTES + first * BLOCK_BYTES,
                 x + first * CLSA_BLOCK, to[h * QUAD_PARTS + k].of[s]);
    prefetch_l1(w + AVX512_UNIT_AHEAD + line * 64);
    PIN(dot);
    return dot;
}

/* A quarter of the way of part k. */
INLINE void reduce(struct reduction *r, const struct group *of, size_t k,
                   size_t step)
{
    switch (step) {
    case 0:
        r->a = avx512_add_pairs(of->v[k][0], of->v[k][1]);
        PIN(r->a);
        break;
    case 1:
        r->b = avx512_add_pairs(of->v[k][2], of->v[k][3]);
        PIN(r->b);
        break;
    case 2:
        r->sums[k] = avx512_add_halves(r->a, r->b);
        PIN(r->sums[k]);
        break;
    default:
        if (k == 0)
            break;
        r->sums[0] = avx512_add_lanes(r->sums[0], r->sums[k]);
        PIN(r->sums[0]);
    }
}

/* Lanes of 128 bits: v[g], lane j -> to[j], lane g. */
INLINE void turn(__m512i to[4], const __m512i v[4])
{
    const __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    to[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    to[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    to[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    to[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/* Scales of quad h of all octets, from [octet][block] to
   [block][octet]. */
INLINE void turn_scales(uint16_t to[AVX512_QUAD][LANES],
                        const struct scales *from)
{
    const __m512i halves = _mm512_set_epi16(
        31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26,
        24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i quarters = _mm512_permutexvar_epi16(halves, halves);
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i v[2];
    UNROLL
    for (int k = 0; k < 2; k++)
        v[k] = _mm512_permutexvar_epi16(
            QUAD_PARTS > 1 ? halves : quarters,
            QUAD_PARTS > 1 ? _mm512_load_si512(from[k].of)
                           : _mm512_load_si512(from->of + k * 8));
    _mm512_storeu_si512(
        to, QUAD_PARTS > 1 ? v[0] : _mm512_permutex2var_epi64(v[0], low, v[1]));
    _mm512_storeu_si512(
        to + 2,
        QUAD_PARTS > 1 ? v[1] : _mm512_permutex2var_epi64(v[0], high, v[1]));
}

/* Adds block p of every octet of the unit before. */
INLINE __m512 add_blocks(__m512 sum, const struct unit *of, size_t p)
{
    const __m512 d = _mm512_mul_ps(
        _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)of->scales[p])),
        _mm512_load_ps(of->c->d[p]));
    const __m512i isum =
        _mm512_sub_epi32(of->dots[p], _mm512_load_si512(of->c->minus[p]));
    sum = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(isum), sum);
    PIN(sum);
    return sum;
}

/* What is done for the unit before after slot 3 of group q of this one. */
INLINE __m512 go_on(__m512 sum, struct unit *u, size_t q)
{
    if (q < 2)
        turn(u->dots + AVX512_QUAD * q, u->sums[q]);
    if (q > 0)
        sum = add_blocks(sum, u, q - 1);
    return q == 7 ? add_blocks(sum, u, q) : sum;
}

/*
 * Reads a unit, and ends the one before; returns the sixteen sums of that.
 * Memory is at its best when the lines are prefetched one by one at an even
 * pace. Four at once, and then the arithmetic of four: 21 GB/s, while an even
 * mixture of the same instructions reads 37. So everything that is left
 * to do is done in small steps between the parts.
 */
INLINE __m512 read_unit(struct unit *u, const uint8_t *w,
                        const struct column_unit *c)
{
    struct group before = u->last, now;
    struct reduction r;
    __m512 sum = _mm512_setzero_ps();

    UNROLL
    for (size_t q = 0; q < 8; q++) {
        const size_t g = q / 2, h = q % 2;
        UNROLL
        for (size_t k = 0; k < QUAD_PARTS; k++) {
            UNROLL
            for (size_t i = 0; i < 4; i++) {
                const size_t s = 4 * g + i;
                now.v[k][i] = one_part(u->read, w, c->x[s], s, h, k);
                reduce(&r, &before, k, i);
                if (k == QUAD_PARTS - 1 && i == 3)
                    u->sums[(q + 7) % 2][(q + 7) / 2 % 4] = r.sums[0];
                if (k == 0 && i == 3)
                    sum = go_on(sum, u, q);
            }
        }
        before = now;
        if (h) /* a unit has some lines more than parts */
            prefetch_l1(w + AVX512_UNIT_AHEAD + (32 * QUAD_PARTS + g) * 64);
    }
    u->last = before;
    turn_scales(u->scales, u->read);
    turn_scales(u->scales + AVX512_QUAD, u->read + QUAD_PARTS);
    u->c = c;
    return sum;
}

/* The same without a unit to read. */
static __m512 end_unit(struct unit *u)
{
    struct reduction r;
    __m512 sum = _mm512_setzero_ps();
    UNROLL
    for (size_t k = 0; k < QUAD_PARTS; k++) {
        UNROLL
        for (size_t step = 0; step < 4; step++)
            reduce(&r, &u->last, k, step);
    }
    u->sums[1][3] = r.sums[0];
    for (size_t q = 0; q < 8; q++)
        sum = go_on(sum, u, q);
    return sum;
}

/* Rows as they are summed up, octet by octet. */
struct rows {
    float *y, sum;
    size_t s, octets;
};

INLINE void add_octets(struct rows *r, __m512 sums)
{
    float part[LANES];
    _mm512_storeu_ps(part, sums);
    for (size_t k = 0; k < LANES; k++) {
        r->sum += part[k];
        if (++r->s == r->octets) {
            *r->y++ = r->sum;
            r->sum = 0;
            r->s = 0;
        }
    }
}

static void units(float *y, const uint8_t *w, size_t rows,
                  const struct column *c)
{
    const size_t count = rows * c->octets / LANES;
    struct rows r = {y, 0, 0, c->octets};
    struct unit u;

    memset(&u, 0, sizeof u);
    u.c = c->unit;
    for (size_t i = 0, at = 0; i < count; i++) {
        const __m512 sums = read_unit(&u, w, &c->unit[at]);
        if (i)
            add_octets(&r, sums);
        w += LANES * OCTET_BYTES;
        at = at + 1 < c->units ? at + 1 : 0;
    }
    add_octets(&r, end_unit(&u));
}

static __attribute__((noinline)) void matvec(float *y, size_t ldy,
                                             const void *weights, size_t rows,
                                             const struct clsa_act *a)
{
    const uint8_t *w = weights;
    const size_t octets = a->len / CLSA_BLOCK / OCTET;
    struct column *const c = a->scratch;
    size_t n;

    if (a->len % (OCTET * CLSA_BLOCK) || !octets || octets > MOST_OCTETS) {
        LEVEL_BELOW(y, ldy, w, rows, a);
        return;
    }
    n = prepare(c, a, rows);
    if (n)
        units(y, w, n, c);
    if (n < rows)
        LEVEL_BELOW(y + n, ldy, w + n * octets * OCTET_BYTES, rows - n, a);
}

#undef OCTET_BYTES
#undef MOST_OCTETS
#undef MOST_UNITS
#undef BLOCK_BYTES
#undef WEIGHT_OFFSET
#undef QUAD_PARTS
#undef ARRANGE_QUAD
#undef DOT_PART
#undef LEVEL_BELOW
