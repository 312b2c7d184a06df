/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of rms_norm, rope, silu_mul, gelu_mul, softcap, add and rescale:
 * against the scalar versions, with output apart and in place where the
 * prototype allows it.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/kernels/kernels.h"

static const size_t sizes[] = {1,  2,  3,  7,  8,  9,  15,  16,  17,
                               31, 32, 33, 63, 64, 65, 100, 257, 2048};

/* Operands of any of them; n is half of the head for rope. */
struct vectors {
    size_t n;
    float *y, *want;
    const float *a, *b;
};

/* ------------------------------------------------------------- rms_norm */

#define EPS 1e-6f

static void run_rms_norm(const struct clsa_simd *table, void *arg)
{
    const struct vectors *v = arg;
    table->rms_norm(v->y, v->a, v->b, v->n, EPS);
}

static void compare_rms_norm(const struct test *t, const struct vectors *v,
                             const float *x)
{
    double sum = 0;
    for (size_t i = 0; i < v->n; i++)
        sum += (double)x[i] * (double)x[i];
    const double scale = 1 / sqrt(sum / (double)v->n + (double)EPS);
    /* the plain sum of the scalar version is less exact than the bound */
    const double rel = t->simd == t->ref ? 4e-6 : 1e-6;
    for (size_t i = 0; i < v->n; i++) {
        const double w = v->b ? (double)v->b[i] : 1;
        const double exact = (double)x[i] * scale * w;
        test_near(t, "y", i, v->y[i], v->want[i], exact,
                  rel * fabs(exact) + (double)FLT_MIN);
    }
}

static void check_rms_norm_case(const struct test *t, size_t n,
                                enum test_values values, bool weights,
                                bool in_place)
{
    struct vectors v = {.n = n};
    float *x = test_input("x", n, sizeof *x), *w = NULL;
    test_fill(x, n, values);
    if (weights) {
        v.b = w = test_input("w", n, sizeof *w);
        test_fill(w, n, TEST_PLAIN);
    }
    v.y = test_output("y", n, sizeof *v.y);
    v.want = test_output("y of ref", n, sizeof *v.want);
    test_seal();
    t->ref->rms_norm(v.want, x, w, n, EPS);
    if (in_place)
        memcpy(v.y, x, n * sizeof *x);
    v.a = in_place ? v.y : x;
    run_rms_norm(t->simd, &v);
    compare_rms_norm(t, &v, x);
    test_intact();
}

static void check_rms_norm_sizes(const struct test *t, size_t n,
                                 enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++)
        for (int how = 0; how < 4; how++) {
            test_case("n %zu, values %d, weights %d, in place %d, placement %d",
                      n, (int)values, how & 1, how >> 1, where);
            test_reset((enum test_placement)where);
            check_rms_norm_case(t, n, values, how & 1, how >> 1);
        }
}

static void check_rms_norm(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(sizes) - t->quick; i++)
        check_rms_norm_sizes(t, sizes[i], TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        check_rms_norm_sizes(t, 100, (enum test_values)values);
}

/* ----------------------------------------------------------------- rope */

static void make_rope(struct vectors *v, float **x, enum test_values values)
{
    const size_t half = v->n;
    *x = test_input("x", 2 * half, sizeof **x);
    float *c = test_input("cos", half, sizeof *c);
    float *s = test_input("sin", half, sizeof *s);
    test_fill(*x, 2 * half, values);
    for (size_t i = 0; i < half; i++) {
        const float angle = test_uniform(0, 6.2831853f);
        c[i] = cosf(angle);
        s[i] = sinf(angle);
    }
    v->a = c;
    v->b = s;
    v->y = test_output("x in place", 2 * half, sizeof *v->y);
    v->want = test_output("x of ref", 2 * half, sizeof *v->want);
}

