/* SPDX-License-Identifier: Apache-2.0 */
/* Texts, steps and measurements of a training. */
#include <math.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/random.h"
#include "src/train/trainer.h"

#define HELD_QUERIES 128
#define POOL_BYTES   ((uint64_t)1 << 30) /* of lessons, at most */
#define POOL_LEAST   2
#define STEPS        4    /* for each text */
#define LESSONS      3    /* of a step */
#define MEASURE      20   /* steps between measurements */
#define PATIENCE     6    /* measurements without a rise at a rate */
#define DECAYS       2    /* of the rate */
#define RATE         0.05 /* the first */
#define DECAY        0.3  /* what it falls to */
#define RISE         5e-4 /* of coverage that counts */

/* Streams of random values. */
enum { PLACES, QUERIES, CHOICES, VALUES };

static uint64_t stream(const struct clsa_trainer *t, int of, uint64_t number)
{
    return clsa_random_stream(clsa_random_stream(t->options.seed, (uint64_t)of),
                              number);
}

/* A number below n. */
static size_t draw(uint64_t from, uint32_t i, size_t n)
{
    return (size_t)((double)clsa_random_bits(from, i) * 0x1p-32 * (double)n);
}

struct clsa_student clsa_trainer_student(const struct clsa_trainer *t,
                                         enum clsa_train_array array,
                                         uint32_t site)
{
    const struct clsa_school *s = &t->school;
    return clsa_student_of(t->state.array[array] + site * clsa_school_size(s),
                           s->model->net.hidden, s->e, s->heads);
}

/* ------------------------------------------------------------------- texts */

static int keep_going(void *user, uint64_t done, uint64_t total)
{
    const struct clsa_trainer *t = user;
    (void)done, (void)total;
    return t->options.is_stopped && t->options.is_stopped(t->options.user);
}

static clsa_status read_text(struct clsa_trainer *t, const int32_t *ids,
                             const uint32_t *position,
                             struct clsa_lesson *lessons, clsa_error *error)
{
    const clsa_append_options how = {
        .want = CLSA_WANT_NONE, .on_progress = keep_going, .user = t};
    const float *shrink = t->state.counts.texts > 0 ? t->state.shrink : NULL;
    return clsa_school_read(&t->school, ids, position, &how, shrink, lessons,
                            error);
}

/* Inputs of the first text have the mean square 1 in each value. */
static void choose_shrink(struct clsa_trainer *t, struct clsa_lesson *lessons)
{
    const size_t d = t->school.model->net.hidden, n = t->school.n;
    for (uint32_t i = 0; i < t->school.site_count; i++)
        for (size_t j = 0; j < d; j++) {
            const float *x = lessons[i].x + j;
            double sum = 0;
            for (size_t s = 0; s < n; s++)
                sum += (double)x[s * d] * (double)x[s * d];
            const float by = (float)sqrt(sum / (double)n);
            t->state.shrink[i * d + j] = by > 1e-20f ? by : 1;
        }
}

/* Text number `i` to its place in the pool: one query in each of as many equal
   parts of it. */
static clsa_status read_pool(struct clsa_trainer *t, uint64_t i,
                             clsa_error *error)
{
    struct clsa_lesson *lessons = t->pool[i % t->pool_size];
    const size_t n = t->school.n, m = lessons[0].m;
    const size_t first = (size_t)t->far.sinks + t->far.recent;
    const size_t at = draw(stream(t, PLACES, i), 0, t->learned - n + 1);
    for (size_t j = 0; j < m; j++) {
        const size_t begin = first + j * (n - first) / m;
        const size_t end = first + (j + 1) * (n - first) / m;
        t->position[j] = (uint32_t)(begin + draw(stream(t, QUERIES, i),
                                                 (uint32_t)j, end - begin));
    }
    return read_text(t, t->ids + at, t->position, lessons, error);
}

