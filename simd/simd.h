/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simd.h: the kernel table, and the contract of every kernel.
 *
 * One struct of function pointers, filled by a ladder of levels (ref -> avx2
 * -> avx512 -> ..., or ref -> neon -> ...). The scalar version under simd/ref
 * is the specification of each kernel; every other version is checked against
 * it by tests/kernels. Nothing in simd/ includes anything of src/.
 *
 * For all kernels:
 * - Buffers do not alias unless the prototype says so. Nothing is written
 *   outside of the stated extents, and nothing is read outside of them.
 * - Pointers are aligned to their element type only (block formats: to 2).
 * - Kernels are pure: no state, no allocation, any thread.
 * - Integer results are the same bits at every level. Float results differ
 *   between levels by rounding only, within the bound beside the prototype
 *   ("rel" is relative to the sum of the absolute values of the terms).
 * - A result for one row, column, key or head never depends on how many
 *   others are computed in the same call: within one level, n columns at
 *   once give the bits of n calls with one column.
 */
#ifndef CLSA_SIMD_H
#define CLSA_SIMD_H

#include <stddef.h>
#include <stdint.h>

/* Row formats. Weights, cache rows and index keys all use them. */
enum clsa_format {
    CLSA_F32,
    CLSA_F16,
    CLSA_BF16,
    CLSA_Q8_0,   /* blocks of 32 values: f16 scale d, 32 int8 q: d * q */
    CLSA_Q4_0,   /* blocks of 32: f16 d, 16 bytes; value i < 16 is the low
                    nibble of byte i, i >= 16 the high one: d * (nibble - 8) */
    CLSA_Q4_K,   /* blocks of 256 in 8 parts of 32: f16 d, f16 dmin, 12 bytes
                    of 6-bit scales s and mins m (clsa_q4_k_scales), 128 bytes
                    of nibbles: parts 2j and 2j+1 are the low and the high ones
                    of bytes 32j..32j+31: (d * s) * nibble - dmin * m */
    CLSA_Q6_K,   /* blocks of 256 in 16 parts of 16: 128 bytes of low nibbles,
                    64 of upper bit pairs (clsa_q6_k_value), 16 int8 scales s,
                    f16 d: (d * s) * (q - 32) */
    CLSA_Q4_1,   /* blocks of 32: f16 d, f16 m, nibbles as Q4_0: d * q + m */
    CLSA_Q5_0,   /* blocks of 32: f16 d, 32 fifth bits, the lowest of value 0,
                    nibbles as Q4_0: d * (q - 16) */
    CLSA_Q5_1,   /* blocks of 32: f16 d, f16 m, fifth bits and nibbles as Q5_0:
                    d * q + m */
    CLSA_Q5_K,   /* blocks of 256 in 8 parts of 32: d, dmin, s and m as Q4_K,
                    32 bytes whose bits p are the fifth bits of part p, nibbles
                    as Q4_K: (d * s) * q - dmin * m */
    CLSA_Q3_K,   /* blocks of 256 in 16 parts of 16: 32 bytes of third bits, 64
                    of lower bit pairs (clsa_q3_k_value), 12 bytes of 6-bit
                    scales s (clsa_q3_k_scales), f16 d: (d * s) * (q - 4) */
    CLSA_Q2_K,   /* blocks of 256 in 16 parts of 16: 16 bytes of nibbles, s and
                    above it m, 64 bytes of bit pairs as in Q3_K, f16 d, f16
                    dmin: (d * s) * q - dmin * m */
    CLSA_IQ4_NL, /* blocks of 32: f16 d, nibbles as Q4_0, which choose from
                    clsa_iq4_values: d * value */
    CLSA_IQ4_XS, /* blocks of 256 in 8 parts of 32: f16 d, 16 bits and 4 bytes
                    of 6-bit scales s (clsa_iq4_xs_scales), each part's nibbles
                    as IQ4_NL: (d * s) * value */
    CLSA_FORMATS
};

/* Formats of cache rows, which attend and score take: F(name, format) each. */
#define CLSA_ROW_FORMATS(F)                                                    \
    F(f32, CLSA_F32)                                                           \
    F(f16, CLSA_F16)                                                           \
    F(bf16, CLSA_BF16)                                                         \
    F(q8_0, CLSA_Q8_0)

