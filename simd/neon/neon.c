/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level neon: plain ARMv8.0 with its half precision conversions. Overlays the
 * scalar table; copies of F32 rows stay with memcpy there.
 */
#include "simd/neon/neon.h"

void clsa_simd_neon(struct clsa_simd *table)
{
    table->name = "neon";
    clsa_matmul_float_neon(table);
    clsa_matmul_q8_0_neon(table);
    clsa_matmul_q4_0_neon(table);
    clsa_matmul_q4_k_neon(table);
    clsa_matmul_q6_k_neon(table);
    clsa_matmul_parts_neon(table);
    clsa_rows_neon(table);
    clsa_rows_k_neon(table);
    clsa_elementwise_neon(table);
    clsa_index_neon(table);
    clsa_index_heads_neon(table);
    clsa_attend_neon(table);
    clsa_score_neon(table);
    clsa_combine_neon(table);
}
