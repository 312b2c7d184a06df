/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loss and coverage of students against plain loops in double precision, the
 * derivative against differences of that loss; one head and several, the same
 * bits with any number of threads.
 */
#include <math.h>
#include <string.h>

#include "clsa_bench.h"
#include "src/base/mem.h"
#include "src/train/study.h"
#include "tests/suite.h"

enum { N = 150, M = 11, D = 40, E = 8, MOST = 3, SIZE = 4 * E * D + 3 * D + 3 };

static const struct clsa_far far = {2, 9};
static float values[SIZE], gradient[SIZE];
static struct clsa_lesson lesson;

static float random_value(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (float)(1 << 23) - 1;
}

static clsa_model *open_model(unsigned threads)
{
    clsa_model *model;
    clsa_model_options options;
    const clsa_shape shape = {8, 1, 1, 1, 1, 8, 8, 8, 0, 0, 8, 1, {0}};
    clsa_model_options_init(&options);
    options.threads = threads;
    options.simd = getenv("CLSA_SIMD");
    ck_assert_int_eq(
        clsa_model_random(&model, &shape, CLSA_TYPE_F32, &options, NULL),
        CLSA_OK);
    return model;
}

/* The first queries see no far row, the last tokens none. */
static void make_lesson(void)
{
    ck_assert_int_eq(clsa_lesson_open(&lesson, N, M, D, NULL), CLSA_OK);
    for (int i = 0; i < N * D; i++)
        lesson.x[i] = random_value();
    for (uint32_t i = 0; i < M; i++) {
        lesson.position[i] = i < 2 ? i * 10 : i * 14 + i % 3;
        memcpy(lesson.queries + i * D, lesson.x + lesson.position[i] * D,
               D * sizeof(float));
        for (uint32_t s = 0; s <= lesson.position[i]; s++)
            lesson.target[i * N + s] =
                expf(3 * random_value()) / (float)lesson.position[i];
    }
    for (int i = 0; i < SIZE; i++)
        values[i] = 0.4f * random_value();
}

static void close_lesson(void)
{
    clsa_lesson_close(&lesson);
}

/* -------------------------------------------------------------- reference */

static double dot(const double *v, const float *x)
{
    double sum = 0;
    for (int j = 0; j < D; j++)
        sum += v[j] * (double)x[j];
    return sum;
}

/* The score of a row, by values laid out as in student.h. */
static double score_of(const double *v, size_t heads, const float *x,
                       const float *row)
{
    const double *q = v + E * D, *w = q + heads * E * D, *b = w + heads * D;
    double sum = 0;
    for (size_t h = 0; h < heads; h++) {
        double z = 0;
        for (int i = 0; i < E; i++)
            z += dot(q + (h * E + (size_t)i) * D, x) * dot(v + i * D, row);
        if (heads == 1)
            return z;
        sum += (dot(w + h * D, x) + b[h]) * fmax(0, z);
    }
    return sum;
}

static double loss_of(const double *v, size_t heads)
{
    double loss = 0, total = 0;
    for (int i = 0; i < M; i++) {
        const size_t end = clsa_far_end(&far, lesson.position[i]);
        const float *target = lesson.target + i * N;
        double score[N], sum = 0, mass = 0;
        for (size_t s = far.sinks; s < end; s++) {
            score[s] =
                score_of(v, heads, lesson.queries + i * D, lesson.x + s * D);
            sum += exp(score[s]);
            mass += (double)target[s];
        }
        for (size_t s = far.sinks; s < end; s++)
            loss += (double)target[s] *
                    log((double)target[s] / mass / (exp(score[s]) / sum));
        total += mass;
    }
    return loss / total;
}

