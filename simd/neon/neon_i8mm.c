/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level neon_i8mm: smmla for block weights and several columns. Overlays
 * level neon_dotprod. The bf16 instructions that come with such CPUs would
 * round the activations, which the contract of matmul does not allow.
 */
#include "simd/neon/neon.h"

void clsa_simd_neon_i8mm(struct clsa_simd *table)
{
    table->name = "neon_i8mm";
    clsa_matmul_q8_0_neon_i8mm(table);
    clsa_matmul_q4_0_neon_i8mm(table);
}
