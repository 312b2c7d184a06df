/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_amx.h: the matmul of Q8_0 and Q4_0 with int8 tiles (AMX), included
 * once by each matmul_q*_amx.c, which has defined before:
 *
 *   BLOCK_BYTES   bytes of a block of the weights
 *   pack_block    one block of 16 rows -> 8 vectors: vector k, lane r has the
 *                 values 4k..4k+3 of row r, signed
 *
 * A packed block is a tile as it is. tdpbssd multiplies it by a block of up to
 * 16 columns, which is a tile where it lies, and leaves for each column a
 * vector of 16 rows. Sums and their order, and so the bits, are those of
 * matmul_block.h.
 *
 * Nothing is forwarded from the stores of vectors to the loads of tiles, nor
 * back. All goes through rings in L1, and is read as many blocks later as
 * TO_PRODUCT and TO_SUM say.
 */
#include "simd/avx512/transpose.h"

enum {
    RING = 8,       /* blocks under way, a power of two */
    TO_PRODUCT = 1, /* from packing to the product */
    TO_SUM = 4,     /* from there to the sums; a tile is stored 1 behind */
    SLOTS = 9,      /* of prefetches beside a block */
};

/* What there is of block b, at [b % RING], and the sums of the columns. */
struct ring {
    __m512i w[RING][8];
    int32_t dot[RING][LANES][LANES];
    float da[RING][LANES];
    uint16_t dw[RING][LANES];
    __m512 total[LANES];
};

struct panel {
    const uint8_t *row;  /* its first */
    const uint8_t *next; /* that of the next panel */
    size_t stride;       /* from row to row */
    size_t blocks;       /* of a row */
};

/* The kernel of the level below. */
static void (*below)(float *y, size_t ldy, const void *w, size_t rows,
                     const struct clsa_act *a);

/* The lines of block b in the next panel, as in matmul_block.h: the share of a
   slot, between fences, so that the compiler leaves it where it stands. */
INLINE void prefetch_next(const struct panel *p, size_t b, size_t slot)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    FENCE;
    prefetch_part(p->next + b * bytes, bytes, slot, SLOTS);
    FENCE;
}

INLINE void pack(struct ring *k, const struct panel *p, size_t b)
{
    const uint8_t *at = p->row + b * BLOCK_BYTES, *row[LANES];
    uint16_t *dw = k->dw[b % RING];
    UNROLL
    for (int r = 0; r < LANES; r++) {
        row[r] = at + (size_t)r * p->stride;
        __builtin_memcpy(&dw[r], row[r], sizeof dw[r]);
        if (r % 4 == 3)
            prefetch_next(p, b, r / 4);
    }
    pack_block(k->w[b % RING], row);
}

/* The sums of the block before are stored first: they are ready by now. */
#define PRODUCT(sums, left, right, before)                                     \
    _tile_stored(before, k->dot[(b - 1) % RING], sizeof k->dot[0][0]);         \
    if (more) {                                                                \
        _tile_loadd(left, a->q + b * CLSA_BLOCK, a->ldq);                      \
        _tile_loadd(right, k->w[b % RING], sizeof k->w[0][0]);                 \
        _tile_zero(sums);                                                      \
        _tile_dpbssd(sums, left, right);                                       \
    }

INLINE void multiply(struct ring *k, const struct clsa_act *a, size_t b,
                     bool more)
{
    FENCE;
    if (b % 2) {
        PRODUCT(1, 3, 5, 0)
    } else {
        PRODUCT(0, 2, 4, 1)
    }
    FENCE;
}

/* sum + d_w * d_a * dot */
INLINE void add_block(__m512 *sum, const struct ring *k, const struct panel *p,
                      size_t b, const int columns)
{
    const __m512 dw =
        _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)k->dw[b % RING]));
    UNROLL
    for (int j = 0; j < columns; j++) {
        const __m512i dot = _mm512_load_si512(k->dot[b % RING][j]);
        const __m512 d = _mm512_mul_ps(dw, _mm512_set1_ps(k->da[b % RING][j]));
        sum[j] = _mm512_fmadd_ps(d, _mm512_cvtepi32_ps(dot), sum[j]);
        if (j % (columns / 4) == 0)
            prefetch_next(p, b, 5 + j / (columns / 4));
    }
}

