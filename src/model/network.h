/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: what the engine runs. A model is a list of layers over stores:
 *
 *   token -> embedding -> [ norm -> Q (K V) -> store -> select -> attend
 *            -> output projection ; norm -> FFN ] x L -> norm -> logits
 *
 * A store holds what later tokens need of earlier ones. A layer says what it
 * mixes tokens with, which store it reads, whether it writes that store, and
 * whether a selection of cache rows is made before it reads (a site). The
 * files of src/arch fill this in from the keys and tensors of a model file;
 * src/engine reads nothing else about a model.
 *
 * Guaranteed after clsa_arch_read: every size is 1..CLSA_SIZE_LIMIT, also
 * heads x head_dim, so that products of two sizes fit 63 bits; heads are a
 * multiple of kv_heads; head sizes and index keys are multiples of 8. Stores
 * are numbered in the order of the layers that write them; a layer reads a
 * store that it or an earlier layer writes.
 *
 * Shapes: d hidden, h heads, g kv_heads, e head_dim, f ffn, e_i index_dim, H
 * index heads, p layer_input, L layers.
 */
#ifndef CLSA_MODEL_NETWORK_H
#define CLSA_MODEL_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "simd/simd.h"
#include "src/base/status.h"

#define CLSA_LAYER_LIMIT     1024
#define CLSA_SIZE_LIMIT      (1u << 24)
#define CLSA_INDEX_DIM_LIMIT (1u << 16)
#define CLSA_CONTEXT_LIMIT   ((uint64_t)1 << 31) /* positions are 32 bits */
#define CLSA_HEAD_DIM_LIMIT  CLSA_ATTEND_SIZE
#define CLSA_HEAD_DIM_UNIT   8 /* head sizes are multiples, for the kernels */

#define CLSA_NO_ROPE (-1)

#define CLSA_ANCHORS_MOST 16 /* anchor layers of a model */

/* A matrix [rows][cols], rows contiguous. data NULL: not in this model. */
struct clsa_matrix {
    enum clsa_format format;
    size_t rows, cols;
    const void *data;
};

struct clsa_heads {
    uint32_t heads, kv_heads, head_dim;
    uint32_t group; /* query heads of one KV head */
};

/* How angles change for contexts longer than a model was first trained for.
   YaRN (arXiv 2309.00071) leaves fast pairs as they are. */
enum clsa_rope_scaling { CLSA_ROPE_PLAIN, CLSA_ROPE_LINEAR, CLSA_ROPE_YARN };

/* A rotary embedding of the first 2 * pairs values of heads. */
struct clsa_rope {
    float base;     /* 0: no layer is rotated by it */
    uint32_t pairs; /* at most e/2 */
    bool adjacent;  /* pair i is (2i, 2i + 1); else (i, i + pairs) */
    enum clsa_rope_scaling scaling;
    float factor;               /* that angles are divided by */
    uint64_t original;          /* the context before it */
    float beta_fast, beta_slow; /* YaRN: turns in it, of pairs that are left
                                   as they are, of pairs that are divided */
    float magnitude;            /* of cos and sin: 1 */
    double *frequency; /* [pairs] angle per position; NULL with base 0 */
    /* Frequencies of sessions with a context above `long_from`; NULL: the
       same. */
    double *long_frequency;
    uint64_t long_from;
};

enum clsa_store_kind {
    CLSA_STORE_WINDOW, /* the last rows of K and V */
    CLSA_STORE_CACHE,  /* all rows of K and V, with index keys or without */
    CLSA_STORE_STATE,  /* the state of retention */
};

struct clsa_store_plan {
    enum clsa_store_kind kind;
    uint32_t kv_heads, head_dim;
    uint32_t window;    /* CLSA_STORE_WINDOW: rows that a query sees */
    uint32_t index_dim; /* CLSA_STORE_CACHE: e_i of index keys; 0: none */
};

