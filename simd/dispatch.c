/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder of levels: which of them this build has (HAVE_SIMD_* of
 * configure) and this CPU runs, and the kernel table of each. The table of a
 * level is the scalar one, overlaid by each level up to it in the order of
 * `ladder`. Everything is made once, at the first call, and then read only.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <pthread.h>
#include <string.h>

#include "simd/cpu.h"
#include "simd/peaks.h"
#include "simd/simd.h"

struct level {
    const char *name;
    unsigned needs; /* bundles of cpu.h */
    void (*overlay)(struct clsa_simd *table);
    void (*peaks)(struct clsa_peak_loops *loops);
};

static const struct level ladder[] = {
    {"ref", 0, clsa_simd_ref, clsa_peaks_ref},
#ifdef HAVE_SIMD_AVX2
    {"avx2", CLSA_CPU_AVX2, clsa_simd_avx2, clsa_peaks_avx2},
#endif
#ifdef HAVE_SIMD_AVX512
    {"avx512", CLSA_CPU_AVX512, clsa_simd_avx512, clsa_peaks_avx512},
#endif
#ifdef HAVE_SIMD_AVX512VNNI
    {"avx512vnni", CLSA_CPU_AVX512VNNI, clsa_simd_avx512vnni,
     clsa_peaks_avx512vnni},
#endif
#ifdef HAVE_SIMD_AVX512BF16
    {"avx512bf16", CLSA_CPU_AVX512BF16, clsa_simd_avx512bf16,
     clsa_peaks_avx512vnni},
#endif
#ifdef HAVE_SIMD_AVX512AMX
    {"avx512amx", CLSA_CPU_AVX512AMX, clsa_simd_avx512amx,
     clsa_peaks_avx512amx},
#endif
#ifdef HAVE_SIMD_NEON
    {"neon", CLSA_CPU_NEON, clsa_simd_neon, clsa_peaks_neon},
#endif
#ifdef HAVE_SIMD_NEON_DOTPROD
    {"neon_dotprod", CLSA_CPU_NEON_DOTPROD, clsa_simd_neon_dotprod,
     clsa_peaks_neon_dotprod},
#endif
#ifdef HAVE_SIMD_NEON_I8MM
    {"neon_i8mm", CLSA_CPU_NEON_I8MM, clsa_simd_neon_i8mm,
     clsa_peaks_neon_i8mm},
#endif
#ifdef HAVE_SIMD_NEON_BF16
    {"neon_bf16", CLSA_CPU_NEON_BF16, clsa_simd_neon_bf16,
     clsa_peaks_neon_i8mm},
#endif
};

#define LEVELS (sizeof ladder / sizeof ladder[0])

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct clsa_simd tables[LEVELS];
static struct clsa_peak_loops peaks[LEVELS];
static const char *names[LEVELS + 1];
static size_t usable; /* levels of the ladder that this CPU runs, >= 1 */

static void climb(void)
{
    const unsigned bundles = clsa_cpu_bundles();
    struct clsa_simd table = {0};
    struct clsa_peak_loops loops = {0};

    for (size_t i = 0; i < LEVELS; i++) {
        if ((ladder[i].needs & bundles) != ladder[i].needs)
            continue;
        ladder[i].overlay(&table);
        ladder[i].peaks(&loops);
        peaks[usable] = loops;
        table.name = ladder[i].name;
        tables[usable] = table;
        names[usable++] = ladder[i].name;
    }
}

const char *const *clsa_simd_names(void)
{
    pthread_once(&once, climb);
    return names;
}

/* Number of a level among the usable ones, the best for NULL; or `usable`. */
static size_t find(const char *name)
{
    size_t i = 0;

    pthread_once(&once, climb);
    if (!name)
        return usable - 1;
    while (i < usable && strcmp(names[i], name))
        i++;
    return i;
}

const struct clsa_simd *clsa_simd_table(const char *name)
{
    const size_t i = find(name);
    return i < usable ? &tables[i] : NULL;
}

const struct clsa_peak_loops *clsa_simd_peaks(const char *name)
{
    const size_t i = find(name);
    return i < usable ? &peaks[i] : NULL;
}
