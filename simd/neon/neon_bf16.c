/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level neon_bf16: bfdot, on top of neon_i8mm, if the CPU has both, as
 * CPUs with i8mm mostly do.
 */
#include "simd/neon/neon.h"

void clsa_simd_neon_bf16(struct clsa_simd *table)
{
    table->name = "neon_bf16";
    clsa_index_neon_bf16(table);
}