/* One rotation of x by each, and the comparison. */
static void compare_rope(const struct test *t, const struct vectors *v,
                         const float *x)
{
    const size_t half = v->n;
    memcpy(v->y, x, 2 * half * sizeof *x);
    memcpy(v->want, x, 2 * half * sizeof *x);
    t->ref->rope(v->want, v->a, v->b, half);
    t->simd->rope(v->y, v->a, v->b, half);
    for (size_t i = 0; i < half; i++) {
        const double a = (double)x[i], b = (double)x[i + half];
        const double c = (double)v->a[i], s = (double)v->b[i];
        test_near(t, "x", i, v->y[i], v->want[i], a * c - b * s,
                  1e-6 * (fabs(a * c) + fabs(b * s)) + (double)FLT_MIN);
        test_near(t, "x", i + half, v->y[i + half], v->want[i + half],
                  b * c + a * s,
                  1e-6 * (fabs(b * c) + fabs(a * s)) + (double)FLT_MIN);
    }
}

static void check_rope_case(const struct test *t, size_t half,
                            enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct vectors v = {.n = half};
        float *x;
        test_case("half %zu, values %d, placement %d", half, (int)values,
                  where);
        test_reset((enum test_placement)where);
        make_rope(&v, &x, values);
        test_seal();
        compare_rope(t, &v, x);
        test_intact();
    }
}

