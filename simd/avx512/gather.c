/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.c: rows of a cache copied to a working set, AVX-512. With each line
 * that is copied one of the next row is prefetched, and its destination is
 * prefetched for writing meanwhile: a store takes it only when it is the
 * oldest.
 */
#include "simd/avx512/avx512.h"

INLINE void copy_row(unsigned char *to, const unsigned char *from,
                     const unsigned char *next, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        const size_t left = bytes - i;
        const __mmask64 m =
            left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
        prefetch_l1(next + i);
        prefetch_write(to + i);
        _mm512_mask_storeu_epi8(to + i, m,
                                _mm512_maskz_loadu_epi8(m, from + i));
    }
}

INLINE void gather(const struct clsa_gather *g, size_t row_bytes)
{
    for (size_t i = 0; i < g->n; i++) {
        const unsigned char *from = g->from[i];
        const unsigned char *next = g->from[avx512_min_size(i + 1, g->n - 1)];
        unsigned char *to = g->to + g->slot[i] * row_bytes;
        for (size_t p = 0; p < g->planes; p++)
            copy_row(to + p * g->plane_bytes, from + p * row_bytes,
                     next + p * row_bytes, row_bytes);
    }
}

/* Loops of known length for the usual sizes. */
static void gather_avx512(const struct clsa_gather *g)
{
    if (g->row_bytes == 128)
        gather(g, 128);
    else if (g->row_bytes == 256)
        gather(g, 256);
    else
        gather(g, g->row_bytes);
}

void clsa_gather_avx512(struct clsa_simd *table)
{
    table->gather = gather_avx512;
}
