/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bf16_split.h: the query of a scan of bf16 keys as sums of bf16 values, for
 * the levels whose dot instruction takes bf16 alone (avx512bf16, neon_bf16).
 *
 * x = high + low + rest, each the rounded rest after the ones before. Two parts
 * leave 2^-17 of x, which is within the bound of the scans, 1e-6 * sqrt(len),
 * from CLSA_BF16_FEW values on: 1e-6 * sqrt(128) = 1.1e-5, more than 2^-17 and
 * the rounding of the sums, 9e-6. Shorter keys need all three, which are exact.
 */
#ifndef CLSA_BF16_SPLIT_H
#define CLSA_BF16_SPLIT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd/scalar.h"

#define CLSA_BF16_FEW 128
/* Values that are split at once; scores of longer keys are sums of chunks. */
#define CLSA_BF16_CHUNK 512
/* Zeros follow a chunk up to a multiple of it: a vector's values. */
#define CLSA_BF16_STEP 32

struct clsa_bf16_split {
    uint16_t part[3][CLSA_BF16_CHUNK];
};

/* The next part of *x, taken off of it. What would round to infinity, within
   2^-9 of the largest float, becomes the largest bf16 instead. */
static inline uint16_t clsa_bf16_take(float *x)
{
    uint16_t part = clsa_f32_to_bf16(*x);
    part = (uint16_t)(part - ((part & 0x7fff) == 0x7f80));
    *x -= clsa_bf16_to_f32(part);
    return part;
}

/* n <= CLSA_BF16_CHUNK finite values of a query in two or three parts. */
static inline void clsa_bf16_split(struct clsa_bf16_split *s, const float *x,
                                   size_t n, int parts)
{
    const size_t end =
        (n + CLSA_BF16_STEP - 1) / CLSA_BF16_STEP * CLSA_BF16_STEP;
    for (size_t j = 0; j < n; j++) {
        float rest = x[j];
        for (int p = 0; p < parts; p++)
            s->part[p][j] = clsa_bf16_take(&rest);
    }
    for (int p = 0; p < parts; p++)
        memset(s->part[p] + n, 0, (end - n) * sizeof s->part[p][0]);
}

#endif /* CLSA_BF16_SPLIT_H */
