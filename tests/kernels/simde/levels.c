/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_simde: main.c over one level that has only the kernels of
 * simd/avx512/index_bf16.c, compiled against SIMDe instead of AVX-512, in the
 * place of simd/dispatch.c. It shows the logic of the kernels to CPUs without
 * BF16, not the rounding of their instructions. There is no level, and the
 * test is skipped, where configure has not found SIMDe or the CPU lacks AVX2.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "simd/cpu.h"
#include "simd/simd.h"

static struct clsa_simd ref, simde;
static const char *names[2];

#ifdef HAVE_SIMDE
void clsa_index_avx512bf16(struct clsa_simd *table);
void clsa_kernel_scan_bf16_avx512(float *score, const uint16_t *key, size_t n,
                                  size_t len,
                                  const struct clsa_index_query *query);

/* For the keys that the level leaves to the one below it. */
void clsa_kernel_scan_bf16_avx512(float *score, const uint16_t *key, size_t n,
                                  size_t len,
                                  const struct clsa_index_query *query)
{
    ref.scan_bf16(score, key, n, len, query);
}

static void fill(void)
{
    simde.name = "avx512bf16";
    clsa_index_avx512bf16(&simde);
}
#else
static void fill(void)
{
}
#endif

const char *const *clsa_simd_names(void)
{
    clsa_simd_ref(&ref);
    if (clsa_cpu_bundles() & CLSA_CPU_AVX2)
        fill();
    names[0] = simde.name;
    return names;
}

const struct clsa_simd *clsa_simd_table(const char *name)
{
    if (!strcmp(name, "ref"))
        return &ref;
    return simde.name && !strcmp(name, simde.name) ? &simde : NULL;
}