#define CLSA_BLOCK        32 /* values in a block of activations, Q8_0, Q4_0 */
#define CLSA_Q8_0_BYTES   34 /* bytes of a block */
#define CLSA_Q4_0_BYTES   18
#define CLSA_Q4_1_BYTES   20
#define CLSA_Q5_0_BYTES   22
#define CLSA_Q5_1_BYTES   24
#define CLSA_IQ4_NL_BYTES 18
#define CLSA_K_BLOCK      256 /* values in a block of the k-quants, IQ4_XS */
#define CLSA_K_PARTS      8   /* of 32 values in it, an activation block each */
#define CLSA_Q2_K_BYTES   84
#define CLSA_Q3_K_BYTES   110
#define CLSA_Q4_K_BYTES   144
#define CLSA_Q5_K_BYTES   176
#define CLSA_Q6_K_BYTES   210
#define CLSA_IQ4_XS_BYTES 136
#define CLSA_QUANT_MIN    0x1p-119f /* 127 / amax is finite above it */
#define CLSA_ATTEND_ROWS  256       /* most rows of one attend call */
#define CLSA_ATTEND_HEADS 16        /* most query heads of one KV head */
#define CLSA_TILE_KEYS    64        /* keys of a tile of scores */
#define CLSA_ATTEND_SIZE  512       /* most values of a head */

/* Bytes of scratch, at a cache line and of the calling thread alone, that
   `matmul` and `attend` may write to: stacks of threads may have no room for
   them. What is there before and after means nothing. */
#define CLSA_KERNEL_SCRATCH (52 << 10)

/*
 * Activations: n columns of `len` values, in the two forms that matmul reads.
 * Float weights read x; weights in blocks read q, d and sum, which
 * `quantize` makes of x (symmetric, one scale per block of 32).
 */
struct clsa_act {
    size_t n;      /* columns */
    size_t len;    /* values in a column; a multiple of the format's block */
    size_t ldx;    /* values from column to column of x, >= len */
    size_t ldq;    /* bytes from column to column of q, >= len */
    size_t ldd;    /* values from block to block of d and sum, >= n */
    float *x;      /* [n][ldx] */
    int8_t *q;     /* [n][ldq], -127..127 */
    float *d;      /* [len/32][ldd]: scale of block b of column c: d[b*ldd+c] */
    int32_t *sum;  /* [len/32][ldd]: sum of the block's q */
    void *scratch; /* [CLSA_KERNEL_SCRATCH] */
};

/*
 * K and V rows of one KV head, somewhere in memory: a window, a working
 * set or a cache page. Row i of the list lies at k + order[i] * stride (order
 * NULL: at k + i * stride), e values in the format of the kernel.
 */
struct clsa_rows {
    const void *k, *v;
    size_t stride; /* bytes from row to row, the same for k and v */
    const uint32_t *order;
    size_t n; /* 1..CLSA_ATTEND_ROWS, except for `score` */
    /* Memory that is read after these rows, as much as they are, K and V: it
       is prefetched meanwhile. NULL: the rows themselves are. */
    const void *ahead;
    void *scratch; /* [CLSA_KERNEL_SCRATCH]; only for `attend` */
    float cap;     /* of scores (softcap); 0: none. `attend` alone */
};

/*
 * Rows to be copied into planes, for i < n and p < planes: the `row_bytes`
 * bytes at from[i] + p * row_bytes go to to + p * plane_bytes + slot[i] *
 * row_bytes. This is how cache rows (K and V of all heads) become the packed
 * planes of a working set (one per head of K and of V, in the format of the
 * cache).
 */
struct clsa_gather {
    const unsigned char *const *from; /* [n] */
    const uint32_t *slot;             /* [n], all different */
    unsigned char *to;
    size_t n, planes;
    size_t row_bytes;   /* of a row in one plane */
    size_t plane_bytes; /* from plane to plane */
};

/*
 * An index query. Integer scores are exact: q holds the query as 16-bit
 * integers, |q| <= limit with limit * 127 * len < 2^31.
 */