enum clsa_mixer {
    CLSA_MIXER_ATTENTION,
    CLSA_MIXER_RETENTION, /* gated retention: its store is a state */
};

/* The function of the gate of an FFN. */
enum clsa_gate { CLSA_GATE_SILU, CLSA_GATE_GELU /* by tanh */ };

/* One layer: the plan, then its weights. Vectors and matrices that the
   architecture does not have are NULL, data NULL. */
struct clsa_layer {
    enum clsa_mixer mixer;
    struct clsa_heads heads;
    uint32_t store;  /* number of the store that it reads */
    bool writes;     /* K and V, or the state, are made from its own input */
    bool site;       /* policies that select once for several layers do it here;
                        without any, at each new cache */
    uint32_t reader; /* its number among the layers that read a cache */
    bool new_cache;  /* the layer that reads a cache before it, or the last one
                        of all, reads another: what was selected is copied
                        anew */
    int rope;        /* number of the rope of its queries and keys, or none */
    uint32_t ffn;
    enum clsa_gate gate_kind;
    float scale;   /* of q . k */
    float softcap; /* c of scores c tanh(s / c); 0: none */
    bool v_normed; /* each head of V is normed, without weights */

    const float *attn_norm;       /* [d] */
    const float *kv_norm;         /* [d] of the input of K, V and the index;
                                     NULL: attn_norm */
    struct clsa_matrix q;         /* [h e][d] */
    struct clsa_matrix k, v;      /* [g e][d] */
    struct clsa_matrix attn_out;  /* [d][h e] */
    const float *q_bias;          /* [h e] */
    const float *k_bias, *v_bias; /* [g e] */
    const float *attn_out_bias;   /* [d] */
    const float *q_norm, *k_norm; /* [e], of each head before it is rotated */
    const float *attn_post_norm;  /* [d] of what attention adds */
    struct clsa_matrix ret_gate;  /* [h e][d] retention */
    struct clsa_matrix ret_decay; /* [h][d] retention */
    bool indexed;                 /* a selection by an index is made */
    struct clsa_matrix index_q, index_k; /* [H e_i][d], [e_i][d] */
    struct clsa_matrix index_weights;    /* [H][d] of index heads; H > 1 */
    const float *index_bias;             /* [H] of these */
    const float *ffn_norm;               /* [d] */
    struct clsa_matrix gate, up;         /* [f][d] */
    struct clsa_matrix down;             /* [d][f] */
    const float *gate_bias, *up_bias;    /* [f] */
    const float *down_bias;              /* [d] */
    const float *ffn_post_norm;          /* [d] of what the FFN adds */
    struct clsa_matrix input_gate;       /* [p][d] of the layer's own input */
    struct clsa_matrix input_proj;       /* [d][p] */
    const float *input_norm;             /* [d] of what it adds */
    const float *output_scale;           /* [1] of the residual; NULL: 1 */
};

/* The largest sizes of any layer, for buffers. */
struct clsa_largest {
    size_t q, kv; /* h e, g e */
    uint32_t heads, head_dim, rope_pairs, ffn, index_dim;
};

/* What a file says about its indexes and anchors, beside their layers. */
struct clsa_indexes {
    uint32_t heads, dim;    /* H, e_i; dim 0: no index */
    uint32_t sinks, recent; /* rows that a selection of top_k always has: the
                               first ones, the last ones */
    uint32_t first_window;  /* rows that the layers before the first site see
                               in addition to the sinks; 0: all rows */
    uint32_t anchor_count, anchors[CLSA_ANCHORS_MOST]; /* layers, ascending */
    uint32_t anchor_rows; /* that anchors choose; 0: as many as an index */
    bool from_side;       /* the tensors are in a side file */
};

struct clsa_network {
    const struct clsa_arch *arch;
    uint32_t hidden, vocab;
    uint64_t context;      /* tokens that the model was trained for */
    float eps;             /* of every RMSNorm */
    float embedding_scale; /* 1: none */
    float logit_softcap;   /* c of logits c tanh(z / c); 0: none */
    uint32_t top_k;        /* rows of a selection by the index; 0: no index */
    struct clsa_indexes indexes;

