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

#define CLSA_INDEXES_SUM 65 /* bytes of a sum, NUL included */

/*
 * What key clsa.index.of of a side file has to say: the SHA-256 sum, in
 * hexadecimal, over the norms of these layers of the model: the sites, or the
 * anchors of a file without sites; ascending.
 */
void clsa_indexes_sum(const struct clsa_network *net, const uint32_t *layers,
                      uint32_t count, char text[CLSA_INDEXES_SUM]);

/* The sites and the anchors of a side file, whose keys do not have to be
   complete. sites[CLSA_LAYER_LIMIT], anchors[CLSA_ANCHORS_MOST]. */
struct clsa_indexes_lists {
    uint32_t site_count, anchor_count;
    uint32_t *sites, *anchors;
};
clsa_status clsa_indexes_list(const struct clsa_network *net,
                              const struct clsa_gguf *side,
                              struct clsa_indexes_lists *lists,
                              clsa_error *error);

/* Refuses a file that is not a side file of this model. */
clsa_status clsa_indexes_check_file(const struct clsa_network *net,
                                    const struct clsa_gguf *side,
                                    clsa_error *error);

#endif /* CLSA_ARCH_INDEXES_H */
