/* SPDX-License-Identifier: Apache-2.0 */
/* The scalar kernels: the specification of the table in simd.h. */
#ifndef CLSA_REF_H
#define CLSA_REF_H

#include "simd/simd.h"

void clsa_matmul_ref(struct clsa_simd *table);
void clsa_matmul_k_ref(struct clsa_simd *table);
void clsa_rows_ref(struct clsa_simd *table);
void clsa_rows_q4_k_ref(struct clsa_simd *table);
void clsa_rows_q6_k_ref(struct clsa_simd *table);
void clsa_elementwise_ref(struct clsa_simd *table);
void clsa_index_ref(struct clsa_simd *table);
void clsa_select_ref(struct clsa_simd *table);
void clsa_attend_ref(struct clsa_simd *table);
void clsa_tile_ref(struct clsa_simd *table);

#endif /* CLSA_REF_H */