INLINE void add_chunk(__m512 *total, __m512 *sum, const int columns)
{
    UNROLL
    for (int j = 0; j < columns; j++) {
        total[j] = _mm512_add_ps(total[j], sum[j]);
        sum[j] = _mm512_setzero_ps();
    }
}

/*
 * All blocks of a panel: t is packed while b is multiplied and c added.
 * Columns that there are not, up to `columns`, come out as anything. Panel and
 * columns are copied, for fences make memory be read again.
 */
INLINE void panel_blocks(struct ring *k, const struct panel *in,
                         const struct clsa_act *act, const int columns)
{
    const struct panel p = *in;
    const struct clsa_act a = *act;
    const __mmask16 there = first_lanes(a.n);
    __m512 sum[LANES];
    UNROLL
    for (int j = 0; j < columns; j++)
        k->total[j] = sum[j] = _mm512_setzero_ps();
    for (size_t t = 0; t < p.blocks + TO_PRODUCT + TO_SUM; t++) {
        const size_t b = t - TO_PRODUCT, c = b - TO_SUM;
        if (t < p.blocks) {
            pack(k, &p, t);
            _mm512_store_ps(k->da[t % RING],
                            _mm512_maskz_loadu_ps(there, a.d + t * a.ldd));
        }
        if (t >= TO_PRODUCT && b <= p.blocks) {
            multiply(k, &a, b, b < p.blocks);
            prefetch_next(&p, b, 4);
        }
        if (t < TO_PRODUCT + TO_SUM)
            continue;
        add_block(sum, k, &p, c, columns);
        if (c % PANEL_BLOCKS == PANEL_BLOCKS - 1 || c + 1 == p.blocks)
            add_chunk(k->total, sum, columns);
    }
}

static void four_columns(struct ring *k, const struct panel *p,
                         const struct clsa_act *a)
{
    panel_blocks(k, p, a, 4);
}

static void eight_columns(struct ring *k, const struct panel *p,
                          const struct clsa_act *a)
{
    panel_blocks(k, p, a, 8);
}

static void sixteen_columns(struct ring *k, const struct panel *p,
                            const struct clsa_act *a)
{
    panel_blocks(k, p, a, 16);
}

/* Tiles 0 and 1: sums, 2 and 3: columns, 4 and 5: packed weights. */
static void set_tiles(uint8_t n)
{
    const struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1,
               .bytes = {64, 64, CLSA_BLOCK, CLSA_BLOCK, 64, 64},
               .rows = {n, n, n, n, CLSA_BLOCK / 4, CLSA_BLOCK / 4}};
    FENCE;
    _tile_loadconfig(&tiles);
}

/* 2..16 columns, 16 rows or more. The last panel may begin within the one
   before, whose rows get the same sums again. */
static void some_columns(float *y, size_t ldy, const uint8_t *w, size_t rows,
                         const struct clsa_act *a)
{
    void (*const run)(struct ring *, const struct panel *,
                      const struct clsa_act *) = a->n <= 4   ? four_columns
                                                 : a->n <= 8 ? eight_columns
                                                             : sixteen_columns;
    const size_t blocks = a->len / CLSA_BLOCK;
    struct panel p = {.stride = blocks * BLOCK_BYTES, .blocks = blocks};
    struct ring k;

    __builtin_memset(&k, 0, sizeof k);
    set_tiles((uint8_t)a->n);
    for (size_t done = 0; done < rows; done += LANES) {
        const size_t i = min_size(done, rows - LANES);
        p.row = w + i * p.stride;
        p.next = w + min_size(i + LANES, rows - LANES) * p.stride;
        run(&k, &p, a);
        for (size_t j = 0; j < a->n; j++)
            _mm512_storeu_ps(y + j * ldy + i, k.total[j]);
    }
    _tile_release();
}

static void matmul_amx(float *y, size_t ldy, const void *w, size_t rows,
                       const struct clsa_act *a)
{
    if (rows < LANES) {
        below(y, ldy, w, rows, a);
        return;
    }
    for (size_t c = 0; c < a->n; c += LANES) {
        struct clsa_act some = *a;
        some.n = min_size(LANES, a->n - c);
        some.q += c * a->ldq;
        some.d += c;
        some.sum += c;
        if (some.n == 1)
            below(y + c * ldy, ldy, w, rows, &some);
        else
            some_columns(y + c * ldy, ldy, w, rows, &some);
    }
}