static void check_gradient(size_t heads, size_t size)
{
    static double v[SIZE];
    for (size_t i = 0; i < size; i++)
        v[i] = (double)values[i];
    for (size_t i = 0; i < size; i += i < size - 5 ? 7 : 1) {
        const double step = 1e-5, at = v[i];
        v[i] = at + step;
        const double above = loss_of(v, heads);
        v[i] = at - step;
        const double below = loss_of(v, heads);
        v[i] = at;
        const double want = (above - below) / (2 * step);
        ck_assert_msg(fabs((double)gradient[i] - 1 - 0.5 * want) < 1e-5,
                      "value %zu: %g, not %g", i, (double)gradient[i] - 1,
                      0.5 * want);
    }
}

START_TEST(loss_and_gradient)
{
    const size_t heads = _i ? MOST : 1, size = clsa_student_size(D, E, heads);
    static float one[SIZE];
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        clsa_model *model = open_model(threads);
        struct clsa_study *study;
        const struct clsa_student s = clsa_student_of(values, D, E, heads);
        const struct clsa_student g = clsa_student_of(gradient, D, E, heads);
        static double v[SIZE];
        for (size_t i = 0; i < size; i++) {
            gradient[i] = 1; /* what is there stays */
            v[i] = (double)values[i];
        }
        ck_assert_int_eq(clsa_study_open(&study, model, N + 7, M + 2, &s, NULL),
                         CLSA_OK);
        ck_assert_double_eq_tol(
            clsa_study_loss(study, &s, &lesson, &far, 0.5f, &g),
            loss_of(v, heads), 1e-5);
        check_gradient(heads, size);
        if (threads == 1)
            memcpy(one, gradient, size * sizeof *one);
        ck_assert_mem_eq(one, gradient, size * sizeof *one);
        clsa_study_close(study);
        clsa_model_close(model);
    }
}
END_TEST

/* ---------------------------------------------------------------- coverage */

/* Target in the `rows` best far rows of query i. */
static double cover(int i, const double *by, size_t end, size_t rows)
{
    bool taken[N] = {false};
    double sum = 0;
    for (size_t k = 0; k < rows && k + far.sinks < end; k++) {
        size_t best = N;
        for (size_t s = far.sinks; s < end; s++)
            if (!taken[s] && (best == N || by[s] > by[best]))
                best = s;
        taken[best] = true;
        sum += (double)lesson.target[(size_t)i * N + best];
    }
    return sum;
}

START_TEST(coverage)
{
    enum { ROWS = 12 };
    const size_t heads = _i ? MOST : 1, size = clsa_student_size(D, E, heads);
    clsa_model *model = open_model(2);
    struct clsa_study *study;
    struct clsa_coverage sum = {1, 1, 1}, want = sum;
    const struct clsa_student s = clsa_student_of(values, D, E, heads);
    static double v[SIZE];
    double score[N], target[N];
    for (size_t i = 0; i < size; i++)
        v[i] = (double)values[i];
    for (int i = 0; i < M; i++) {
        const size_t end = clsa_far_end(&far, lesson.position[i]);
        for (size_t r = far.sinks; r < end; r++) {
            score[r] =
                score_of(v, heads, lesson.queries + i * D, lesson.x + r * D);
            target[r] = (double)lesson.target[(size_t)i * N + r];
            want.far += target[r];
        }
        want.found += cover(i, score, end, ROWS);
        want.best += cover(i, target, end, ROWS);
    }
    ck_assert_int_eq(clsa_study_open(&study, model, N, M, &s, NULL), CLSA_OK);
    clsa_study_cover(study, &s, &lesson, &far, ROWS, &sum);
    ck_assert_double_eq_tol(sum.far, want.far, 1e-4);
    ck_assert_double_eq_tol(sum.found, want.found, 1e-4);
    ck_assert_double_eq_tol(sum.best, want.best, 1e-4);
    ck_assert(want.found < 0.9 * want.best && want.best < 0.9 * want.far);
    clsa_study_close(study);
    clsa_model_close(model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("study");
    TCase *tcase = tcase_create("students");
    tcase_add_unchecked_fixture(tcase, make_lesson, close_lesson);
    tcase_add_loop_test(tcase, loss_and_gradient, 0, 2);
    tcase_add_loop_test(tcase, coverage, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite(), CK_NOFORK);
}
