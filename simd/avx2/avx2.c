/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.c: the kernel list of the level avx2 (AVX2, FMA and F16C). Called once
 * by the table ladder, on CPUs that have all three. Every kernel of the table
 * has an AVX2 version but the conversions of model files: store[Q4_0] and
 * load and store of the k-quants stay scalar.
 */
#include "simd/avx2/avx2.h"

void clsa_simd_avx2(struct clsa_simd *table)
{
    table->name = "avx2";
    clsa_avx2_matmul_float(table);
    clsa_avx2_matmul_q8_0(table);
    clsa_avx2_matmul_q4_0(table);
    clsa_avx2_matmul_q4_k(table);
    clsa_avx2_matmul_q6_k(table);
    clsa_avx2_rows(table);
    clsa_avx2_elementwise(table);
    clsa_avx2_index(table);
    clsa_avx2_select(table);
    clsa_avx2_attend(table);
    clsa_avx2_tile(table);
    clsa_avx2_score(table);
}
