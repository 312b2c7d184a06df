/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a cache to the strips of a working set. With each line that is copied
 * one of the next row is asked for, and its own place is claimed for writing
 * while it comes: a store claims it only when it is the oldest.
 */
#include "simd/avx512/avx512.h"

/* As ask(), to be written. */
INLINE void claim(void *p)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(char *)p));
}

INLINE void copy_piece(unsigned char *to, const unsigned char *from,
                       const unsigned char *next, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        const size_t left = bytes - i;
        const __mmask64 m =
            left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
        ask(next + i);
        claim(to + i);
        _mm512_mask_storeu_epi8(to + i, m,
                                _mm512_maskz_loadu_epi8(m, from + i));
    }
}

INLINE void gather(const struct clsa_gather *g, size_t piece)
{
    for (size_t i = 0; i < g->n; i++) {
        const unsigned char *from = g->from[i];
        const unsigned char *next = g->from[min_size(i + 1, g->n - 1)];
        unsigned char *to = g->to + g->slot[i] * piece;
        for (size_t p = 0; p < g->pieces; p++)
            copy_piece(to + p * g->strip, from + p * piece, next + p * piece,
                       piece);
    }
}

/* Loops of known length for the usual sizes. */
static void gather_avx512(const struct clsa_gather *g)
{
    if (g->piece == 128)
        gather(g, 128);
    else if (g->piece == 256)
        gather(g, 256);
    else
        gather(g, g->piece);
}

void clsa_gather_avx512(struct clsa_simd *table)
{
    table->gather = gather_avx512;
}
