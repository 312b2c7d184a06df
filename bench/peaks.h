/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peaks: the limits of this machine, as the loops of simd/peaks.h reach them.
 * All results are medians of several runs with all of the given threads, the
 * best over prefetch distances. Used by clsa bench, so that a share of a peak
 * is a ratio of one run.
 */
#ifndef CLSA_BENCH_PEAKS_H
#define CLSA_BENCH_PEAKS_H

#include <stdbool.h>

#include "bench/memory.h"
#include "simd/peaks.h"

struct bench_request {
    unsigned threads;
    const char *simd; /* level, NULL: the best */
    size_t row_bytes; /* rows to gather, a multiple of 64; 0: none */
};

struct bench_peaks {
    unsigned threads;
    double read_gbs;     /* from memory */
    double gather_gbs;   /* random rows from memory, huge pages */
    double fma_gflops;   /* 2 for each multiply-add */
    double int8_gmacs;   /* products of all of int8, exact */
    double nibble_gmacs; /* products of 0..15 and all of int8, exact */
};

/* Takes about a second, and the memory of bench_memory_bytes meanwhile.
   Returns 0, or -1 for no memory or an unknown level. */
int bench_measure_peaks(struct bench_peaks *peaks,
                        const struct bench_request *request);

/* ------------------------------------------------------------ one by one */

/* GB/s of reading `bytes` again and again, each thread its own ones at
   data + thread * bytes. */
double bench_read(const struct clsa_peak_loops *loops, unsigned threads,
                  const void *data, size_t bytes);

/* Bytes for each thread that stay in a cache, 1..3, but not in the one below
   it; 0: there is no such cache. */
size_t bench_cache_bytes(const struct bench_caches *caches, unsigned cache,
                         unsigned threads);

/* GB/s of copying random rows of a buffer, one after the other, to a place of
   `packed` bytes for each thread, again and again; the best prefetch distance
   in rows. 0 if there is no memory. */
#define BENCH_PACKED ((size_t)1 << 20) /* stays in cache */
double bench_gather(const struct clsa_peak_loops *loops, unsigned threads,
                    const struct bench_buffer *buffer, size_t row_bytes,
                    size_t packed, size_t *ahead);

double bench_fma(const struct clsa_peak_loops *loops, unsigned threads);

/* Gmac/s of sequence `product` of the level. */
double bench_product(const struct clsa_peak_loops *loops, unsigned product,
                     unsigned threads);

/* Gmac/s of the best exact sequence, for full weights or for nibbles, for
   which full ones do as well; *product receives its number. */
double bench_best_product(const struct clsa_peak_loops *loops, bool full,
                          unsigned threads, unsigned *product);

#endif /* CLSA_BENCH_PEAKS_H */
