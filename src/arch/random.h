/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: a network of random weights, as a model file that is in memory
 * only: the tensors that its architecture asks for, under their usual names,
 * without keys. What reads the tensors of a file reads these.
 */
#ifndef CLSA_ARCH_RANDOM_H
#define CLSA_ARCH_RANDOM_H

#include "src/arch/arch.h"
#include "src/base/budget.h"
#include "src/base/team.h"

/* Who makes the values, and where their memory comes from. */
struct clsa_maker {
    const struct clsa_simd *simd;
    struct clsa_team *team;
    struct clsa_budget *budget;
    const struct clsa_progress *progress;
};

/*
 * Sizes and plan of the shape into net, which is all zero, and its tensors.
 * Matrices have the type and rows of variance 1 / cols, so that a product
 * with a normed vector has variance 1; vectors are all 1. The same weights for
 * any number of threads. To be released by clsa_gguf_close.
 */
clsa_status clsa_random_open(struct clsa_gguf **gguf, struct clsa_network *net,
                             const clsa_shape *shape, clsa_type type,
                             const struct clsa_maker *maker, clsa_error *error);

#endif /* CLSA_ARCH_RANDOM_H */
