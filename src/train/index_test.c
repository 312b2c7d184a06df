/* SPDX-License-Identifier: Apache-2.0 */
/* clsa_index_test: the index that a model has, on texts. */
#include <inttypes.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/structs.h"
#include "src/engine/append.h"
#include "src/train/school.h"

#define QUERIES 256 /* of a text */
#define TEXTS   8
#define ROWS    512

struct test {
    const clsa_index_test_options *options;
    struct clsa_school school;
    struct clsa_far far;
    struct clsa_lesson *lessons; /* of the sites */
    uint32_t position[QUERIES];
    float *values; /* [sites][size] */
    size_t texts;
    uint64_t done; /* tokens before this text */
    uint32_t rows;
    struct clsa_coverage sum[CLSA_INDEX_SITES_MOST];
};

static int tell(void *user, uint64_t done, uint64_t total)
{
    const struct test *t = user;
    (void)total;
    return t->options->on_progress(t->options->user, t->done + done,
                                   t->texts * t->school.n);
}

static clsa_status find_sites(struct test *t, clsa_error *error)
{
    const struct clsa_network *net = &t->school.model->net;
    struct clsa_school *s = &t->school;
    if (net->first_site >= net->layer_count || net->layer_count == 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "the model has no index: give one with --index, or "
                         "train one with clsa index train");
    uint32_t sites[CLSA_LAYER_LIMIT], count = 0;
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (net->layers[i].indexed)
            sites[count++] = i;
    CLSA_TRY(clsa_school_check(s->model, sites, count, error));
    memcpy(s->site, sites, count * sizeof *sites);
    s->site_count = count;
    return CLSA_OK;
}

/* Sizes of texts, rows and students. */
static clsa_status choose_sizes(struct test *t, size_t count, clsa_error *error)
{
    const struct clsa_network *net = &t->school.model->net;
    struct clsa_school *s = &t->school;
    const size_t most = t->options->texts ? t->options->texts : TEXTS;
    t->rows = t->options->rows ? t->options->rows : ROWS;
    t->far = clsa_school_far(net->indexes.sinks, net->indexes.recent,
                             net->top_k, t->rows);
    s->e = net->indexes.dim;
    s->heads = net->indexes.heads;
    s->n = clsa_school_tokens(s->model, t->options->context, count);
    if (t->far.sinks + (uint64_t)t->far.recent >= t->rows)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "%" PRIu32 " rows: the index always keeps %" PRIu32
                         "; use more",
                         t->rows, t->far.sinks + t->far.recent);
    if (s->n <= t->rows)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "texts of %zu tokens: a choice of %" PRIu32
                         " rows needs more; use a longer text or fewer rows",
                         s->n, t->rows);
    s->m = clsa_min(QUERIES, s->n - t->rows);
    t->texts = clsa_min(most, count / s->n);
    clsa_school_spread(t->position, s->m, t->rows, s->n);
    return CLSA_OK;
}

static clsa_status load_students(struct test *t, clsa_error *error)
{
    struct clsa_school *s = &t->school;
    const size_t size = clsa_school_size(s);
    t->values = clsa_mem_calloc(s->site_count * size, sizeof *t->values);
    if (!t->values)
        return clsa_fail_memory(error, "an index",
                                s->site_count * size * sizeof *t->values);
    for (uint32_t i = 0; i < s->site_count; i++) {
        const struct clsa_student student = clsa_student_of(
            t->values + i * size, s->model->net.hidden, s->e, s->heads);
        clsa_student_load(&student, s->model->simd,
                          &s->model->net.layers[s->site[i]]);
    }
    return CLSA_OK;
}

/* One text, of n tokens. */
static clsa_status test_text(struct test *t, const int32_t *ids,
                             clsa_error *error)
{
    struct clsa_school *s = &t->school;
    const clsa_append_options how = {.want = CLSA_WANT_NONE,
                                     .on_progress =
                                         t->options->on_progress ? tell : NULL,
                                     .user = t};
    CLSA_TRY(
        clsa_school_read(s, ids, t->position, &how, NULL, t->lessons, error));
    for (uint32_t i = 0; i < s->site_count; i++) {
        const struct clsa_student student =
            clsa_student_of(t->values + i * clsa_school_size(s),
                            s->model->net.hidden, s->e, s->heads);
        clsa_study_cover(s->study, &student, &t->lessons[i], &t->far,
                         t->rows - t->far.sinks - t->far.recent, &t->sum[i]);
    }
    t->done += s->n;
    return CLSA_OK;
}

static clsa_status run(struct test *t, const int32_t *ids, size_t count,
                       clsa_error *error)
{
    struct clsa_school *s = &t->school;
    CLSA_TRY(clsa_school_open(s, error));
    CLSA_TRY(clsa_school_lessons(s, s->m, &t->lessons, error));
    CLSA_TRY(load_students(t, error));
    for (size_t i = 0; i < t->texts; i++)
        CLSA_TRY(test_text(t, ids + i * (count / t->texts), error));
    return CLSA_OK;
}

static void give(const struct test *t, clsa_index_scores *scores)
{
    const struct clsa_school *s = &t->school;
    *scores = (clsa_index_scores){
        .site_count = s->site_count, .texts = t->texts, .tokens = s->n};
    for (uint32_t i = 0; i < s->site_count; i++) {
        scores->sites[i] = clsa_school_score(s->site[i], &t->sum[i]);
        scores->coverage += scores->sites[i].coverage / s->site_count;
        scores->best += scores->sites[i].best / s->site_count;
    }
}

clsa_status clsa_index_test(clsa_model *model, const int32_t *ids, size_t count,
                            const clsa_index_test_options *options,
                            clsa_index_scores *scores, clsa_error *error)
{
    static const clsa_index_test_options defaults;
    struct test *t = clsa_mem_calloc(1, sizeof *t);
    if (!t)
        return clsa_fail_memory(error, "a test", sizeof *t);
    t->options = options ? options : &defaults;
    t->school.model = model;
    clsa_status status = clsa_struct_check(t->options->reserved, 4,
                                           "clsa_index_test_options", error);
    if (!status)
        status = clsa_append_check_ids(model, ids, count, error);
    if (!status)
        status = find_sites(t, error);
    if (!status)
        status = choose_sizes(t, count, error);
    if (!status)
        status = run(t, ids, count, error);
    if (!status)
        give(t, scores);
    clsa_school_free(&t->school, t->lessons);
    clsa_school_close(&t->school);
    clsa_mem_free(t->values);
    clsa_mem_free(t);
    return status;
}