struct clsa_index_query {
    const float *x;   /* [len] */
    const int16_t *q; /* [len], for i8 keys */
    float scale;      /* x is about scale * q */
};

/* An index query of several heads, for i8 keys: q is int8 as the keys are, each
   head with a scale of its own. */
struct clsa_index_heads {
    size_t heads;
    const int8_t *q;     /* [heads][ldq], -127..127, 0 from len on */
    size_t ldq;          /* a multiple of CLSA_HEADS_UNIT, >= len */
    const int32_t *sum;  /* [heads] of q */
    const float *weight; /* [heads] of a head, times the scale of its q */
};

#define CLSA_HEADS_UNIT 64

/* Products in tiles: rows of w, rows of x at a time, values of a step, and
   bytes of a step of sixteen rows and of all rows of w. */
#define CLSA_TILE_W      64
#define CLSA_TILE_X      16
#define CLSA_TILE_STEP   32
#define CLSA_TILE_BYTES  1024
#define CLSA_TILES_BYTES 4096

struct clsa_simd {
    const char *name;

    /* ------------------------------------------------------ linear layers */

    /*
     * y[c * ldy + i] = sum over j of w[i][j] * a.column[c][j]
     * w: [rows][a->len] in the format, rows contiguous. c < a->n.
     * Float formats: rel 1e-6 * sqrt(len). Block formats: the integer sum of
     * each block of 32 is exact, also with the scales s and mins m of the
     * k-quants in it; d_w * d_a * sum added in float: rel 1e-6, where the
     * scaled part and the one of m or dmin are terms of their own.
     */
    void (*matmul[CLSA_FORMATS])(float *y, size_t ldy, const void *w,
                                 size_t rows, const struct clsa_act *a);

    /*
     * One column x[len] -> q[len], d[b * ldd], sum[b * ldd]. Per block:
     * amax = max |x|, d = amax / 127, q = round-to-even(x * (127 / amax)),
     * clamped to +-127; amax not above CLSA_QUANT_MIN: d = 0, q = 0.
     * Bit-exact. x is finite.
     */
    void (*quantize)(int8_t *q, float *d, int32_t *sum, size_t ldd,
                     const float *x, size_t len);

    /*
     * Products of bf16 in tiles, y [m][64] = x [m][k] * w [64][k]^T, for many
     * m. Only used if `tiles` says so, by levels with tiles in the CPU (AMX).
     * Values are rounded to bf16, to nearest even, products are exact, and sums
     * are float in an order that is the same for all x and w: rel 2^-8 for the
     * values, 1e-6 * sqrt(k) for the sums. Subnormal numbers may count as 0.
     * k % 32 == 0; steps are of 32 values.
     *
     * tile_x: a row into its place of x, sixteen rows: pieces of 32 values, 1
     * KiB from each other. tile_w: n values of each of sixteen rows [16][ld] of
     * w to their place, 1 KiB of each 4 KiB for a step. tile_product: `x` and
     * `w` at the first of k values, m % 32 == 0, sixteen rows of x lie x_bytes
     * from the sixteen before; `add`: the sums go on from y.
     */
    const char *tiles; /* "bf16", or NULL */
    void (*tile_x)(void *to, const float *x, size_t k);
    void (*tile_w)(void *to, const float *w, size_t ld, size_t n);
    void (*tile_product)(float *y, size_t m, const void *x, size_t x_bytes,
                         const void *w, size_t k, int add);

    /* --------------------------------------------------------- row formats */

    /* n values of a format to float, exact; with m or dmin: rounded once, by
       the addition. n is a multiple of the format's block. Bit-exact. */
    void (*load[CLSA_FORMATS])(float *y, const void *x, size_t n);

    /*
     * n floats to a format: round to nearest even. Q8_0: d = amax / 127
     * rounded to f16, q = round-to-even(x * (127 / amax)). Bit-exact.
     * x is finite; f16 saturates at +-65504. Q4_0: d = -x / 8 of the value
     * of largest magnitude, as f16, q = floor(x / d + 8.5) up to 15 with the
     * d before rounding. The others: a search for small errors; scalar at
     * every level, so that a file does not depend on who wrote it.
     */
    void (*store[CLSA_FORMATS])(void *y, const float *x, size_t n);

