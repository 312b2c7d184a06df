/* SPDX-License-Identifier: Apache-2.0 */
/* The scalar loops of peaks.h. */
#include <string.h>

#include "simd/peaks.h"

static uint32_t read_ref(const void *p, size_t bytes, size_t ahead)
{
    const char *from = p;
    uint32_t sum = 0;

    for (size_t at = 0; at < bytes; at += 64) {
        uint32_t line[16];
        if (ahead)
            __builtin_prefetch(from + at + ahead, 0, 3);
        memcpy(line, from + at, sizeof line);
        for (int i = 0; i < 16; i++)
            sum += line[i];
    }
    return sum;
}

/* memcpy is as good as the system's, so that every level keeps this one. */
static void gather_ref(void *y, const void *base, const uint32_t *order,
                       size_t n, size_t bytes, size_t ahead)
{
    for (size_t i = 0; i < n; i++) {
        if (ahead && i + ahead < n) {
            const char *row = (const char *)base + order[i + ahead] * bytes;
            for (size_t at = 0; at < bytes; at += 64)
                __builtin_prefetch(row + at, 0, 2);
        }
        memcpy((char *)y + i * bytes, (const char *)base + order[i] * bytes,
               bytes);
    }
}

static float fma_ref(const float *x, size_t n,
                     const float w[CLSA_PEAK_FMA_ROWS])
{
    float sum[CLSA_PEAK_FMA_ROWS] = {0};

    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < CLSA_PEAK_FMA_ROWS; j++)
            sum[j] += x[i] * w[j];
    return sum[0] + sum[1] + sum[2];
}

static uint32_t product_ref(const struct clsa_peak_operands *o)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < o->n; i++)
        for (int j = 0; j < CLSA_PEAK_ROWS; j++)
            sum += (uint32_t)(o->x[i] * o->w[j][i % CLSA_PEAK_PATTERN]);
    return sum;
}

void clsa_peaks_ref(struct clsa_peak_loops *loops)
{
    const struct clsa_peak_loops all = {
        .read = read_ref,
        .gather = gather_ref,
        .fma = fma_ref,
        .product = {{"scalar", 1, 0, product_ref}}};

    *loops = all;
}