static void check_rope(struct test *t)
{
    for (size_t i = 0; i < TEST_COUNT(sizes) - t->quick; i++)
        check_rope_case(t, sizes[i], TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        check_rope_case(t, 35, (enum test_values)values);
}

/* ------------------------------------------------------------- silu_mul */

static void run_silu_mul(const struct clsa_simd *table, void *arg)
{
    const struct vectors *v = arg;
    table->silu_mul(v->y, v->a, v->b, v->n);
}

static void run_gelu_mul(const struct clsa_simd *table, void *arg)
{
    const struct vectors *v = arg;
    table->gelu_mul(v->y, v->a, v->b, v->n);
}

static void compare_gelu_mul(const struct test *t, const struct vectors *v,
                             const float *gate)
{
    for (size_t i = 0; i < v->n; i++) {
        const double g = (double)gate[i], up = (double)v->b[i];
        const double u =
            (double)CLSA_GELU_SCALE * (g + (double)CLSA_GELU_CUBE * g * g * g);
        test_near(t, "y", i, v->y[i], v->want[i], g / (1 + exp(-2 * u)) * up,
                  1e-6 * fabs(g * up) + (double)FLT_MIN);
    }
}

static void compare_silu_mul(const struct test *t, const struct vectors *v,
                             const float *gate)
{
    for (size_t i = 0; i < v->n; i++) {
        const double g = (double)gate[i], up = (double)v->b[i];
        const double exact = g / (1 + exp(-g)) * up;
        /* the factor 1 / (1 + exp(-g)) may be 0 where it is below FLT_MIN */
        test_near(t, "y", i, v->y[i], v->want[i], exact,
                  4e-6 * fabs(exact) +
                      (double)FLT_MIN * (1 + fabs(g)) * (1 + fabs(up)));
    }
}

static float gate_value(int kind)
{
    static const float ends[] = {
        0.0f,   -0.0f,   88.0f, -88.0f, 88.8f,  -88.8f,  -87.3f, 87.4f,
        103.0f, -104.0f, 1e4f,  -1e4f,  1e-30f, -1e-30f, -17.0f, 17.0f,
    };
    if (kind == 0)
        return test_uniform(-10, 10);
    return kind == 1 ? test_uniform(-120, 120)
                     : ends[test_below(TEST_COUNT(ends))];
}

static void make_gate(struct vectors *v, float **gate, int kind)
{
    *gate = test_input("gate", v->n, sizeof **gate);
    float *up = test_input("up", v->n, sizeof *up);
    for (size_t i = 0; i < v->n; i++)
        (*gate)[i] = gate_value(kind);
    test_fill(up, v->n, TEST_PLAIN);
    v->b = up;
    v->y = test_output("y", v->n, sizeof *v->y);
    v->want = test_output("y of ref", v->n, sizeof *v->want);
}

/* A gate: its kernel, and how it is compared. */
struct gate {
    void (*run)(const struct clsa_simd *table, void *arg);
    void (*compare)(const struct test *t, const struct vectors *v,
                    const float *gate);
};

static void check_gate_case(const struct test *t, const struct gate *of,
                            size_t n, int kind)
{
    for (int where = 0; where < test_placements(t); where++)
        for (int in_place = 0; in_place < 2; in_place++) {
            struct vectors v = {.n = n};
            float *gate;
            test_case("n %zu, kind %d, in place %d, placement %d", n, kind,
                      in_place, where);
            test_reset((enum test_placement)where);
            make_gate(&v, &gate, kind);
            test_seal();
            struct vectors ref = v;
            ref.y = v.want;
            ref.a = gate;
            of->run(t->ref, &ref);
            if (in_place)
                memcpy(v.y, gate, n * sizeof *gate);
            v.a = in_place ? v.y : gate;
            of->run(t->simd, &v);
            of->compare(t, &v, gate);
            test_intact();
        }
}

static void check_gate(const struct test *t, const struct gate *of)
{
    check_gate_case(t, of, 0, 0);
    for (size_t i = 0; i < TEST_COUNT(sizes) - t->quick; i++)
        for (int kind = 0; kind < 3; kind++)
            check_gate_case(t, of, sizes[i], kind);
}

static void check_silu_mul(struct test *t)
{
    check_gate(t, &(struct gate){run_silu_mul, compare_silu_mul});
}

static void check_gelu_mul(struct test *t)
{
    check_gate(t, &(struct gate){run_gelu_mul, compare_gelu_mul});
}

/* -------------------------------------------------------------- softcap */

static void check_softcap_case(const struct test *t, size_t n, float cap)
{
    for (int where = 0; where < test_placements(t); where++) {
        test_case("n %zu, cap %g, placement %d", n, (double)cap, where);
        test_reset((enum test_placement)where);
        float *x = test_input("x", n, sizeof *x);
        float *y = test_output("y", n, sizeof *y);
        float *want = test_output("y of ref", n, sizeof *want);
        for (size_t i = 0; i < n; i++)
            x[i] = gate_value((int)(i % 3));
        test_seal();
        memcpy(y, x, n * sizeof *x);
        memcpy(want, x, n * sizeof *x);
        t->ref->softcap(want, n, cap);
        t->simd->softcap(y, n, cap);
        for (size_t i = 0; i < n; i++)
            test_near(t, "y", i, y[i], want[i],
                      (double)cap * tanh((double)x[i] / (double)cap),
                      1e-6 * (double)cap);
        test_intact();
    }
}

static void check_softcap(struct test *t)
{
    check_softcap_case(t, 0, 1);
    for (size_t i = 0; i < TEST_COUNT(sizes) - t->quick; i++) {
        check_softcap_case(t, sizes[i], 30);
        check_softcap_case(t, sizes[i], 0.5f);
    }
}

/* ------------------------------------------------------------------ add */

/* One addition: rounded once, so that all levels agree to the bit. */
static void compare_add(const struct test *t, const struct vectors *v)
{
    test_fill(v->y, v->n, TEST_WIDE);
    memcpy(v->want, v->y, v->n * sizeof *v->y);
    t->ref->add(v->want, v->a, v->n);
    t->simd->add(v->y, v->a, v->n);
    test_same_floats("y", v->y, v->want, v->n);
}

static void make_add(struct vectors *v, enum test_values values)
{
    float *x = test_input("x", v->n, sizeof *x);
    test_fill(x, v->n, values);
    v->a = x;
    v->y = test_output("y", v->n, sizeof *v->y);
    v->want = test_output("y of ref", v->n, sizeof *v->want);
}

static void check_add_case(const struct test *t, size_t n,
                           enum test_values values)
{
    for (int where = 0; where < test_placements(t); where++) {
        struct vectors v = {.n = n};
        test_case("n %zu, values %d, placement %d", n, (int)values, where);
        test_reset((enum test_placement)where);
        make_add(&v, values);
        test_seal();
        compare_add(t, &v);
        test_intact();
    }
}

static void check_add(struct test *t)
{
    check_add_case(t, 0, TEST_PLAIN);
    for (size_t i = 0; i < TEST_COUNT(sizes); i++)
        check_add_case(t, sizes[i], TEST_PLAIN);
    for (int values = 0; values < TEST_VALUES; values++)
        check_add_case(t, 100, (enum test_values)values);
}

/* -------------------------------------------------------------- rescale */

struct sums {
    size_t n, rows, ldy, ldx;
    const int32_t *x, *minus;
    const float *scale, *row_scale;
    float *y, *want;
    int add;
};

static int32_t *random_sums(const char *name, size_t n, uint32_t most)
{
    int32_t *x = test_input(name, n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (int32_t)test_below(2 * most + 1) - (int32_t)most;
    return x;
}

static float *random_scales(const char *name, size_t n)
{
    float *x = test_input(name, n, sizeof *x);
    test_fill(x, n, TEST_WIDE);
    return x;
}

static void make_sums(struct sums *s)
{
    const size_t cells = s->n ? (s->n - 1) * s->ldy + s->rows : 0;
    s->x = random_sums("x", s->n ? (s->n - 1) * s->ldx + s->rows : 0,
                       UINT32_C(1) << 29);
    s->minus = random_sums("minus", s->rows, UINT32_C(1) << 29);
    s->scale = random_scales("scale", s->n);
    s->row_scale = random_scales("row_scale", s->rows);
    s->y = test_output("y", cells, sizeof *s->y);
    s->want = test_output("y of ref", cells, sizeof *s->want);
    for (size_t c = 0; c < s->n; c++) { /* the gaps stay poison */
        test_fill(s->y + c * s->ldy, s->rows, TEST_WIDE);
        memcpy(s->want + c * s->ldy, s->y + c * s->ldy, s->rows * sizeof *s->y);
    }
}

static void compare_sums(const struct test *t, const struct sums *s)
{
    t->ref->rescale(s->want, s->ldy, s->x, s->ldx, s->n, s->rows, s->scale,
                    s->row_scale, s->minus, s->add);
    t->simd->rescale(s->y, s->ldy, s->x, s->ldx, s->n, s->rows, s->scale,
                     s->row_scale, s->minus, s->add);
    for (size_t c = 0; c < s->n; c++) {
        float *y = s->y + c * s->ldy;
        test_same_floats("y", y, s->want + c * s->ldy, s->rows);
        if (c + 1 < s->n)
            test_untouched("y", y + s->rows, s->ldy - s->rows, sizeof *y);
    }
}

static void check_rescale(struct test *t)
{
    for (size_t i = 0; i < 2 * TEST_COUNT(sizes); i++)
        for (int where = 0; where < test_placements(t); where++) {
            const size_t rows = sizes[i / 2] % 200;
            struct sums s = {.n = i % 5,
                             .rows = rows,
                             .ldy = rows + i % 3,
                             .ldx = rows + i % 4,
                             .add = i % 2};
            test_case("n %zu, rows %zu, add %d, placement %d", s.n, rows, s.add,
                      where);
            test_reset((enum test_placement)where);
            make_sums(&s);
            test_seal();
            compare_sums(t, &s);
            test_intact();
        }
}

const struct kernel elementwise_kernels[] = {
    {"rms_norm", offsetof(struct clsa_simd, rms_norm), CLSA_F32,
     check_rms_norm},
    {"rope", offsetof(struct clsa_simd, rope), CLSA_F32, check_rope},
    {"silu_mul", offsetof(struct clsa_simd, silu_mul), CLSA_F32,
     check_silu_mul},
    {"gelu_mul", offsetof(struct clsa_simd, gelu_mul), CLSA_F32,
     check_gelu_mul},
    {"softcap", offsetof(struct clsa_simd, softcap), CLSA_F32, check_softcap},
    {"add", offsetof(struct clsa_simd, add), CLSA_F32, check_add},
    {"rescale", offsetof(struct clsa_simd, rescale), CLSA_F32, check_rescale},
    {0},
};