    /* -------------------------------------------------------- element-wise */

    /* y = x / sqrt(mean(x^2) + eps) * w; w NULL: all 1. y may be x. rel 1e-6 */
    void (*rms_norm)(float *y, const float *x, const float *w, size_t n,
                     float eps);

    /*
     * Rotary embedding of one head in halves: for i < half,
     * (x[i], x[i+half]) = (x[i] c - x[i+half] s, x[i+half] c + x[i] s).
     * rel 1e-6
     */
    void (*rope)(float *x, const float *cos, const float *sin, size_t half);

    /* y = gate / (1 + exp(-gate)) * up; y may be gate. rel 4e-6 */
    void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);

    /* The same with the GELU by tanh: y = gate / (1 + exp(-2 u)) * up with u =
       sqrt(2 / pi) (gate + 0.044715 gate^3); within 1e-6 |gate up|. */
    void (*gelu_mul)(float *y, const float *gate, const float *up, size_t n);

    /* x = cap * tanh(x / cap), cap > 0, within 1e-6 cap. */
    void (*softcap)(float *x, size_t n, float cap);

    /* y += x */
    void (*add)(float *y, const float *x, size_t n);

    /*
     * Integer sums of n columns to float, i < rows: y[c * ldy + i] =
     * (float)(x[c * ldx + i] - minus[i]) * row_scale[i] * scale[c], or with
     * `add` y + that; in this order. Bit-exact.
     */
    void (*rescale)(float *y, size_t ldy, const int32_t *x, size_t ldx,
                    size_t n, size_t rows, const float *scale,
                    const float *row_scale, const int32_t *minus, int add);

    /* -------------------------------------------------------------- index */

    /*
     * A row with one scale, x[len] -> q[len], *scale: scale = max |x| / limit,
     * q = round-to-even(x * (limit / max |x|)), clamped to +-limit, an integer
     * 1..127 that index keys have as 127. Bit-exact. max |x| not above
     * CLSA_QUANT_MIN: 0, 0. x is finite.
     */
    void (*quantize_row)(int8_t *q, float *scale, const float *x, size_t len,
                         float limit);

    /*
     * Scores of n keys of `len` values, contiguous.
     * f32, bf16: sum of x * key in float; rel 1e-6 * sqrt(len). What is
     * below 2^-126 in size, values and products, may count as zero in bf16.
     * i8: scale * scales[s] * (float)(sum of q * key), in this order of
     * multiplications; bit-exact. Scores are never NaN for finite input.
     */
    void (*scan_f32)(float *score, const float *key, size_t n, size_t len,
                     const struct clsa_index_query *query);
    void (*scan_bf16)(float *score, const uint16_t *key, size_t n, size_t len,
                      const struct clsa_index_query *query);
    void (*scan_i8)(float *score, const int8_t *key, const float *scales,
                    size_t n, size_t len, const struct clsa_index_query *query);

    /*
     * The same by several heads: with p_h = max(0, sum of q_h * key), exact,
     * scores[s] = (0 + weight[0] p_0 + weight[1] p_1 + ...) * scales[s],
     * rounded after each product and sum. len % 4 == 0, 127 * 127 * len <
     * 2^31. Bit-exact.
     */
    void (*scan_heads)(float *score, const int8_t *key, const float *scales,
                       size_t n, size_t len,
                       const struct clsa_index_heads *query);

    /*
     * Compress-store of candidates: for s < n with score[s] >= threshold, in
     * ascending order of s, out[m++] = clsa_rank(score[s], first + s).
     * out has room for n. Returns m. Bit-exact.
     */
    size_t (*filter)(uint64_t *out, const float *score, size_t n,
                     uint32_t first, float threshold);

    /*
     * Exact top-k selection: keep the k >= 1 largest of n ranks, all different
     * and none 0 (which is the rank of no score), in place and in the order
     * they have. copy: scratch [n]. Returns min(k, n). Bit-exact.
     */
    size_t (*topk)(uint64_t *ranks, size_t n, size_t k, uint64_t *copy);

    /* The copies that g says; bytes in and out do not overlap. Bit-exact. */
    void (*gather)(const struct clsa_gather *g);

    /* ------------------------------------------------------------ sampling */

    /* Where the largest of n >= 1 values stands, the first of equals (+0 and
       -0 are equal). Bit-exact; with NaN among them: some position. */
    size_t (*argmax)(const float *x, size_t n);

    /*
     * y = exp((x - max x) * scale), scale >= 0, n >= 1; returns the sum of y.
     * y may be x. x and (x - max x) * scale are finite. rel 4e-6 (the
     * exponent's rounding included: |(x - max x) * scale| < 16; below
     * e^-16 absolute 1e-12)
     */
    float (*softmax)(float *y, const float *x, size_t n, float scale);

    /* ---------------------------------------------------------- attention */

    /*
     * Attention of r query heads over the rows of their KV head, as a partial
     * softmax: for j < r, with s_i = q[j] . k_i, which a cap bounds, and m =
     * max s_i,
     * out[j] = { sum_i exp(s_i - m) v_i (e values), m, sum_i exp(s_i - m) }.
     * q: [r][e], already times 1/sqrt(e). out: [r][e + 2]. r <=
     * CLSA_ATTEND_HEADS, e <= CLSA_ATTEND_SIZE, e % 8 == 0 (% 32 for Q8_0).
     * The sums run over i in ascending order for each value, so that the
     * result depends on the rows and their order only, not on where they lie.
     * rel 4e-6.
     * Formats CLSA_ROW_FORMATS; others NULL.
     */
    void (*attend[CLSA_FORMATS])(float *out, const float *q, size_t r, size_t e,
                                 const struct clsa_rows *rows);

    /*
     * Scores of the K rows alone, any number of them: score[i] = sum over j <
     * len of x[j] * k_i[j]. len may be several heads that lie side by side;
     * % 8 == 0 (% 32 for Q8_0). rel 1e-6 * sqrt(len). Formats as attend.
     */
    void (*score[CLSA_FORMATS])(float *score, const float *x, size_t len,
                                const struct clsa_rows *rows);

    /*
     * Combines n >= 1 partial softmaxes of one query head in ascending
     * order: part[i] at part + i * ld, { o[e], m, l } as above, e % 8 == 0.
     * y[e] = (sum_i exp(m_i - m) o_i) / (sum_i exp(m_i - m) l_i). rel 4e-6.
     */
    void (*attend_combine)(float *y, const float *part, size_t n, size_t ld,
                           size_t e);

    /*
     * Adds the partial softmaxes of n <= CLSA_ATTEND_HEADS heads, as `attend`
     * writes them, to the sums over the rows before: with { o, m, l } at
     * sum + j * ld and { o', m', l' } at part + j * (e + 2), M = max(m, m'):
     * sum[j] = { exp(m - M) o + exp(m' - M) o', M, exp(m - M) l + exp(m' - M)
     * l' }. e % 8 == 0. rel 4e-6.
     */
    void (*attend_accumulate)(float *sum, size_t ld, const float *part,
                              size_t n, size_t e);

    /*
     * Online softmax (Milakov and Gimelshein, arXiv:1805.02867) of n queries
     * over one more tile of keys, p [n][CLSA_TILE_KEYS]: query i sees the keys
     * begin[i] .. end[i] - 1. With m = max(max[i], their scores): p = exp(p -
     * m), 0 for the other keys; scale[i] = exp(max[i] - m); sum[i] = sum[i] *
     * scale[i] + sum of p; max[i] = m. max[i] = -INFINITY before the first
     * tile. A query that sees none: p = 0, scale[i] = 1. rel 4e-6. Only for
     * products through oneDNN, so not on ARM.
     */
    void (*softmax_online)(float *p, size_t n, const uint8_t *begin,
                           const uint8_t *end, float *max, float *sum,
                           float *scale);

    /* y[i][j] = scale[i] * y[i][j] + x[i][j], y and x [n][len]. rel 1e-6
       of the larger term; len % 8 == 0. Used with softmax_online. */
    void (*scale_add)(float *y, const float *x, const float *scale, size_t n,
                      size_t len);
};

