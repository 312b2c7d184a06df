/* SPDX-License-Identifier: Apache-2.0 */
/* gemma: what the architectures gemma2, gemma3 and gemma4 have in common. */
#ifndef CLSA_ARCH_GEMMA_H
#define CLSA_ARCH_GEMMA_H

#include "src/arch/usual.h"

/* GELU, the scale of embeddings, the caps of scores and logits. */
clsa_status clsa_gemma_read_ends(struct clsa_network *net,
                                 const struct clsa_arch_keys *keys);

/* post_attention_norm, post_ffw_norm. */
clsa_status clsa_gemma_find_norms(struct clsa_finder *f, uint32_t i, size_t d,
                                  struct clsa_layer *layer);

#endif /* CLSA_ARCH_GEMMA_H */
