/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_search.h: how the scales of blocks with parts are found, for
 * store_k.c and store_blocks.c.
 *
 * With a min a part of n values is s * q - m with q = 0..top. Scales around
 * (max - min) / top are tried, s and m are fitted to the rounded q of each by
 * least squares, and the pair of least squared error is kept.
 *
 * Without one it is s * v, where v is a whole number from `low` to `high` or
 * one of 16 values. Scales are tried around the one that makes the value of
 * largest magnitude `low`, each is fitted to the rounded v by least squares,
 * and the one of least squared error is kept.
 */
#ifndef CLSA_REF_STORE_SEARCH_H
#define CLSA_REF_STORE_SEARCH_H

#include "simd/ref/ref.h"

struct ref_range {
    size_t n;     /* values of a part */
    float top;    /* highest q */
    int any_sign; /* of m; else m >= 0 */
};

/* How a part is written: s * q - m. */
struct ref_fit {
    float s, m;
};

struct ref_grid {
    size_t n;             /* values of a part */
    float low, high;      /* lowest and highest v */
    float step;           /* between the tries for the peak's v */
    const int8_t *values; /* [16] v, ascending; NULL: whole numbers */
};

/* q of one value, 0..top; f.s > 0. */
float clsa_ref_level(float x, struct ref_fit f, float top);

/* v of one value; s not 0. */
float clsa_ref_grid_level(float x, float s, const struct ref_grid *grid);

/* Which of the 16 values that is; 0 for s = 0. */
uint8_t clsa_ref_iq4_level(float x, float s, const struct ref_grid *grid);

struct ref_fit clsa_ref_fit(const float *x, const struct ref_range *range);
float clsa_ref_fit_grid(const float *x, const struct ref_grid *grid);

#endif /* CLSA_REF_STORE_SEARCH_H */
