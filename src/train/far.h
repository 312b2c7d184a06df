/* SPDX-License-Identifier: Apache-2.0 */
/*
 * far: how much of the far attention of each layer lies on the best rows of
 * each other one, summed over queries of readings (include/clsa_train.h).
 */
#ifndef CLSA_TRAIN_FAR_H
#define CLSA_TRAIN_FAR_H

#include "src/train/reading.h"

enum clsa_far_kind { CLSA_FAR_TEXT, CLSA_FAR_ANSWER, CLSA_FAR_KINDS };

/* Rows of a text that are chosen, K, and of these the recent ones. */
enum { CLSA_FAR_PART = 16, CLSA_FAR_LEAST = 16, CLSA_FAR_SINKS = 4 };

struct clsa_far {
    uint32_t layers;               /* L */
    double *found[CLSA_FAR_KINDS]; /* [L][L] attention of b on the best of a */
    double *mass[CLSA_FAR_KINDS];  /* [L] attention on far rows */
    uint64_t queries[CLSA_FAR_KINDS];
};

clsa_status clsa_far_open(struct clsa_far *far, uint32_t layers,
                          clsa_error *error);
/* {0} is allowed. */
void clsa_far_close(struct clsa_far *far);

/* K of a text of n tokens, and the tokens that a query needs before it. */
size_t clsa_far_rows(size_t n);
size_t clsa_far_least(size_t n);

/* Add the queries of a reading, of these kinds [m]; each has at least
   clsa_far_least rows. */
clsa_status clsa_far_add(struct clsa_far *far, struct clsa_reading *reading,
                         const uint8_t *kinds, clsa_error *error);

/* best[0..count) = the `count` rows of first .. end - 1 with the largest
   weights, ascending; ties go to the lower row. `spare` [end - first]. */
void clsa_far_best(const float *weights, size_t first, size_t end, size_t count,
                   uint32_t *best, float *spare);

#endif /* CLSA_TRAIN_FAR_H */
