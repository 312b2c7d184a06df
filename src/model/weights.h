/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights: the tensors of a model by their role, typed and with checked
 * shapes. Matrices stay in the mapping; vectors (norms) are copied to F32.
 * Tensors that the network does not know are an error by name.
 */
#ifndef CLSA_MODEL_WEIGHTS_H
#define CLSA_MODEL_WEIGHTS_H

#include "simd/simd.h"
#include "src/model/hparams.h"

/* A matrix [rows][cols], rows contiguous. data NULL: not in this model. */
struct clsa_matrix {
    enum clsa_format format;
    size_t rows, cols;
    const void *data;
};

/* One layer. Vectors are NULL where the model has none. */
struct clsa_layer {
    const float *attn_norm;      /* [d] */
    struct clsa_matrix q;        /* [h e][d] */
    struct clsa_matrix k, v;     /* [g e][d]; self-decoder only */
    struct clsa_matrix out;      /* [d][h e] */
    const float *q_norm;         /* [e], optional */
    const float *k_norm;         /* [e], optional; self-decoder only */
    struct clsa_matrix gate_r;   /* [h e][d]; gated retention only */
    struct clsa_matrix decay;    /* [h][d]; gated retention only */
    const float *ffn_norm;       /* [d] */
    struct clsa_matrix gate, up; /* [f][d] */
    struct clsa_matrix down;     /* [d][f] */
};

struct clsa_weights {
    struct clsa_matrix embedding; /* [vocab][d] */
    struct clsa_matrix output;    /* [vocab][d]; the embedding when tied */
    const float *output_norm;     /* [d] */
    const float *kv_norm;         /* [d] */
    struct clsa_matrix k, v;      /* [g e][d]: the shared cache's rows */
    const float *k_norm;          /* [e], optional */
    struct clsa_matrix index_q, index_k; /* [e_i][d], optional */
    const float *rope_self, *rope_cross; /* [e/2] factors, optional */
    struct clsa_layer *layers;           /* [L] */
    uint64_t parameters;                 /* values in all tensors */
    float *vectors; /* what the pointers above point into */
};

/* Finds, types and checks all tensors of the network. The gguf must outlive
   the weights. */
clsa_status clsa_weights_open(struct clsa_weights *weights,
                              const struct clsa_gguf *gguf,
                              const struct clsa_hparams *hp, clsa_error *error);
void clsa_weights_close(struct clsa_weights *weights);

#endif /* CLSA_MODEL_WEIGHTS_H */
