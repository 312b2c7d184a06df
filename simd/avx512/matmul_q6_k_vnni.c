/* SPDX-License-Identifier: Apache-2.0 */
/* Q6_K matmul with vpdpbusd: the weights are the unsigned side. */
#include "simd/avx512/matmul_k.h"
#include "simd/avx512/matvec_k.h"

INLINE __m512i dot16(__m512i start, const __m512i w[AVX512_PART_STEPS / 2],
                     const int8_t *x)
{
    UNROLL
    for (int k = 0; k < AVX512_PART_STEPS / 2; k++)
        start = _mm512_dpbusd_epi32(start, w[k], avx512_broadcast4(x + 4 * k));
    return start;
}

#define DOT16 dot16
#include "simd/avx512/matmul_q6_k_tmpl.h"

static void panels_of_rows(float *y, size_t ldy, const void *w, size_t rows,
                           const struct clsa_act *a)
{
    matmul_k(y, ldy, w, rows, a);
}

/* Vectors 0 and 1 are the halves of parts 0, 1, 4, 5, the others those of
   parts 2, 3, 6, 7. */
INLINE void unpack_group(__m512i q[4], const uint8_t *w)
{
    const __m512i lower = _mm512_setr_epi64(4, 4, 2, 2, 4, 4, 2, 2);
    const __m512i upper = _mm512_setr_epi64(0, 0, 62, 62, 0, 0, 62, 62);
    const __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 64);
    const __m512i pairs = _mm512_loadu_si512(w + 128);
    UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i v[2];
        const __m512i p = h ? _mm512_shuffle_i32x4(pairs, pairs, 0xf5)
                            : _mm512_shuffle_i32x4(pairs, pairs, 0xa0);
        avx512_split_nibbles(v, h ? _mm512_shuffle_i32x4(a, b, 0xdd)
                                  : _mm512_shuffle_i32x4(a, b, 0x88));
        q[h] = avx512_upper_bits(v[0], p, lower, 0x30);
        q[2 + h] = avx512_upper_bits(v[1], p, upper, 0x30);
    }
}

INLINE void factors(struct avx512_k_factors *f, const uint8_t *w0,
                    const uint8_t *w1)
{
    uint16_t d[2];
    __builtin_memcpy(&d[0], w0 + 208, sizeof d[0]);
    __builtin_memcpy(&d[1], w1 + 208, sizeof d[1]);
    f->d = _mm512_cvtph_ps(_mm256_set_m128i(_mm_set1_epi16((short)d[1]),
                                            _mm_set1_epi16((short)d[0])));
}

#define BLOCK_BYTES  CLSA_Q6_K_BYTES
#define BLOCKS_OF_32 false
#define UNPACK_GROUP unpack_group
#define PLACES                                                                 \
    {                                                                          \
        0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15                   \
    }
#define FACTORS       factors
#define SCALES        2
#define SCALES_AT     192
#define MINS          0
#define WEIGHT_OFFSET 32
#define LEVEL_BELOW   panels_of_rows
#include "simd/avx512/matvec_k_tmpl.h"

AVX512_K_KERNEL(q6_k)

void clsa_matmul_q6_k_avx512vnni(struct clsa_simd *table)
{
    table->matmul[CLSA_Q6_K] = matmul_q6_k_avx512vnni;
}
