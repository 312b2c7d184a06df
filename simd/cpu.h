/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.h: what this CPU and its operating system can run, as the named bundles
 * of instruction sets that the levels of simd.h are compiled for. Called by
 * dispatch.c. A bundle is reported only together with all bundles below it on
 * its ladder, and only if the system saves the registers that it uses.
 */
#ifndef CLSA_CPU_H
#define CLSA_CPU_H

enum clsa_cpu_bundle {
    CLSA_CPU_AVX2 = 1 << 0,       /* AVX2, FMA, F16C */
    CLSA_CPU_AVX512 = 1 << 1,     /* AVX-512 F, BW, DQ, VL */
    CLSA_CPU_AVX512VNNI = 1 << 2, /* AVX-512 VNNI, VBMI */
    CLSA_CPU_AVX512BF16 = 1 << 3, /* AVX-512 BF16 */
    CLSA_CPU_AVX512AMX = 1 << 4,  /* AMX tiles, AMX INT8, AMX BF16, GFNI */
    CLSA_CPU_NEON = 1 << 5,       /* Advanced SIMD of ARMv8.0 */
    CLSA_CPU_NEON_DOTPROD = 1 << 6,
    CLSA_CPU_NEON_I8MM = 1 << 7,
    CLSA_CPU_NEON_BF16 = 1 << 8 /* with I8MM if the CPU has it */
};

/* The bundles of this CPU, or'ed. Asks CPU and system at each call. */
unsigned clsa_cpu_bundles(void);

#endif /* CLSA_CPU_H */
