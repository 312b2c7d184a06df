/* SPDX-License-Identifier: Apache-2.0 */
/* Level avx512: F, BW, DQ and VL, on top of avx2. */
#include "simd/avx512/avx512.h"

void clsa_simd_avx512(struct clsa_simd *table)
{
    table->name = "avx512";
    clsa_matmul_float_avx512(table);
    clsa_matmul_q8_0_avx512(table);
    clsa_matmul_q4_0_avx512(table);
    clsa_matmul_q4_k_avx512(table);
    clsa_matmul_q6_k_avx512(table);
    clsa_rows_avx512(table);
    clsa_rows_k_avx512(table);
    clsa_elementwise_avx512(table);
    clsa_index_avx512(table);
    clsa_gather_avx512(table);
    clsa_attend_avx512(table);
    clsa_score_avx512(table);
    clsa_combine_avx512(table);
    clsa_prefill_attn_avx512(table);
}
