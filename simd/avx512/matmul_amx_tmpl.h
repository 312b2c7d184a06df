/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul_amx_tmpl.h: the products of Q8_0 and Q4_0 weight rows and columns with
 * int8 tiles (AMX), a template. matmul_q8_0_amx.c and matmul_q4_0_amx.c define
 * before they include it:
 *
 *   BLOCK_BYTES  bytes of a block of the weights
 *   PACK_BLOCK   function: one block of 16 rows -> 8 vectors: vector k, lane r
 *                has the values 4k..4k+3 of row r, signed
 *   LEVEL_BELOW  kernel for one column and for less than 16 rows
 *
 * It defines matmul_amx(), and undefines them.
 *
 * A packed block is a tile as it is. tdpbssd multiplies it by a block of up to
 * 16 columns, which is a tile where it lies, and leaves for each column a
 * vector of 16 rows. Sums, their order, and so the bits are the same as in
 * matmul_block_tmpl.h.
 *
 * Nothing is forwarded from the stores of vectors to the loads of tiles, nor
 * back. All goes through rings in L1, and is read as many blocks later as
 * TO_PRODUCT and TO_SUM say.
 */
#ifndef BLOCK_BYTES
#error "BLOCK_BYTES: see above"
#endif
#ifndef PACK_BLOCK
#error "PACK_BLOCK: see above"
#endif
#ifndef LEVEL_BELOW
#error "LEVEL_BELOW: see above"
#endif

enum {
    RING = 8,           /* blocks under way, a power of two */
    TO_PRODUCT = 1,     /* from packing to the product */
    TO_SUM = 4,         /* from there to the sums; a tile is stored 1 later */
    PREFETCH_SLOTS = 9, /* of prefetches beside a block */
};

/* What there is of block b, at [b % RING], and the sums of the columns. */
struct ring {
    __m512i w[RING][8];
    int32_t dot[RING][LANES][LANES];
    float da[RING][LANES];
    uint16_t dw[RING][LANES];
    __m512 total[LANES];
};

struct tile_panel {
    const uint8_t *row;  /* first row */
    const uint8_t *next; /* first row of the next panel */
    size_t stride;       /* from row to row */
    size_t blocks;       /* of a row */
};

/* The lines of block b in the next panel, as in matmul_block_tmpl.h: the share
   of a slot, between fences, so that the compiler leaves it where it stands. */
INLINE void prefetch_next(const struct tile_panel *p, size_t b, size_t slot)
{
    const size_t bytes = (size_t)LANES * BLOCK_BYTES;
    FENCE;
    avx512_prefetch_part(p->next + b * bytes, bytes, slot, PREFETCH_SLOTS);
    FENCE;
}

INLINE void pack(struct ring *k, const struct tile_panel *p, size_t b)
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
    PACK_BLOCK(k->w[b % RING], row);
}

/* The sums of the block before are stored first: they are ready by now. */
#define TILE_PRODUCT(sums, left, right, before)                                \
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
        TILE_PRODUCT(1, 3, 5, 0)
    } else {
        TILE_PRODUCT(0, 2, 4, 1)
    }
    FENCE;
}

/* sum + d_w * d_a * dot */
INLINE void add_block(__m512 *sum, const struct ring *k,
                      const struct tile_panel *p, size_t b, const int columns)
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
INLINE void panel_blocks(struct ring *k, const struct tile_panel *in,
                         const struct clsa_act *act, const int columns)
{
    const struct tile_panel p = *in;
    const struct clsa_act a = *act;
    const __mmask16 there = avx512_first_lanes(a.n);
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
        if (c % OCTET == OCTET - 1 || c + 1 == p.blocks)
            add_chunk(k->total, sum, columns);
    }
}

static void four_columns(struct ring *k, const struct tile_panel *p,
                         const struct clsa_act *a)
{
    panel_blocks(k, p, a, 4);
}

static void eight_columns(struct ring *k, const struct tile_panel *p,
                          const struct clsa_act *a)
{
    panel_blocks(k, p, a, 8);
}

static void sixteen_columns(struct ring *k, const struct tile_panel *p,
                            const struct clsa_act *a)
{
    panel_blocks(k, p, a, 16);
}

/* Tiles 0 and 1: sums, 2 and 3: columns, 4 and 5: packed weights. */
static void set_tiles(uint8_t n)
{
    const struct avx512_tiles tiles = {
        .palette = 1,
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
    void (*const run)(struct ring *, const struct tile_panel *,
                      const struct clsa_act *) = a->n <= 4   ? four_columns
                                                 : a->n <= 8 ? eight_columns
                                                             : sixteen_columns;
    const size_t blocks = a->len / CLSA_BLOCK;
    struct tile_panel p = {.stride = blocks * BLOCK_BYTES, .blocks = blocks};
    struct ring k;

    __builtin_memset(&k, 0, sizeof k);
    set_tiles((uint8_t)a->n);
    for (size_t done = 0; done < rows; done += LANES) {
        const size_t i = avx512_min_size(done, rows - LANES);
        p.row = w + i * p.stride;
        p.next = w + avx512_min_size(i + LANES, rows - LANES) * p.stride;
        run(&k, &p, a);
        for (size_t j = 0; j < a->n; j++)
            _mm512_storeu_ps(y + j * ldy + i, k.total[j]);
    }
    _tile_release();
}

INLINE void matmul_amx(float *y, size_t ldy, const void *w, size_t rows,
                       const struct clsa_act *a)
{
    if (rows < LANES) {
        LEVEL_BELOW(y, ldy, w, rows, a);
        return;
    }
    for (size_t c = 0; c < a->n; c += LANES) {
        struct clsa_act some = *a;
        some.n = avx512_min_size(LANES, a->n - c);
        some.q += c * a->ldq;
        some.d += c;
        some.sum += c;
        if (some.n == 1)
            LEVEL_BELOW(y + c * ldy, ldy, w, rows, &some);
        else
            some_columns(y + c * ldy, ldy, w, rows, &some);
    }
}

#undef TILE_PRODUCT
#undef BLOCK_BYTES
#undef PACK_BLOCK
#undef LEVEL_BELOW
