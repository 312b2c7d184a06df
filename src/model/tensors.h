/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensors: finds the tensors of a network by layer and role, typed and with
 * checked shapes. Matrices stay in the mapping of the file; vectors (norms)
 * are copied to float. Tensors that no architecture asked for are an error by
 * name, since leaving them out would change what the model computes.
 *
 * The same list of questions makes a model of random weights: a finder with
 * `make` is told the name and shape of each tensor instead of looking it up.
 */
#ifndef CLSA_MODEL_TENSORS_H
#define CLSA_MODEL_TENSORS_H

#include "src/model/gguf.h"
#include "src/model/network.h"

#define CLSA_NO_LAYER UINT32_MAX

/* USUAL: optional in a file, but models of random weights have it. What is
   OPTIONAL these have if it is said so. */
enum clsa_presence { CLSA_REQUIRED, CLSA_OPTIONAL, CLSA_USUAL };

struct clsa_finder {
    const struct clsa_gguf *gguf;
    bool *used;            /* [tensor_count] */
    float *next;           /* where the next vector goes */
    struct clsa_simd simd; /* scalar kernels: formats to float */
    clsa_error *error;
    /* Random weights: called for each tensor; rows 0: a vector [cols]. */
    clsa_status (*make)(void *maker, const char *name,
                        enum clsa_presence presence, size_t rows, size_t cols);
    void *maker;
};

/*
 * The tensor "blk.LAYER.ROLE.weight" [rows][cols], or "ROLE.weight" for
 * CLSA_NO_LAYER. *matrix stays as it is if an optional one is absent.
 */
clsa_status clsa_find_matrix(struct clsa_finder *f, uint32_t layer,
                             const char *role, enum clsa_presence presence,
                             size_t rows, size_t cols,
                             struct clsa_matrix *matrix);

/* The same for a vector [n], whose values have to be finite and not all 0. */
clsa_status clsa_find_vector(struct clsa_finder *f, uint32_t layer,
                             const char *role, enum clsa_presence presence,
                             size_t n, const float **vector);

/* The optional vector "blk.LAYER.ROLE.bias" [n]; a bias may be all 0. */
clsa_status clsa_find_bias(struct clsa_finder *f, uint32_t layer,
                           const char *role, enum clsa_presence presence,
                           size_t n, const float **vector);

/*
 * A tensor of [rows][cols] that holds several matrices one below the other:
 * parts[i] gets the next parts[i]->rows rows, which the caller has set and
 * whose sum is `rows`.
 */
clsa_status clsa_find_fused(struct clsa_finder *f, uint32_t layer,
                            const char *role, size_t rows, size_t cols,
                            struct clsa_matrix *const *parts);

/* A tensor (or bias) that may be there and is not used, of any shape. */
void clsa_find_unused(struct clsa_finder *f, uint32_t layer, const char *role);

/* The factors of a rope [pairs], all above 0; *factors stays as it is if an
   optional tensor is absent. */
clsa_status clsa_find_factors(struct clsa_finder *f, const char *role,
                              enum clsa_presence presence,
                              const struct clsa_rope *rope,
                              const float **factors);

/* Sets the frequencies of a rope, by the optional vector of factors, all above
   0, that angles are divided by. role NULL: the file has none. */
clsa_status clsa_find_rope(struct clsa_finder *f, const char *role,
                           struct clsa_rope *rope);

/*
 * Runs `find` for a network over the tensors of a file, and refuses tensors
 * that it did not ask for. Sets net->vectors and net->parameters. The gguf has
 * to outlive the network.
 */
clsa_status clsa_tensors_find(struct clsa_network *net,
                              const struct clsa_gguf *gguf,
                              clsa_status (*find)(struct clsa_network *net,
                                                  struct clsa_finder *f),
                              clsa_error *error);

/* The same for tensors of a side file: sets net->side_vectors, adds to
   net->parameters. */
clsa_status clsa_tensors_find_side(struct clsa_network *net,
                                   const struct clsa_gguf *side,
                                   clsa_status (*find)(struct clsa_network *net,
                                                       struct clsa_finder *f),
                                   clsa_error *error);

#endif /* CLSA_MODEL_TENSORS_H */
