/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level neon_i8mm: smmla for block weights and several columns. Overlays
 * level neon_dotprod.
 */
#include "simd/neon/neon.h"

void clsa_simd_neon_i8mm(struct clsa_simd *table)
{
    table->name = "neon_i8mm";
    clsa_matmul_q8_0_neon_i8mm(table);
    clsa_matmul_q4_0_neon_i8mm(table);
}
