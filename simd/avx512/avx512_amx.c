/* SPDX-License-Identifier: Apache-2.0 */
/* Level avx512amx: AMX INT8, AMX BF16 and GFNI, on top of avx512bf16. */
#include "simd/avx512/avx512.h"

void clsa_simd_avx512amx(struct clsa_simd *table)
{
    table->name = "avx512amx";
    clsa_matmul_q8_0_avx512amx(table);
    clsa_matmul_q4_0_avx512amx(table);
    clsa_tiles_avx512amx(table);
}
