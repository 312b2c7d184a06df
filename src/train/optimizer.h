/* SPDX-License-Identifier: Apache-2.0 */
/*
 * optimizer: first values of students, and AdamW (Loshchilov and Hutter,
 * arXiv:1711.05101) with a running mean of the values, which is what is
 * measured and written.
 *
 * A part of a student (k, q, w, b) has values of one size in the beginning;
 * steps and decay are relative to it.
 */
#ifndef CLSA_TRAIN_OPTIMIZER_H
#define CLSA_TRAIN_OPTIMIZER_H

#include "src/train/student.h"

/* Arrays for one student, as long as it. */
struct clsa_optimizer {
    float *value, *mean;   /* running mean of value */
    float *first, *second; /* moments of the gradient */
    const float *gradient;
};

/* The first values: scores of inputs with variance 1 have about variance 1. */
void clsa_student_start(const struct clsa_student *s, uint64_t seed);

/* Step number `step`, from 1, at a rate: what a value changes by at most, in
   sizes of its part. */
void clsa_optimizer_step(const struct clsa_optimizer *o,
                         const struct clsa_student *sizes, uint64_t step,
                         double rate);

#endif /* CLSA_TRAIN_OPTIMIZER_H */
