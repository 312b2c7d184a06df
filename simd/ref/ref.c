/* SPDX-License-Identifier: Apache-2.0 */
#include "simd/ref/ref.h"

void clsa_simd_ref(struct clsa_simd *table)
{
    table->name = "ref";
    clsa_matmul_ref(table);
    clsa_matmul_k_ref(table);
    clsa_rows_ref(table);
    clsa_rows_q4_k_ref(table);
    clsa_rows_q6_k_ref(table);
    clsa_elementwise_ref(table);
    clsa_index_ref(table);
    clsa_select_ref(table);
    clsa_attend_ref(table);
    clsa_tile_ref(table);
}
