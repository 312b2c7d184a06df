/* SPDX-License-Identifier: Apache-2.0 */
/* store_search.c: scales of small squared error for parts of blocks. */
#include <math.h>

#include "simd/ref/store_search.h"

#define TRIES 21 /* scales of a part with a min that are tried */
#define REACH 9  /* steps to either side of the peak's v, without one */

/* To nearest even by way of the bits of a sum; |x| < 2^22. */
static inline float nearest(float x)
{
    return x + 0x1.8p23f - 0x1.8p23f;
}

/* ---------------------------------------------------------------- with mins */

float clsa_ref_level(float x, struct ref_fit f, float top)
{
    float q = (x + f.m) / f.s;
    q = q > 0 ? q : 0;
    q = q < top ? q : top;
    return nearest(q);
}

static double square_error(const float *x, struct ref_fit f,
                           const struct ref_range *range)
{
    double sum = 0;
    for (size_t i = 0; i < range->n; i++) {
        const float q = clsa_ref_level(x[i], f, range->top);
        const double e = (double)(f.s * q - f.m) - (double)x[i];
        sum += e * e;
    }
    return sum;
}

/* The least-squares s and m for the q that f gives; f if there is none. */
static struct ref_fit refit(const float *x, struct ref_fit f,
                            const struct ref_range *range)
{
    const double n = (double)range->n;
    double q1 = 0, q2 = 0, x1 = 0, xq = 0;
    for (size_t i = 0; i < range->n; i++) {
        const double q = (double)clsa_ref_level(x[i], f, range->top);
        const double v = (double)x[i];
        q1 += q;
        q2 += q * q;
        x1 += v;
        xq += v * q;
    }
    const double det = n * q2 - q1 * q1;
    double s = det > 0 ? (n * xq - q1 * x1) / det : 0;
    double m = det > 0 ? (q1 * xq - q2 * x1) / det : 0;
    if (m < 0 && q2 > 0 && !range->any_sign) { /* through the origin */
        m = 0;
        s = xq / q2;
    }
    return s > 0 ? (struct ref_fit){(float)s, (float)m} : f;
}

struct ref_fit clsa_ref_fit(const float *x, const struct ref_range *range)
{
    float low = range->any_sign ? x[0] : 0, high = x[0];
    for (size_t i = 0; i < range->n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    if (!(high - low > CLSA_QUANT_MIN)) /* all the same and not above 0 */
        return (struct ref_fit){0, -low};
    if (isinf(high - low))
        return (struct ref_fit){0, 0}; /* no f16 could scale them */
    struct ref_fit best = {(high - low) / range->top, -low};
    double least = square_error(x, best, range);
    for (int t = 0; t < TRIES; t++) {
        const float steps = range->top - 1.0f + 0.1f * (float)t;
        const struct ref_fit f =
            refit(x, (struct ref_fit){(high - low) / steps, -low}, range);
        const double error = square_error(x, f, range);
        if (error < least) {
            least = error;
            best = f;
        }
    }
    return best;
}

/* ------------------------------------------------------------- without mins */

uint8_t clsa_ref_iq4_level(float x, float s, const struct ref_grid *grid)
{
    const float q = s != 0 ? x / s : grid->low;
    uint8_t at = 0;
    while (at < 15 &&
           q > 0.5f * (float)(grid->values[at] + grid->values[at + 1]))
        at++;
    return at;
}

float clsa_ref_grid_level(float x, float s, const struct ref_grid *grid)
{
    if (grid->values)
        return (float)grid->values[clsa_ref_iq4_level(x, s, grid)];
    float q = x / s;
    q = q > grid->low ? q : grid->low;
    q = q < grid->high ? q : grid->high;
    return nearest(q);
}

/* Squared error of a part, and the least-squares scale for its levels. */
static double grid_error(const float *x, float s, const struct ref_grid *grid,
                         float *better)
{
    double sum = 0, xq = 0, q2 = 0;
    for (size_t i = 0; i < grid->n; i++) {
        const double q = (double)clsa_ref_grid_level(x[i], s, grid);
        const double v = (double)x[i], e = (double)s * q - v;
        sum += e * e;
        xq += v * q;
        q2 += q * q;
    }
    *better = q2 > 0 ? (float)(xq / q2) : s;
    return sum;
}

float clsa_ref_fit_grid(const float *x, const struct ref_grid *grid)
{
    float peak = x[0], best, next;
    for (size_t i = 1; i < grid->n; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    if (!(fabsf(peak) > CLSA_QUANT_MIN))
        return 0;
    best = peak / grid->low;
    double least = grid_error(x, best, grid, &next);
    for (int t = -REACH; t <= REACH; t++) {
        float s, better, last;
        grid_error(x, peak / (grid->low + grid->step * (float)t), grid,
                   &better);
        s = better != 0 ? better : best;
        const double error = grid_error(x, s, grid, &last);
        if (error < least) {
            least = error;
            best = s;
        }
    }
    return best;
}
