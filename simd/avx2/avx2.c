/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.c: the kernel list of the level avx2 (AVX2, FMA and F16C). Called once
 * by the table ladder, on CPUs that have all three. Every kernel of the table
 * has an AVX2 version but the conversions to model files: store[Q4_0] and those
 * of blocks with parts stay scalar.
 */
#include "simd/avx2/avx2.h"

void clsa_simd_avx2(struct clsa_simd *table)
{
    table->name = "avx2";
    clsa_matmul_float_avx2(table);
    clsa_matmul_q8_0_avx2(table);
    clsa_matmul_q4_0_avx2(table);
    clsa_matmul_q4_k_avx2(table);
    clsa_matmul_q6_k_avx2(table);
    clsa_matmul_q4_1_avx2(table);
    clsa_matmul_q5_0_avx2(table);
    clsa_matmul_q5_1_avx2(table);
    clsa_matmul_q2_k_avx2(table);
    clsa_matmul_q3_k_avx2(table);
    clsa_matmul_q5_k_avx2(table);
    clsa_matmul_iq4_nl_avx2(table);
    clsa_matmul_iq4_xs_avx2(table);
    clsa_rows_avx2(table);
    clsa_elementwise_avx2(table);
    clsa_index_avx2(table);
    clsa_index_heads_avx2(table);
    clsa_topk_avx2(table);
    clsa_gather_avx2(table);
    clsa_sampling_avx2(table);
    clsa_attend_avx2(table);
    clsa_score_avx2(table);
    clsa_combine_avx2(table);
    clsa_prefill_attn_avx2(table);
}
