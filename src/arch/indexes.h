/* SPDX-License-Identifier: Apache-2.0 */
/*
 * indexes: the index tensors and keys of any architecture whose layers have
 * caches of their own, in the model file or in a side file (clsa-gguf(5)). An
 * index belongs to a layer, its site: a selection of rows that the site and
 * the layers up to the next site read.
 */
#ifndef CLSA_ARCH_INDEXES_H
#define CLSA_ARCH_INDEXES_H

#include "src/arch/keys.h"

/* The keys of indexes are known. */
void clsa_indexes_claim(const struct clsa_arch_keys *keys);

/* attention.indexer.sink_rows and .recent_rows: rows that a selection of top_k
   rows always has, fewer than top_k together. */
clsa_status clsa_indexes_read_kept(const struct clsa_arch_keys *keys,
                                   uint32_t top_k, uint32_t *sinks,
                                   uint32_t *recent);

/* Sites, sizes and anchors of the model file into a complete plan. */
clsa_status clsa_indexes_read(struct clsa_network *net,
                              const struct clsa_arch_keys *keys);

/* Those of a side file in their place, whose keys have to fit the model. */
clsa_status clsa_indexes_read_side(struct clsa_network *net,
                                   const struct clsa_gguf *side,
                                   clsa_error *error);

/* Says that the architecture takes no side file. */
clsa_status clsa_indexes_refuse(const struct clsa_network *net,
                                const struct clsa_gguf *side,
                                clsa_error *error);

/* Index tensors of the model file, which are not used if a side file has some;
   and of the side file. */
clsa_status clsa_indexes_find(struct clsa_network *net, struct clsa_finder *f);
clsa_status clsa_indexes_find_side(struct clsa_network *net,
                                   struct clsa_finder *f);

/* Whether the side file was made for this model, by the sum of its norms. */
clsa_status clsa_indexes_check(const struct clsa_network *net,
                               const struct clsa_gguf *side, clsa_error *error);

#endif /* CLSA_ARCH_INDEXES_H */