/*
 * Order of candidates: higher score first, ties to the lower position, as one
 * integer, all of them different. -0 counts as +0.
 */
static inline uint64_t clsa_rank(float score, uint32_t position)
{
    union {
        float f;
        uint32_t u;
    } v = {score + 0.0f};
    uint32_t key = v.u & 0x80000000u ? ~v.u : v.u | 0x80000000u;
    return (uint64_t)key << 32 | (uint32_t)~position;
}

static inline uint32_t clsa_rank_position(uint64_t rank)
{
    return ~(uint32_t)rank;
}

/* The score that a rank was made of. */
static inline float clsa_rank_score(uint64_t rank)
{
    uint32_t key = (uint32_t)(rank >> 32);
    union {
        uint32_t u;
        float f;
    } v = {key & 0x80000000u ? key & 0x7fffffffu : ~key};
    return v.f;
}

/* The constants of the GELU by tanh. */
#define CLSA_GELU_SCALE 0.7978845608f /* sqrt(2 / pi) */
#define CLSA_GELU_CUBE  0.044715f

/* Values and bytes of a block. */
struct clsa_format_size {
    size_t values, bytes;
};

static inline struct clsa_format_size clsa_format_size(enum clsa_format format)
{
    static const struct clsa_format_size sizes[CLSA_FORMATS] = {
        [CLSA_F32] = {1, 4},
        [CLSA_F16] = {1, 2},
        [CLSA_BF16] = {1, 2},
        [CLSA_Q8_0] = {CLSA_BLOCK, CLSA_Q8_0_BYTES},
        [CLSA_Q4_0] = {CLSA_BLOCK, CLSA_Q4_0_BYTES},
        [CLSA_Q4_K] = {CLSA_K_BLOCK, CLSA_Q4_K_BYTES},
        [CLSA_Q6_K] = {CLSA_K_BLOCK, CLSA_Q6_K_BYTES},
        [CLSA_Q4_1] = {CLSA_BLOCK, CLSA_Q4_1_BYTES},
        [CLSA_Q5_0] = {CLSA_BLOCK, CLSA_Q5_0_BYTES},
        [CLSA_Q5_1] = {CLSA_BLOCK, CLSA_Q5_1_BYTES},
        [CLSA_Q5_K] = {CLSA_K_BLOCK, CLSA_Q5_K_BYTES},
        [CLSA_Q3_K] = {CLSA_K_BLOCK, CLSA_Q3_K_BYTES},
        [CLSA_Q2_K] = {CLSA_K_BLOCK, CLSA_Q2_K_BYTES},
        [CLSA_IQ4_NL] = {CLSA_BLOCK, CLSA_IQ4_NL_BYTES},
        [CLSA_IQ4_XS] = {CLSA_K_BLOCK, CLSA_IQ4_XS_BYTES},
    };
    return sizes[format];
}