static clsa_status read_held(struct clsa_trainer *t, clsa_error *error)
{
    const size_t n = t->school.n, room = t->count - t->learned - n;
    for (size_t i = 0; i < t->held_size; i++)
        CLSA_TRY(read_text(
            t,
            t->ids + t->learned +
                (t->held_size > 1 ? i * room / (t->held_size - 1) : 0),
            t->held_position, t->held[i], error));
    return CLSA_OK;
}

/* The next text. The first one says what inputs are divided by: it is read
   again, and what is held out is read then. */
static clsa_status read_next(struct clsa_trainer *t, clsa_error *error)
{
    struct clsa_train_counts *c = &t->state.counts;
    CLSA_TRY(read_pool(t, c->texts, error));
    if (c->texts++ > 0)
        return CLSA_OK;
    choose_shrink(t, t->pool[0]);
    CLSA_TRY(read_pool(t, 0, error));
    return read_held(t, error);
}

/* ------------------------------------------------------------------- steps */

/* The lessons of a step: the newest, and others of the pool. */
static void choose_lessons(const struct clsa_trainer *t, uint64_t step,
                           size_t chosen[LESSONS])
{
    const struct clsa_train_counts *c = &t->state.counts;
    const size_t there = (size_t)clsa_min_u64(c->texts, t->pool_size);
    chosen[0] = (size_t)((c->texts - 1) % t->pool_size);
    for (uint32_t i = 1; i < LESSONS; i++)
        chosen[i] = draw(stream(t, CHOICES, step), i, there);
}

static void optimize(struct clsa_trainer *t, uint32_t site)
{
    const struct clsa_train_state *s = &t->state;
    const size_t at = site * clsa_school_size(&t->school);
    const struct clsa_student sizes =
        clsa_trainer_student(t, CLSA_TRAIN_VALUE, site);
    const struct clsa_optimizer o = {
        s->array[CLSA_TRAIN_VALUE] + at, s->array[CLSA_TRAIN_MEAN] + at,
        s->array[CLSA_TRAIN_FIRST] + at, s->array[CLSA_TRAIN_SECOND] + at,
        t->gradient + at};
    clsa_optimizer_step(&o, &sizes, s->counts.steps - s->counts.step0,
                        s->counts.rate);
}

static void do_step(struct clsa_trainer *t)
{
    const struct clsa_school *s = &t->school;
    struct clsa_train_counts *c = &t->state.counts;
    size_t chosen[LESSONS], size = clsa_school_size(s);
    choose_lessons(t, c->steps++, chosen);
    memset(t->gradient, 0, s->site_count * size * sizeof *t->gradient);
    for (uint32_t i = 0; i < s->site_count; i++) {
        const struct clsa_student student =
            clsa_trainer_student(t, CLSA_TRAIN_VALUE, i);
        const struct clsa_student gradient = clsa_student_of(
            t->gradient + i * size, s->model->net.hidden, s->e, s->heads);
        for (int j = 0; j < LESSONS; j++)
            c->loss_sum +=
                clsa_study_loss(s->study, &student, &t->pool[chosen[j]][i],
                                &t->far, 1.0f / LESSONS, &gradient) /
                LESSONS / s->site_count;
        optimize(t, i);
    }
    c->loss_count++;
}

/* ------------------------------------------------------------ measurements */

/* Coverage of the means, and the best possible, mean over sites. */
static void cover(struct clsa_trainer *t, double *coverage, double *best)
{
    const struct clsa_school *s = &t->school;
    *coverage = *best = 0;
    for (uint32_t i = 0; i < s->site_count; i++) {
        struct clsa_coverage sum = {0};
        const struct clsa_student student =
            clsa_trainer_student(t, CLSA_TRAIN_MEAN, i);
        for (size_t j = 0; j < t->held_size; j++)
            clsa_study_cover(s->study, &student, &t->held[j][i], &t->kept,
                             t->options.rows - t->kept.sinks - t->kept.recent,
                             &sum);
        const clsa_index_score score = clsa_school_score(s->site[i], &sum);
        *coverage += score.coverage / s->site_count;
        *best += score.best / s->site_count;
    }
}

