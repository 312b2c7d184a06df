/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in blocks with parts at level neon_dotprod: sdot. */
#include "simd/neon/matmul_parts.h"

NEON_PARTS_FORMATS(NEON_PARTS_MATMUL, neon_dotprod)

void clsa_matmul_parts_neon_dotprod(struct clsa_simd *table)
{
    table->matmul[CLSA_Q4_1] = matmul_q4_1_neon_dotprod;
    table->matmul[CLSA_Q5_0] = matmul_q5_0_neon_dotprod;
    table->matmul[CLSA_Q5_1] = matmul_q5_1_neon_dotprod;
    table->matmul[CLSA_Q2_K] = matmul_q2_k_neon_dotprod;
    table->matmul[CLSA_Q3_K] = matmul_q3_k_neon_dotprod;
    table->matmul[CLSA_Q5_K] = matmul_q5_k_neon_dotprod;
    table->matmul[CLSA_IQ4_NL] = matmul_iq4_nl_neon_dotprod;
    table->matmul[CLSA_IQ4_XS] = matmul_iq4_xs_neon_dotprod;
}
