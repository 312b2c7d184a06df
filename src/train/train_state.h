/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train_state: what a training has reached, in memory and in a file, so that it
 * goes on after an interruption as if there had been none. The file is of the
 * machine that wrote it: numbers lie there as in memory, and a sum over all of
 * it tells a damaged one.
 */
#ifndef CLSA_TRAIN_TRAIN_STATE_H
#define CLSA_TRAIN_TRAIN_STATE_H

#include "src/train/optimizer.h"

/* Arrays of a state, each as long as all students together. */
enum clsa_train_array {
    CLSA_TRAIN_VALUE,
    CLSA_TRAIN_MEAN,
    CLSA_TRAIN_FIRST,
    CLSA_TRAIN_SECOND,
    CLSA_TRAIN_KEPT, /* the means of the best coverage */
    CLSA_TRAIN_ARRAYS
};

struct clsa_train_counts {
    uint64_t steps, texts; /* done, read */
    uint64_t step0;        /* steps before the moments began anew */
    uint64_t measured;     /* how often */
    uint64_t flat, decays; /* measurements without a rise, rates tried */
    double seconds;        /* of training */
    double rate;           /* of the optimizer */
    double coverage, best; /* of CLSA_TRAIN_KEPT */
    double loss_sum;       /* since the last measurement */
    uint64_t loss_count;
};

struct clsa_train_state {
    struct clsa_train_counts counts;
    size_t size, shrinks; /* values of all students, of `shrink` */
    float *array[CLSA_TRAIN_ARRAYS];
    float *shrink; /* [sites][d] what inputs are divided by */
    float *block;
};

clsa_status clsa_train_state_open(struct clsa_train_state *state, size_t size,
                                  size_t shrinks, clsa_error *error);
/* {0} is allowed. */
void clsa_train_state_close(struct clsa_train_state *state);

/* Write it, atomically. `of` [32] tells which training it belongs to. */
clsa_status clsa_train_state_save(const struct clsa_train_state *state,
                                  const char *path, const uint8_t *of,
                                  clsa_error *error);

/* Read it, if it is there (*found).
   @return CLSA_ERR_MISMATCH if it is of another training, CLSA_ERR_FORMAT if it
           is damaged, CLSA_ERR_IO */
clsa_status clsa_train_state_load(struct clsa_train_state *state,
                                  const char *path, const uint8_t *of,
                                  bool *found, clsa_error *error);

#endif /* CLSA_TRAIN_TRAIN_STATE_H */
