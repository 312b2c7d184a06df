/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level neon_dotprod: ARMv8.2 with sdot, for block weights and index keys.
 * Overlays level neon.
 */
#include "simd/neon/neon.h"

void clsa_simd_neon_dotprod(struct clsa_simd *table)
{
    table->name = "neon_dotprod";
    clsa_matmul_q8_0_neon_dotprod(table);
    clsa_matmul_q4_0_neon_dotprod(table);
    clsa_matmul_q4_k_neon_dotprod(table);
    clsa_matmul_q6_k_neon_dotprod(table);
    clsa_matmul_parts_neon_dotprod(table);
    clsa_index_neon_dotprod(table);
    clsa_index_heads_neon_dotprod(table);
}
