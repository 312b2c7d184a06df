/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection of the bundles of cpu.h: CPUID and XCR0 on x86-64, the auxiliary
 * vector on AArch64 Linux, nothing elsewhere. An instruction set counts only
 * if the operating system saves its registers, which XCR0 tells: hypervisors
 * and kernels switch AVX-512 off there while CPUID still shows it. For tiles
 * Linux wants to be asked as well, which allows them to the whole process.
 */
#include "simd/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* CPUID leaf 1, ECX; compilers take POPCNT for a part of AVX2 */
#define FMA     (1u << 12)
#define POPCNT  (1u << 23)
#define OSXSAVE (1u << 27)
#define AVX     (1u << 28)
#define F16C    (1u << 29)
/* leaf 7 subleaf 0, EBX */
#define AVX2     (1u << 5)
#define AVX512F  (1u << 16)
#define AVX512DQ (1u << 17)
#define AVX512BW (1u << 30)
#define AVX512VL (1u << 31)
/* leaf 7 subleaf 0, ECX */
#define AVX512_VBMI (1u << 1)
#define GFNI        (1u << 8)
#define AVX512_VNNI (1u << 11)
/* leaf 7 subleaf 0, EDX */
#define AMX_TILE (1u << 24)
#define AMX_INT8 (1u << 25)
#define AMX_BF16 (1u << 22)
/* leaf 7 subleaf 1, EAX */
#define AVX512_BF16 (1u << 5)

/* Register files in XCR0: XMM and YMM; also the opmasks and ZMM; tiles. */
#define STATE_YMM  0x06u
#define STATE_ZMM  0xe6u
#define STATE_TILE 0x60000u

static bool has(unsigned word, unsigned bits)
{
    return (word & bits) == bits;
}

/* Only after CPUID has shown OSXSAVE. */
static uint32_t saved_state(void)
{
    uint32_t eax, edx;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax;
}

/* Whether this process may use tiles from now on. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
#else
    return false;
#endif
}

unsigned clsa_cpu_bundles(void)
{
    unsigned a, b, c, d, ecx1;

    if (!__get_cpuid(1, &a, &b, &ecx1, &d) || !has(ecx1, OSXSAVE))
        return 0;
    const uint32_t state = saved_state();
    if (!has(state, STATE_YMM) || !has(ecx1, AVX | FMA | F16C | POPCNT) ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, AVX2))
        return 0;
    const unsigned subleaves = a;
    unsigned bundles = CLSA_CPU_AVX2;
    if (!has(state, STATE_ZMM) ||
        !has(b, AVX512F | AVX512BW | AVX512DQ | AVX512VL))
        return bundles;
    bundles |= CLSA_CPU_AVX512;
    if (!has(c, AVX512_VNNI | AVX512_VBMI))
        return bundles;
    bundles |= CLSA_CPU_AVX512VNNI;
    const bool tiles = has(state, STATE_TILE) && has(c, GFNI) &&
                       has(d, AMX_TILE | AMX_INT8 | AMX_BF16);
    if (subleaves < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) ||
        !has(a, AVX512_BF16))
        return bundles;
    bundles |= CLSA_CPU_AVX512BF16;
    return tiles && may_use_tiles() ? bundles | CLSA_CPU_AVX512AMX : bundles;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

/* Bits of the kernel's interface; old <asm/hwcap.h> lack the later ones. */
#define CAP_ASIMD   (1ul << 1)
#define CAP_ASIMDDP (1ul << 20)
#define CAP2_I8MM   (1ul << 13)
#define CAP2_BF16   (1ul << 14)

unsigned clsa_cpu_bundles(void)
{
    const unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
    unsigned bundles = 0;

    if (!(cap & CAP_ASIMD))
        return bundles;
    bundles |= CLSA_CPU_NEON;
    if (!(cap & CAP_ASIMDDP))
        return bundles;
    bundles |= CLSA_CPU_NEON_DOTPROD;
    if (!(cap2 & CAP2_I8MM))
        return bundles;
    bundles |= CLSA_CPU_NEON_I8MM;
    return cap2 & CAP2_BF16 ? bundles | CLSA_CPU_NEON_BF16 : bundles;
}

#else

unsigned clsa_cpu_bundles(void)
{
    return 0;
}

#endif
