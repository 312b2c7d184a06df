/* SPDX-License-Identifier: Apache-2.0 */
/*
 * school: texts become lessons for the sites of an index. Shared by the test
 * and the training of indexes: which layers can be sites, how long texts are,
 * which rows are far.
 */
#ifndef CLSA_TRAIN_SCHOOL_H
#define CLSA_TRAIN_SCHOOL_H

#include "clsa_train.h"
#include "src/train/study.h"

struct clsa_school {
    struct clsa_model *model;
    uint32_t site[CLSA_INDEX_SITES_MOST]; /* ascending */
    uint32_t site_count;
    size_t n, m;     /* tokens and queries of a text */
    size_t e, heads; /* sizes of the students */
    struct clsa_reading reading;
    struct clsa_study *study;
    bool *inputs; /* [L] the sites */
};

/* Tokens of a text: `wanted`, 0 being the default, as far as the model and the
   ids go. */
size_t clsa_school_tokens(const struct clsa_model *model, size_t wanted,
                          size_t count);

/* Sites are layers that write a cache of their own, of a model that has one for
   each layer. */
clsa_status clsa_school_check(const struct clsa_model *model,
                              const uint32_t *sites, uint32_t count,
                              clsa_error *error);

/* What is filled in before: model, sites, n, m, e, heads. */
clsa_status clsa_school_open(struct clsa_school *school, clsa_error *error);
/* {0} is allowed. */
void clsa_school_close(struct clsa_school *school);

/* Values of a student of the school. */
static inline size_t clsa_school_size(const struct clsa_school *s)
{
    return clsa_student_size(s->model->net.hidden, s->e, s->heads);
}

/* An array of lessons, one for each site, for texts with m queries. */
clsa_status clsa_school_lessons(const struct clsa_school *school, size_t m,
                                struct clsa_lesson **lessons,
                                clsa_error *error);
/* NULL is allowed. */
void clsa_school_free(const struct clsa_school *school,
                      struct clsa_lesson *lessons);

/* Read n tokens, of which those at `position` [m of the lessons] ask. how: for
   its on_progress. */
clsa_status clsa_school_read(struct clsa_school *school, const int32_t *ids,
                             const uint32_t *position,
                             const clsa_append_options *how,
                             const float *shrink, struct clsa_lesson *lessons,
                             clsa_error *error);

/* Rows kept in any case at K. */
struct clsa_far clsa_school_far(uint32_t sinks, uint32_t recent, uint32_t top_k,
                                uint32_t rows);

/* m positions from `first` to n - 1, evenly spread; m <= n - first. */
void clsa_school_spread(uint32_t *position, size_t m, size_t first, size_t n);

/* A lesson's or several ones' coverage as a score. */
clsa_index_score clsa_school_score(uint32_t layer,
                                   const struct clsa_coverage *sum);

#endif /* CLSA_TRAIN_SCHOOL_H */
