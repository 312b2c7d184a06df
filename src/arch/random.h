/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: a network of random weights, as a model file that is in memory
 * only: the tensors that its architecture asks for, under their usual names;
 * without keys if it has the sizes of a clsa_shape. What reads the tensors of a
 * file reads these.
 */
#ifndef CLSA_ARCH_RANDOM_H
#define CLSA_ARCH_RANDOM_H

#include "src/arch/arch.h"
#include "src/arch/random_like.h"
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
 * Matrices have the type, or those of the mix, and rows of variance 1 / cols,
 * so that a product with a normed vector has variance 1; vectors of norms are
 * all 1. The same weights for any number of threads. To be released by
 * clsa_gguf_close.
 */
clsa_status clsa_random_open(struct clsa_gguf **gguf, struct clsa_network *net,
                             const clsa_shape *shape, int type,
                             const struct clsa_maker *maker, clsa_error *error);

/* The same of a model like an ordinary one, with its keys. Matrices whose rows
   do not divide into blocks of the type have one that fits. */
clsa_status clsa_random_open_like(struct clsa_gguf **gguf,
                                  struct clsa_network *net,
                                  const struct clsa_like *like, int type,
                                  const struct clsa_maker *maker,
                                  clsa_error *error);

#endif /* CLSA_ARCH_RANDOM_H */
