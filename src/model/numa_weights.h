/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numa_weights: the rows of a matrix on the memory nodes of the threads that
 * multiply them (their share of a phase). Pages of a file are the system's and
 * lie where it put them, so on several nodes the matrices are copied once; on
 * one node they are used where they are mapped, and nothing here does anything.
 *
 * An embedding that is not the output matrix too stays where it is: one row is
 * read per token. So do vectors, of which weights.c has its own copy.
 */
#ifndef CLSA_MODEL_NUMA_WEIGHTS_H
#define CLSA_MODEL_NUMA_WEIGHTS_H

#include "src/base/budget.h"
#include "src/base/team.h"
#include "src/model/gguf.h"

/* Makes the copies: gguf->numa_weights, and the data of its tensors. */
clsa_status clsa_numa_weights_copy(struct clsa_gguf *gguf,
                                   struct clsa_team *team,
                                   struct clsa_budget *budget,
                                   clsa_error *error);

/* The same for tensors in memory of our own that nothing has touched yet:
   binds it, and copies nothing. */
void clsa_numa_weights_bind(const struct clsa_gguf *gguf,
                            const struct clsa_team *team);

#endif /* CLSA_MODEL_NUMA_WEIGHTS_H */
