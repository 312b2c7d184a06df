/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_peaks: the loops of simd/peaks.h at every level that this CPU has,
 * against the scalar ones: a loop that computes something else would measure
 * something else. Exit status: 0 all the same, 1 a difference.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "simd/peaks.h"
#include "simd/simd.h"

#define N (4 * CLSA_PEAK_UNIT)

static int failed;

static void check(int ok, const char *level, const char *what)
{
    if (!ok)
        printf("FAIL %s %s\n", level, what);
    failed += !ok;
}

static uint32_t next(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void check_read(const struct clsa_peak_loops *loops,
                       const struct clsa_peak_loops *ref, const char *level)
{
    static uint32_t words[N];

    for (int i = 0; i < N; i++)
        words[i] = next() << 8;
    for (size_t n = 0; n <= N; n += CLSA_PEAK_UNIT / sizeof *words)
        check(loops->read(words, n * sizeof *words, n) ==
                  ref->read(words, n * sizeof *words, 0),
              level, "read");
}

static void check_gather(const struct clsa_peak_loops *loops, const char *level)
{
    enum { ROWS = 32, BYTES = 320, TAKEN = 20 };
    static unsigned char rows[ROWS][BYTES], y[TAKEN + 1][BYTES];
    uint32_t order[TAKEN];

    for (int i = 0; i < ROWS * BYTES; i++)
        rows[i / BYTES][i % BYTES] = (unsigned char)next();
    for (size_t ahead = 0; ahead < TAKEN + 2; ahead++) {
        memset(y, 0xfd, sizeof y);
        for (int i = 0; i < TAKEN; i++)
            order[i] = next() % ROWS;
        loops->gather(y, rows, order, TAKEN, BYTES, ahead);
        for (int i = 0; i < TAKEN; i++)
            check(!memcmp(y[i], rows[order[i]], BYTES), level, "gather");
        for (int i = 0; i < BYTES; i++)
            check(y[TAKEN][i] == 0xfd, level, "gather: write past the end");
    }
}

static void check_fma(const struct clsa_peak_loops *loops,
                      const struct clsa_peak_loops *ref, const char *level)
{
    const float w[CLSA_PEAK_FMA_ROWS] = {1, -0.5f, 0.25f};
    static float x[N];

    for (int i = 0; i < N; i++)
        x[i] = (float)(next() % 2000) / 1000 - 1;
    for (size_t n = 0; n <= N; n += CLSA_PEAK_UNIT) {
        const float got = loops->fma(x, n, w), want = ref->fma(x, n, w);
        const double bound = 1e-6 * sqrt((double)n) * (double)n * 1.75;
        check(fabs((double)got - (double)want) <= bound, level, "fma");
    }
}

/* Random, and the extremes that overflow 16 bits first. */
static void fill(struct clsa_peak_operands *o, int8_t *x, int full, int extreme)
{
    for (int i = 0; i < N; i++)
        x[i] = (int8_t)(extreme ? (next() % 8 ? -127 : 127)
                                : (int)(next() % 255) - 127);
    for (int i = 0; i < CLSA_PEAK_ROWS * CLSA_PEAK_PATTERN; i++) {
        const int top = full ? 127 : 15;
        const int any = full ? (int)(next() % 255) - 127 : (int)(next() % 16);
        const int sign = full && i / CLSA_PEAK_PATTERN % 2 ? -1 : 1;
        o->w[i / CLSA_PEAK_PATTERN][i % CLSA_PEAK_PATTERN] =
            (int8_t)(extreme ? sign * top : any);
    }
}

static void check_products(const struct clsa_peak_loops *loops,
                           const struct clsa_peak_loops *ref, const char *level)
{
    static int8_t x[N];
    struct clsa_peak_operands o = {.x = x};

    for (int i = 0; loops->product[i].name; i++)
        for (int round = 0; round < 16; round++) {
            fill(&o, x, loops->product[i].full, round % 2);
            o.n = (size_t)(round % 5) * CLSA_PEAK_UNIT;
            o.sum = 0;
            for (size_t j = 0; j < o.n; j++)
                o.sum += x[j];
            check(loops->product[i].run(&o) == ref->product[0].run(&o), level,
                  loops->product[i].name);
        }
}

int main(void)
{
    const struct clsa_peak_loops *ref = clsa_simd_peaks("ref");

    for (const char *const *level = clsa_simd_names(); *level; level++) {
        const struct clsa_peak_loops *loops = clsa_simd_peaks(*level);
        check_read(loops, ref, *level);
        check_gather(loops, *level);
        check_fma(loops, ref, *level);
        check_products(loops, ref, *level);
    }
    check(!clsa_simd_peaks("none"), "none", "an unknown level has loops");
    printf("%d failed\n", failed);
    return failed != 0;
}
