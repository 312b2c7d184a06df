/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peaks.h: loops that run at the limits of the machine, for bench/: what
 * memory and caches deliver, and what the arithmetic units take. They are to
 * the kernels of simd.h what a speed limit is to a car, and follow the same
 * rules: a scalar version is the specification, each level overlays its own
 * by the same ladder, and tests/kernels/check_peaks.c compares them.
 *
 * Operands of the arithmetic come from L1 and are used several times each, as
 * in the inner loop of a product of matrices.
 */
#ifndef CLSA_SIMD_PEAKS_H
#define CLSA_SIMD_PEAKS_H

#include <stddef.h>
#include <stdint.h>

#define CLSA_PEAK_UNIT     256 /* sizes are multiples of it */
#define CLSA_PEAK_FMA_ROWS 3   /* factors that meet each value */
#define CLSA_PEAK_ROWS     4
#define CLSA_PEAK_PATTERN  8
#define CLSA_PEAK_PRODUCTS 4 /* most sequences of a level */

/*
 * Activations and weights of an integer product. `sum` is the sum of all x,
 * which quantized activations carry with them.
 */
struct clsa_peak_operands {
    const int8_t *x; /* [n], -127..127 */
    size_t n;        /* a multiple of CLSA_PEAK_UNIT */
    int32_t sum;
    int8_t w[CLSA_PEAK_ROWS][CLSA_PEAK_PATTERN];
};

/* Sum of all w[j][i % 8] * x[i], i < n, j < 4, modulo 2^32. */
typedef uint32_t clsa_peak_product(const struct clsa_peak_operands *o);

struct clsa_peak_loops {
    /* Sum of the 32-bit words of `bytes` bytes, modulo 2^32. Prefetches
       what lies `ahead` bytes further, also after the end; 0: nothing. */
    uint32_t (*read)(const void *p, size_t bytes, size_t ahead);

    /* Copies the rows order[0..n) of `bytes` each to y, one after another,
       and prefetches all of row order[i + ahead] before row order[i] is copied;
       0: nothing. */
    void (*gather)(void *y, const void *base, const uint32_t *order, size_t n,
                   size_t bytes, size_t ahead);

    /* Sum of all x[i] * w[j], i < n, j < 3. n % CLSA_PEAK_UNIT == 0.
       rel 1e-6 * sqrt(n) */
    float (*fma)(const float *x, size_t n, const float w[CLSA_PEAK_FMA_ROWS]);

    /* Integer products, one for each sequence of instructions that the level
       has for them. */
    struct {
        const char *name; /* the instructions, NULL after the last */
        int full;         /* weights are -127..127; 0: 0..15 only */
        unsigned again;   /* times that the sum is computed once more */
        clsa_peak_product *run;
    } product[CLSA_PEAK_PRODUCTS + 1];
};

/* As clsa_simd_table: the loops of a level; NULL for an unknown name. */
const struct clsa_peak_loops *clsa_simd_peaks(const char *name);

/* Overlays, as in simd.h. */
void clsa_peaks_ref(struct clsa_peak_loops *loops);
void clsa_peaks_avx2(struct clsa_peak_loops *loops);
void clsa_peaks_avx512(struct clsa_peak_loops *loops);
void clsa_peaks_avx512vnni(struct clsa_peak_loops *loops);
void clsa_peaks_avx512amx(struct clsa_peak_loops *loops);
void clsa_peaks_neon(struct clsa_peak_loops *loops);
void clsa_peaks_neon_dotprod(struct clsa_peak_loops *loops);
void clsa_peaks_neon_i8mm(struct clsa_peak_loops *loops);

#endif /* CLSA_SIMD_PEAKS_H */