static void copy(struct clsa_trainer *t, enum clsa_train_array to,
                 enum clsa_train_array from)
{
    memcpy(t->state.array[to], t->state.array[from],
           t->state.size * sizeof(float));
}

/* The rate falls, from the best values on. */
static void decay(struct clsa_trainer *t)
{
    struct clsa_train_counts *c = &t->state.counts;
    c->flat = 0;
    c->decays++;
    c->rate *= DECAY;
    c->step0 = c->steps;
    copy(t, CLSA_TRAIN_VALUE, CLSA_TRAIN_KEPT);
    copy(t, CLSA_TRAIN_MEAN, CLSA_TRAIN_KEPT);
    memset(t->state.array[CLSA_TRAIN_FIRST], 0, t->state.size * sizeof(float));
    memset(t->state.array[CLSA_TRAIN_SECOND], 0, t->state.size * sizeof(float));
}

static double seconds(const struct clsa_trainer *t)
{
    return t->before + (double)(clsa_clock() - t->started) * 1e-9;
}

static clsa_status save(struct clsa_trainer *t, clsa_error *error)
{
    t->state.counts.seconds = seconds(t);
    return clsa_train_state_save(&t->state, t->state_path, t->of, error);
}

/* Keeps the best, lets the rate fall, writes the state, tells the caller. */
static clsa_status measure(struct clsa_trainer *t, clsa_error *error)
{
    struct clsa_train_counts *c = &t->state.counts;
    clsa_index_progress p = {.step = c->steps,
                             .loss = c->loss_sum / (double)c->loss_count};
    cover(t, &p.coverage, &p.best);
    c->flat =
        c->measured > 0 && p.coverage < c->coverage + RISE ? c->flat + 1 : 0;
    if (c->measured++ == 0 || p.coverage > c->coverage) {
        copy(t, CLSA_TRAIN_KEPT, CLSA_TRAIN_MEAN);
        c->coverage = p.coverage;
        c->best = p.best;
    }
    c->loss_sum = 0;
    c->loss_count = 0;
    if (c->flat == PATIENCE)
        decay(t);
    CLSA_TRY(save(t, error));
    p.seconds = c->seconds;
    if (!t->options.on_progress || !t->options.on_progress(t->options.user, &p))
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_STOPPED, "stopped after %llu steps",
                     (unsigned long long)c->steps);
}

/* --------------------------------------------------------------------- run */

static bool is_over(const struct clsa_trainer *t)
{
    const struct clsa_train_counts *c = &t->state.counts;
    return c->decays > DECAYS ||
           (t->options.steps && c->steps >= t->options.steps) ||
           (t->options.hours > 0 && seconds(t) >= t->options.hours * 3600);
}

/* One text and its steps. */
static clsa_status do_round(struct clsa_trainer *t, clsa_error *error)
{
    struct clsa_train_counts *c = &t->state.counts;
    if (keep_going(t, 0, 0))
        return clsa_fail(error, CLSA_ERR_STOPPED, "stopped after %llu steps",
                         (unsigned long long)c->steps);
    CLSA_TRY(read_next(t, error));
    for (int i = 0; i < STEPS; i++)
        do_step(t);
    if (c->steps % MEASURE != 0 && !is_over(t))
        return CLSA_OK;
    return measure(t, error);
}

clsa_status clsa_trainer_run(struct clsa_trainer *t, clsa_error *error)
{
    clsa_status status = CLSA_OK;
    while (!status && !is_over(t))
        status = do_round(t, error);
    if (status == CLSA_ERR_STOPPED && t->state.counts.steps > 0)
        CLSA_TRY(save(t, error));
    return status;
}

/* ----------------------------------------------------------------- opening */

