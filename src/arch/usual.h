/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usual: what most architectures have in common, for their files: keys, a plan
 * of layers with a cache each, and the tensors of a layer. An architecture
 * calls what fits and changes the rest.
 */
#ifndef CLSA_ARCH_USUAL_H
#define CLSA_ARCH_USUAL_H

#include "src/arch/keys.h"

struct clsa_usual {
    uint32_t layers, hidden, vocab;
    uint32_t ffn; /* of every layer; set before: not read */
    uint64_t context;
    float eps;
    struct clsa_heads heads;
    struct clsa_rope rope;
    uint32_t ropes;  /* of the plan, of which this is the first; 0: 1 */
    bool longrope;   /* a kind of scaling that the architecture knows */
    uint32_t window; /* rows that layers with windows see; 0: no windows */
};

/*
 * block_count, embedding_length, feed_forward_length, context_length,
 * attention.head_count, .head_count_kv (else as many), .key_length (else hidden
 * / heads), .layer_norm_rms_epsilon, rope.freq_base (else 10000),
 * rope.dimension_count (else the head size), rope.scaling.*,
 * attention.sliding_window; vocab is the number of rows of token_embd.weight.
 */
clsa_status clsa_usual_read(struct clsa_usual *u,
                            const struct clsa_arch_keys *keys);

/* Each layer is rotated by the first rope, and reads and writes a cache of its
 * own. */
clsa_status clsa_usual_plan(struct clsa_network *net,
                            const struct clsa_usual *u, clsa_error *error);

/* The stores of the layers that `sliding` [layers] names become windows. */
void clsa_usual_slide(struct clsa_network *net, uint32_t window,
                      const bool *sliding);

/* How the values of a head are rotated. */
enum clsa_usual_rope {
    CLSA_USUAL_HALVES,
    CLSA_USUAL_PAIRS,   /* adjacent values */
    CLSA_USUAL_LONGROPE /* halves, and LongRoPE may be asked for */
};

/* clsa_usual_read and clsa_usual_plan; if there is a window, it is the window
   of the layers of attention.sliding_window_pattern, by default all. */
clsa_status clsa_usual_open(struct clsa_network *net,
                            const struct clsa_arch_keys *keys,
                            enum clsa_usual_rope rope);

/* attn_norm, attn_q, attn_k, attn_v, attn_output; K and V of layers that write
   their store. */
clsa_status clsa_usual_find_attention(struct clsa_finder *f, uint32_t i,
                                      size_t d, struct clsa_layer *layer);

/* The biases of attn_q, attn_k, attn_v, and of attn_output if it has one. */
clsa_status clsa_usual_find_biases(struct clsa_finder *f, uint32_t i, size_t d,
                                   enum clsa_presence presence,
                                   struct clsa_layer *layer);

/* attn_q_norm, and attn_k_norm of layers that write their store. */
clsa_status clsa_usual_find_qk_norm(struct clsa_finder *f, uint32_t i,
                                    enum clsa_presence presence,
                                    struct clsa_layer *layer);

/* ffn_norm, ffn_gate, ffn_up, ffn_down; with the biases that there are. */
clsa_status clsa_usual_find_ffn(struct clsa_finder *f, uint32_t i, size_t d,
                                struct clsa_layer *layer);

/* token_embd, output_norm, and output, which is token_embd if absent. */
clsa_status clsa_usual_find_ends(struct clsa_finder *f,
                                 struct clsa_network *net);

/* All of these and rope_freqs, of a network with one rope; `biases` of Q, K and
   V, `norms` of the heads of Q and K. */
clsa_status clsa_usual_find(struct clsa_network *net, struct clsa_finder *f,
                            enum clsa_presence biases, bool norms);

#endif /* CLSA_ARCH_USUAL_H */