/* Values in a block of a format; rows are whole blocks. */
static inline size_t clsa_format_block(enum clsa_format format)
{
    return clsa_format_size(format).values;
}

/* Bytes of n values in a format. */
static inline size_t clsa_format_bytes(enum clsa_format format, size_t n)
{
    const struct clsa_format_size size = clsa_format_size(format);
    return n / size.values * size.bytes;
}

/* ------------------------------------------------------------------ levels */

/*
 * Each level overlays its kernels on a table that the level below has filled.
 * Declared only if the build has the level.
 */
void clsa_simd_ref(struct clsa_simd *table);
void clsa_simd_avx2(struct clsa_simd *table);
void clsa_simd_avx512(struct clsa_simd *table);
void clsa_simd_avx512vnni(struct clsa_simd *table);
void clsa_simd_avx512bf16(struct clsa_simd *table);
void clsa_simd_avx512amx(struct clsa_simd *table);
void clsa_simd_neon(struct clsa_simd *table);
void clsa_simd_neon_dotprod(struct clsa_simd *table);
void clsa_simd_neon_i8mm(struct clsa_simd *table);
void clsa_simd_neon_bf16(struct clsa_simd *table);

/* Levels of this build that this CPU can run, "ref" first, NULL at the end. */
const char *const *clsa_simd_names(void);

/* The table of a level of clsa_simd_names; NULL for any other name. The best
   level for name NULL. Tables are static and made once. */
const struct clsa_simd *clsa_simd_table(const char *name);

#endif /* CLSA_SIMD_H */
