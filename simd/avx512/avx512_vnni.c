/* SPDX-License-Identifier: Apache-2.0 */
/* Level avx512vnni: VNNI and VBMI, on top of avx512. */
#include "simd/avx512/avx512.h"

void clsa_simd_avx512vnni(struct clsa_simd *table)
{
    table->name = "avx512vnni";
    clsa_matmul_q8_0_avx512vnni(table);
    clsa_matmul_q4_0_avx512vnni(table);
    clsa_matmul_q4_k_avx512vnni(table);
    clsa_matmul_q6_k_avx512vnni(table);
    clsa_matmul_q4_1_avx512vnni(table);
    clsa_matmul_q5_0_avx512vnni(table);
    clsa_matmul_q5_1_avx512vnni(table);
    clsa_matmul_q5_k_avx512vnni(table);
    clsa_matmul_iq4_nl_avx512vnni(table);
    clsa_matmul_iq4_xs_avx512vnni(table);
    clsa_index_avx512vnni(table);
    clsa_index_heads_avx512vnni(table);
}
