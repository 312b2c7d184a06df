/* SPDX-License-Identifier: Apache-2.0 */
/*
 * student: the index of a site that is being trained or tested, in float32, and
 * the lesson that a text gives it: inputs of the site, and where its layers
 * look. study.c compares the two.
 *
 * Shapes: n tokens, m queries, d hidden, e values of a key, H heads. Scores of
 * row s: H = 1: q . k_s; H > 1: sum over h of w_h max(0, q_h . k_s), with k =
 * K x_s, q_h = Q_h x, w = W x + b, x the input of the site.
 */
#ifndef CLSA_TRAIN_STUDENT_H
#define CLSA_TRAIN_STUDENT_H

#include "src/engine/model.h"
#include "src/train/reading.h"

struct clsa_student {
    size_t d, e, heads;
    float *k; /* [e][d] */
    float *q; /* [H e][d] */
    float *w; /* [H][d], none for H = 1 */
    float *b; /* [H], none for H = 1 */
};

/* Number of values of a student, which lie in one array in the order above. */
static inline size_t clsa_student_size(size_t d, size_t e, size_t heads)
{
    return (heads + 1) * e * d + (heads > 1 ? heads * (d + 1) : 0);
}

/* The student whose values are in an array. */
static inline struct clsa_student clsa_student_of(float *values, size_t d,
                                                  size_t e, size_t heads)
{
    float *q = values + e * d, *w = q + heads * e * d;
    return (struct clsa_student){d, e, heads, values, q, w, w + heads * d};
}

/* Values of the index of a layer, from its tensors of any type. */
void clsa_student_load(const struct clsa_student *s,
                       const struct clsa_simd *simd,
                       const struct clsa_layer *layer);

/* Which rows are far for a query: not the first `sinks` ones, not the last
   `recent` ones, the query's own among these. */
struct clsa_far {
    uint32_t sinks, recent;
};

/* The end of the far rows, which begin at `sinks`; no less than that. */
static inline size_t clsa_far_end(const struct clsa_far *far, uint32_t position)
{
    const size_t n = (size_t)position + 1, none = far->sinks;
    return n > none + far->recent ? n - far->recent : none;
}

struct clsa_lesson {
    size_t n, m, d;
    uint32_t *position; /* [m], ascending */
    float *x;           /* [n][d] */
    float *queries;     /* [m][d] rows of x */
    float *target;      /* [m][n] mean weights of the layers and heads */
};

clsa_status clsa_lesson_open(struct clsa_lesson *lesson, size_t n, size_t m,
                             size_t d, clsa_error *error);
/* {0} is allowed. */
void clsa_lesson_close(struct clsa_lesson *lesson);

/* Fill an open lesson from a reading of n tokens and m queries: the inputs of
   layer `site`, and the layers that read caches from there to `end` - 1.
   shrink [d]: what the inputs are divided by, or NULL. */
void clsa_lesson_learn(struct clsa_lesson *lesson, struct clsa_reading *reading,
                       uint32_t site, uint32_t end, const float *shrink);

#endif /* CLSA_TRAIN_STUDENT_H */
