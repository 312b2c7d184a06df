/* SPDX-License-Identifier: Apache-2.0 */
/* Level avx512bf16: AVX-512 BF16, on top of avx512vnni. */
#include "simd/avx512/avx512.h"

void clsa_simd_avx512bf16(struct clsa_simd *table)
{
    table->name = "avx512bf16";
    clsa_index_avx512bf16(table);
}
