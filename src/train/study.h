/* SPDX-License-Identifier: Apache-2.0 */
/*
 * study: how far the scores of a student are from its lesson, on all threads
 * of a model, with the same bits for any number of them.
 *
 * Loss: over the far rows of a query, P is its target divided by their sum, the
 * far mass, and p the softmax of the scores; the loss is the mean of
 * KL(P || p) over queries, weighted by far mass.
 */
#ifndef CLSA_TRAIN_STUDY_H
#define CLSA_TRAIN_STUDY_H

#include "src/train/student.h"

struct clsa_study;

/* Memory for students of these sizes and lessons of up to n tokens and m
   queries. */
clsa_status clsa_study_open(struct clsa_study **study,
                            const struct clsa_model *model, size_t n, size_t m,
                            const struct clsa_student *sizes,
                            clsa_error *error);
/* NULL is allowed. */
void clsa_study_close(struct clsa_study *study);

/* The loss of a student; gradient, a student of the same sizes, gets `share`
   times its derivative added. */
double clsa_study_loss(struct clsa_study *study, const struct clsa_student *s,
                       const struct clsa_lesson *lesson,
                       const struct clsa_far *far, float share,
                       const struct clsa_student *gradient);

/* Sums over the queries of a lesson. */
struct clsa_coverage {
    double far;   /* far mass */
    double found; /* part of it in the rows that the student chooses */
    double best;  /* part of it in as many rows of most target */
};

/* Adds those of a lesson, of which `rows` far rows are chosen: by score, or
   target, ties to the lower position. */
void clsa_study_cover(struct clsa_study *study, const struct clsa_student *s,
                      const struct clsa_lesson *lesson,
                      const struct clsa_far *far, size_t rows,
                      struct clsa_coverage *sum);

#endif /* CLSA_TRAIN_STUDY_H */