static clsa_status open_lessons(struct clsa_trainer *t, clsa_error *error)
{
    for (size_t i = 0; i < t->pool_size; i++)
        CLSA_TRY(clsa_school_lessons(&t->school, t->options.queries,
                                     &t->pool[i], error));
    for (size_t i = 0; i < t->held_size; i++)
        CLSA_TRY(clsa_school_lessons(&t->school, t->held_queries, &t->held[i],
                                     error));
    return CLSA_OK;
}

/* Texts of the pool: as many as memory allows, so that it does not show in the
   result how much there is: that depends on sizes alone. */
static void choose_sizes(struct clsa_trainer *t)
{
    const struct clsa_school *s = &t->school;
    const uint64_t n = s->n, d = s->model->net.hidden, m = t->options.queries;
    const uint64_t each =
        (n * d + m * d + m * n) * s->site_count * sizeof(float);
    const uint64_t fit = POOL_BYTES / each;
    t->pool_size =
        (size_t)clsa_min_u64(clsa_max_u64(fit, POOL_LEAST), CLSA_POOL_MOST);
    t->held_size = clsa_min((t->count - t->learned) / s->n, CLSA_HELD_MOST);
    t->held_queries = clsa_min(HELD_QUERIES, s->n - t->options.rows);
    t->school.m = clsa_max(t->held_queries, t->options.queries);
}

static void start(struct clsa_trainer *t)
{
    t->state.counts.rate = RATE;
    for (uint32_t i = 0; i < t->school.site_count; i++) {
        const struct clsa_student s =
            clsa_trainer_student(t, CLSA_TRAIN_VALUE, i);
        clsa_student_start(&s, stream(t, VALUES, i));
    }
    copy(t, CLSA_TRAIN_MEAN, CLSA_TRAIN_VALUE);
}

/* The state of an earlier run, and the texts of its pool. */
static clsa_status resume(struct clsa_trainer *t, clsa_error *error)
{
    bool found;
    const struct clsa_train_counts *c = &t->state.counts;
    CLSA_TRY(
        clsa_train_state_load(&t->state, t->state_path, t->of, &found, error));
    t->before = c->seconds;
    const uint64_t there = clsa_min_u64(c->texts, t->pool_size);
    for (uint64_t i = c->texts - there; i < c->texts; i++)
        CLSA_TRY(read_pool(t, i, error));
    return c->texts > 0 ? read_held(t, error) : CLSA_OK;
}

static clsa_status open_memory(struct clsa_trainer *t, clsa_error *error)
{
    const struct clsa_school *s = &t->school;
    const size_t all = s->site_count * clsa_school_size(s);
    choose_sizes(t);
    CLSA_TRY(clsa_school_open(&t->school, error));
    CLSA_TRY(clsa_train_state_open(
        &t->state, all, s->site_count * s->model->net.hidden, error));
    t->gradient = clsa_mem_calloc(all, sizeof *t->gradient);
    t->position = clsa_mem_calloc(t->options.queries, sizeof *t->position);
    t->held_position =
        clsa_mem_calloc(t->held_queries, sizeof *t->held_position);
    if (!t->gradient || !t->position || !t->held_position)
        return clsa_fail_memory(error, "training", all * sizeof *t->gradient);
    clsa_school_spread(t->held_position, t->held_queries, t->options.rows,
                       s->n);
    return open_lessons(t, error);
}

clsa_status clsa_trainer_open(struct clsa_trainer *t, clsa_error *error)
{
    t->started = clsa_clock();
    CLSA_TRY(open_memory(t, error));
    start(t);
    return resume(t, error);
}

void clsa_trainer_close(struct clsa_trainer *t)
{
    for (size_t i = 0; i < CLSA_POOL_MOST; i++)
        clsa_school_free(&t->school, t->pool[i]);
    for (size_t i = 0; i < CLSA_HELD_MOST; i++)
        clsa_school_free(&t->school, t->held[i]);
    clsa_mem_free(t->gradient);
    clsa_mem_free(t->position);
    clsa_mem_free(t->held_position);
    clsa_train_state_close(&t->state);
    clsa_school_close(&t->school);
}
