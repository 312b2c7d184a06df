/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c: rows of a cache copied to a working set, AVX2. */
#include "simd/avx2/avx2.h"

enum { GATHER_AHEAD = 1 /* rows: how far ahead a gather prefetches */ };

/* At least 32 bytes: the last 32 overlap. */
INLINE void copy_row(unsigned char *to, const unsigned char *from, size_t bytes)
{
    size_t i = 0;
    for (; i + 128 <= bytes; i += 128) {
        const __m256i *f = (const __m256i *)(from + i);
        __m256i *t = (__m256i *)(to + i);
        __m256i a = _mm256_loadu_si256(f), b = _mm256_loadu_si256(f + 1);
        __m256i c = _mm256_loadu_si256(f + 2), d = _mm256_loadu_si256(f + 3);
        _mm256_storeu_si256(t, a);
        _mm256_storeu_si256(t + 1, b);
        _mm256_storeu_si256(t + 2, c);
        _mm256_storeu_si256(t + 3, d);
    }
    for (; i + 32 <= bytes; i += 32)
        _mm256_storeu_si256((__m256i *)(to + i),
                            _mm256_loadu_si256((const __m256i *)(from + i)));
    if (i < bytes)
        _mm256_storeu_si256(
            (__m256i *)(to + bytes - 32),
            _mm256_loadu_si256((const __m256i *)(from + bytes - 32)));
}

/* A piece of `bytes` of a later row. */
INLINE void fetch_row(const unsigned char *from, size_t bytes)
{
    for (size_t b = 0; b < bytes; b += 64)
        _mm_prefetch((const char *)from + b, _MM_HINT_T0);
}

static void gather_avx2(const struct clsa_gather *g)
{
    for (size_t i = 0; i < g->n; i++) {
        const unsigned char *from = g->from[i];
        const unsigned char *next =
            g->from[i + GATHER_AHEAD < g->n ? i + GATHER_AHEAD : g->n - 1];
        unsigned char *to = g->to + g->slot[i] * g->row_bytes;
        for (size_t p = 0; p < g->planes; p++) {
            fetch_row(next + p * g->row_bytes, g->row_bytes);
            if (g->row_bytes >= 32)
                copy_row(to + p * g->plane_bytes, from + p * g->row_bytes,
                         g->row_bytes);
            else
                memcpy(to + p * g->plane_bytes, from + p * g->row_bytes,
                       g->row_bytes);
        }
    }
}

void clsa_gather_avx2(struct clsa_simd *table)
{
    table->gather = gather_avx2;
}
