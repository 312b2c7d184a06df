/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch: the architectures that models may have, a file for each in this
 * folder. An architecture turns the keys of a model file into sizes and a plan
 * of layers over stores, and says which tensors are its weights; what happens
 * with them is the engine's (src/engine/forward.c).
 *
 * Keys that the engine could not honor are refused by name, never ignored.
 * HACKING.md, "Adding things", says how to write one.
 */
#ifndef CLSA_ARCH_ARCH_H
#define CLSA_ARCH_ARCH_H

#include "clsa_bench.h"
#include "src/model/tensors.h"

struct clsa_arch_keys;

struct clsa_arch {
    const char *name;  /* general.architecture, and the prefix of its keys */
    bool own_index;    /* it reads and finds its index by itself, and takes none
                          from a side file */
    bool int8_prompts; /* products of a prompt may round activations to 8 bits
                          with one scale a token; elsewhere, a few large values
                          of a token take the bits of all others: 4 % of the
                          perplexity of gemma-3-270m and SmolLM2-135M */

    /* Keys to sizes, layers, stores and ropes: clsa_network_open and what
       network.h guarantees. */
    clsa_status (*read)(struct clsa_network *net,
                        const struct clsa_arch_keys *keys);

    /* The same from a shape, for random weights; NULL: there are none. */
    clsa_status (*set_shape)(struct clsa_network *net, const clsa_shape *shape,
                             clsa_error *error);

    /* Tensors to the weights of the layers, in the order in which random
       weights are made. */
    clsa_status (*find)(struct clsa_network *net, struct clsa_finder *f);
};

/* All architectures, NULL at the end (table.c). */
extern const struct clsa_arch *const clsa_archs[];

/* NULL for an unknown name. */
const struct clsa_arch *clsa_arch_find(const char *name, size_t length);

/* Sizes and plan of a model file, with the indexes of a side file in place of
   its own (NULL: none); net is all zero. To be released by clsa_network_close,
   also after an error. */
clsa_status clsa_arch_read(struct clsa_network *net,
                           const struct clsa_gguf *gguf,
                           const struct clsa_gguf *side, clsa_error *error);

/* The weights of a network that clsa_arch_read or clsa_random_open has made;
   a side file that belongs to another model is refused. */
clsa_status clsa_arch_find_tensors(struct clsa_network *net,
                                   const struct clsa_gguf *gguf,
                                   const struct clsa_gguf *side,
                                   clsa_error *error);

/* `find` of its architecture, and the tensors of its indexes. */
clsa_status clsa_arch_find_all(struct clsa_network *net, struct clsa_finder *f);

#endif /* CLSA_ARCH_ARCH_H */