    uint32_t layer_count, store_count, rope_count;
    struct clsa_layer *layers;
    struct clsa_store_plan *stores;
    struct clsa_rope *ropes;

    struct clsa_matrix embedding; /* [vocab][d] */
    struct clsa_matrix output;    /* [vocab][d]; the embedding when tied */
    const float *output_norm;     /* [d] */

    /* Each layer may have an input of its own from the token, beside the
       residual: a row of a table, and a projection of the embedding. */
    uint32_t layer_input;                   /* its values; 0: none */
    struct clsa_matrix input_embedding;     /* [vocab][L p] */
    struct clsa_matrix input_projection[2]; /* [.. p][d] of the layers before
                                               the last writer, of the rest */
    const float *input_projection_norm;     /* [p] */

    bool fine;           /* products in blocks read activations in two planes
                            of 8 bits: clsa_network_is_fine */
    uint64_t parameters; /* values in all tensors */
    float *vectors;      /* memory of the vectors above */
    float *side_vectors; /* the same of a side file, or NULL */

    /* What follows from the plan: clsa_network_finish. */
    uint32_t last_writer; /* last layer that writes a store: of a prompt token
                             whose logits nobody wants, no more is computed */
    uint32_t refill_end;  /* layers up to the last that writes a window or a
                             state: what has to run to make these again */
    uint32_t first_reader, last_reader, reader_count; /* that read a cache */
    uint32_t first_site; /* first layer with an index; layer_count: none */
    uint32_t site_count, cache_count;
    bool own_caches; /* each layer that reads a cache reads another one than the
                        layer before it */
    struct clsa_largest largest;
};

/* Memory for so many layers, stores and ropes, all zero, but `rope` none, and
   ropes of factor and magnitude 1. */
clsa_status clsa_network_open(struct clsa_network *net, uint32_t layers,
                              uint32_t stores, uint32_t ropes,
                              clsa_error *error);

/* Derives what follows from the plan, which is complete now. */
void clsa_network_finish(struct clsa_network *net);

/* Whether a layer has weights of a type with an offset (q4_1, q5_1), which
   people choose for precision: with activations of 8 bits, logits are up to 4 %
   of the largest off, whatever type the output matrix has. */
bool clsa_network_is_fine(const struct clsa_network *net);

/* Sets the frequencies, base^(-i/pairs) / factors[i] for pair i, scaled as the
   rope says; factors [pairs] NULL: all 1. YaRN sets the magnitude, too. */
clsa_status clsa_rope_set(struct clsa_rope *rope, const float *factors,
                          clsa_error *error);

/* The same for sessions of long contexts. */
clsa_status clsa_rope_set_long(struct clsa_rope *rope, const float *factors,
                               clsa_error *error);

/* Releases all of it; {0} is allowed. */
void clsa_network_close(struct clsa_network *net);

static inline bool clsa_layer_reads_cache(const struct clsa_network *net,
                                          const struct clsa_layer *layer)
{
    return net->stores[layer->store].kind == CLSA_STORE_CACHE;
}

/* The norm of the input of K, V and the index. */
static inline const float *clsa_kv_norm(const struct clsa_layer *layer)
{
    return layer->kv_norm ? layer->kv_norm : layer->attn_norm;
}

/* Whether layers before the last writer read caches, so that a token under a
   policy that selects has to be an output in all layers. */
static inline bool clsa_reads_early(const struct clsa_network *net)
{
    return net->reader_count > 0 && net->first_reader < net->last_writer;
}

/* The heads of the layers that read under a selection. */
static inline const struct clsa_heads *
clsa_reader_heads(const struct clsa_network *net)
{
    return &net->layers[net->first_reader].heads;
}

#endif /* CLSA_MODEL_NETWORK_H */
