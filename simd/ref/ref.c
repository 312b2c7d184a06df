/* SPDX-License-Identifier: Apache-2.0 */
/* ref.c: the kernel list of level ref, which has all of the table. */
#include "simd/ref/ref.h"

void clsa_simd_ref(struct clsa_simd *table)
{
    table->name = "ref";
    clsa_matmul_float_ref(table);
    clsa_matmul_q8_0_ref(table);
    clsa_matmul_q4_0_ref(table);
    clsa_matmul_parts_ref(table);
    clsa_rows_ref(table);
    clsa_store_blocks_ref(table);
    clsa_store_k_ref(table);
    clsa_elementwise_ref(table);
    clsa_index_ref(table);
    clsa_index_heads_ref(table);
    clsa_tiles_ref(table);
    clsa_topk_ref(table);
    clsa_gather_ref(table);
    clsa_sampling_ref(table);
    clsa_attend_ref(table);
    clsa_score_ref(table);
    clsa_combine_ref(table);
    clsa_prefill_attn_ref(table);
}
