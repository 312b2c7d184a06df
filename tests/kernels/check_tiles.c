/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of products in tiles of bf16: what tile_x and tile_w leave, bit for
 * bit, and the sums, whose bits may not depend on the rows of x beside one.
 */
#include <math.h>
#include <string.h>

#include "tests/kernels/kernels.h"

enum { STEP = CLSA_TILE_STEP };

/* Values whose size in bf16 is normal, or 0. */
static void fill(float *x, size_t n, enum test_values values)
{
    test_fill(x, n, values);
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) < 0x1p-60f || fabsf(x[i]) > 0x1p60f)
            x[i] = 0;
}

static size_t steps_of(size_t k)
{
    return k / STEP;
}

static void check_x_case(const struct test *t, size_t k,
                         enum test_values values)
{
    test_case("k %zu, values %d", k, (int)values);
    test_reset((enum test_placement)0);
    const size_t bytes = (steps_of(k) - 1) * CLSA_TILE_BYTES + 64;
    float *x = test_input("x", k, sizeof *x);
    unsigned char *got = test_output("tiles", bytes, 1);
    unsigned char *want = test_output("tiles of ref", bytes, 1);
    fill(x, k, values);
    test_seal();
    t->ref->tile_x(want, x, k);
    t->simd->tile_x(got, x, k);
    if (memcmp(got, want, bytes) != 0)
        test_fail("tile_x: other bytes than the scalar kernel");
    test_intact();
}

static void check_w_case(const struct test *t, size_t n, size_t ld,
                         enum test_values values)
{
    test_case("n %zu, ld %zu, values %d", n, ld, (int)values);
    test_reset((enum test_placement)0);
    const size_t bytes = (steps_of(n) - 1) * CLSA_TILES_BYTES + CLSA_TILE_BYTES;
    float *w = test_input("w", (CLSA_TILE_X - 1) * ld + n, sizeof *w);
    unsigned char *got = test_output("tiles", bytes, 1);
    unsigned char *want = test_output("tiles of ref", bytes, 1);
    fill(w, (CLSA_TILE_X - 1) * ld + n, values);
    test_seal();
    t->ref->tile_w(want, w, ld, n);
    t->simd->tile_w(got, w, ld, n);
    if (memcmp(got, want, bytes) != 0)
        test_fail("tile_w: other bytes than the scalar kernel");
    test_intact();
}

static const size_t lens[] = {32, 64, 96, 256, 288, 576, 1024};

static void check_tile_x(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(lens); i++)
        for (int values = 0; values < TEST_VALUES; values++)
            check_x_case(t, lens[i], (enum test_values)values);
}

static void check_tile_w(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(lens); i++)
        for (int values = 0; values < TEST_VALUES; values++)
            check_w_case(t, lens[i], lens[i] + 32 * (i % 2),
                         (enum test_values)values);
}

/* Operands in tiles, made by the scalar kernels. */
struct product {
    size_t m, k;
    unsigned char *x, *w;
    float *got, *want;
};

static size_t x_bytes(const struct product *p)
{
    return steps_of(p->k) * CLSA_TILE_BYTES;
}

static void make_product(const struct test *t, struct product *p,
                         enum test_values values)
{
    float *row = test_output("rows", CLSA_TILE_X * p->k, sizeof *row);
    p->x = test_input("x", p->m / CLSA_TILE_X * x_bytes(p), 1);
    p->w = test_input("w", steps_of(p->k) * CLSA_TILES_BYTES, 1);
    for (size_t i = 0; i < p->m; i++) {
        fill(row, p->k, values);
        t->ref->tile_x(p->x + i / CLSA_TILE_X * x_bytes(p) +
                           i % CLSA_TILE_X * 64,
                       row, p->k);
    }
    for (size_t i = 0; i < CLSA_TILE_W / CLSA_TILE_X; i++) {
        fill(row, CLSA_TILE_X * p->k, values);
        t->ref->tile_w(p->w + i * CLSA_TILE_BYTES, row, p->k, p->k);
    }
    p->got = test_output("y", p->m * CLSA_TILE_W, sizeof *p->got);
    p->want = test_output("y of ref", p->m * CLSA_TILE_W, sizeof *p->want);
}

/* Half of the values, then the others added; all at once; 32 rows alone. */
static void check_sums(const struct test *t, const struct product *p)
{
    const size_t n = p->m * CLSA_TILE_W, half = steps_of(p->k) / 2 * STEP;
    const size_t few = (size_t)2 * CLSA_TILE_X * CLSA_TILE_W;
    float *y = test_output("y in parts", n, sizeof *y);
    float *alone = test_output("y of 32 rows", few, sizeof *alone);
    test_seal();
    t->ref->tile_product(p->want, p->m, p->x, x_bytes(p), p->w, p->k, 0);
    t->simd->tile_product(p->got, p->m, p->x, x_bytes(p), p->w, p->k, 0);
    for (size_t i = 0; i < n; i++)
        test_near(t, "y", i, p->got[i], p->want[i], (double)p->want[i],
                  1e-6 * sqrt((double)p->k) *
                      (fabs((double)p->want[i]) + (double)p->k));
    t->simd->tile_product(alone, 2 * CLSA_TILE_X,
                          p->x + (p->m / CLSA_TILE_X - 2) * x_bytes(p),
                          x_bytes(p), p->w, p->k, 0);
    test_same_floats("y of 32 rows", alone, p->got + n - few, few);
    if (half == 0)
        return;
    t->simd->tile_product(y, p->m, p->x, x_bytes(p), p->w, half, 0);
    t->simd->tile_product(y, p->m, p->x + half / STEP * CLSA_TILE_BYTES,
                          x_bytes(p), p->w + half / STEP * CLSA_TILES_BYTES,
                          p->k - half, 1);
    test_same_floats("y in parts", y, p->got, n);
}

static void check_tile_product(struct test *t)
{
    static const enum test_values values[] = {TEST_PLAIN, TEST_INTEGERS};
    for (size_t i = 0; i < TEST_COUNT(lens); i++)
        for (size_t m = 32; m <= 96; m += 32)
            for (size_t v = 0; v < TEST_COUNT(values); v++) {
                struct product p = {.m = m, .k = lens[i]};
                test_case("m %zu, k %zu, values %d", m, lens[i],
                          (int)values[v]);
                test_reset((enum test_placement)0);
                make_product(t, &p, values[v]);
                check_sums(t, &p);
                test_intact();
            }
}

const struct kernel tile_kernels[] = {
    {"tile_x", offsetof(struct clsa_simd, tile_x), CLSA_F32, check_tile_x},
    {"tile_w", offsetof(struct clsa_simd, tile_w), CLSA_F32, check_tile_w},
    {"tile_product", offsetof(struct clsa_simd, tile_product), CLSA_BF16,
     check_tile_product},
    {0},
};
