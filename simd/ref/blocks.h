/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h: what the formats of blocks with parts have in common. Each of them
 * is taken apart into integers and two factors: that is their definition, and
 * all that differs between them. For simd/ref and the tests.
 */
#ifndef CLSA_REF_BLOCKS_H
#define CLSA_REF_BLOCKS_H

#include "simd/scalar.h"

#define REF_HALF 16 /* values that share a scale and a min */

/* Value i of a block: (d * scale[i/16]) * q[i] - dmin * min[i/16]. */
struct ref_block {
    int8_t q[CLSA_K_BLOCK]; /* the first 32 in blocks of 32 */
    int16_t scale[CLSA_K_BLOCK / REF_HALF], min[CLSA_K_BLOCK / REF_HALF];
    float d, dmin;
};

typedef void ref_unpack(struct ref_block *u, const uint8_t *block);

/* The function of a format; NULL: float formats, Q8_0, Q4_0. */
ref_unpack *clsa_ref_unpack(enum clsa_format format);

#endif /* CLSA_REF_BLOCKS_H */
