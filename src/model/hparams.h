/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hparams: the sizes of a network, read from GGUF metadata and checked, so
 * that nothing behind this door has to doubt them. SPEC of the keys:
 * clsa-gguf(5).
 *
 * Guaranteed after clsa_hparams_read: every size is at least 1 and at most
 * 2^24 (layers 2^10, head sizes 2^16, context 2^31), also h e, so that products
 * of two of them fit 63 bits; heads divide; head sizes, also the indexer's, are
 * multiples of 8; 1 <= self_layers < layers; with gated retention self.g is
 * self.h. The tensors of such sizes need not exist before clsa_weights_open.
 */
#ifndef CLSA_MODEL_HPARAMS_H
#define CLSA_MODEL_HPARAMS_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/model/gguf.h"

#define CLSA_MAX_HEAD CLSA_ATTEND_SIZE /* largest head size */

enum clsa_mixer {
    CLSA_MIXER_SWA,             /* sliding-window attention */
    CLSA_MIXER_GATED_RETENTION, /* classic YOCO */
};

/* Heads of one stack (self- or cross-decoder). */
struct clsa_heads {
    uint32_t h;      /* query heads */
    uint32_t g;      /* KV heads; h = r g */
    uint32_t e;      /* head size */
    uint32_t r;      /* query heads of one KV head */
    float rope_base; /* 0: no rotary embedding */
};

struct clsa_hparams {
    uint32_t layers;      /* L */
    uint32_t self_layers; /* S */
    uint32_t d, f, vocab; /* hidden, FFN and vocabulary size */
    uint64_t context;     /* tokens */
    struct clsa_heads self, cross;
    enum clsa_mixer mixer; /* of the self-decoder */
    uint32_t window;       /* W; 1 with gated retention */
    uint32_t index_size;   /* e_i; 0: no indexer */
    uint32_t top_k;        /* k; 0: no indexer */
    float eps;             /* of every RMSNorm */
    float embedding_scale; /* 1 where the file has none */
};

clsa_status clsa_hparams_read(struct clsa_hparams *hp,
                              const struct clsa_gguf *gguf, clsa_error *error);

#endif /* CLSA_MODEL_HPARAMS_H */
