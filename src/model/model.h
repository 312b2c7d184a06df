/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: everything that the sessions of a model share: the file, the sizes,
 * the weights, the tokenizer, the kernels, the threads and the scratch memory
 * of a step. Immutable once open but for the team and the scratch.
 */
#ifndef CLSA_MODEL_MODEL_H
#define CLSA_MODEL_MODEL_H

#include "simd/simd.h"
#include "src/base/budget.h"
#include "src/base/team.h"
#include "src/model/gguf.h"
#include "src/model/hparams.h"
#include "src/model/tokenizer.h"
#include "src/model/weights.h"

struct clsa_scratch;
struct clsa_products;

struct clsa_model {
    struct clsa_gguf *gguf;
    struct clsa_hparams hp;
    struct clsa_weights weights;
    struct clsa_tokenizer *tokenizer;
    const struct clsa_simd *simd;
    struct clsa_numa *numa;
    struct clsa_team *team;
    struct clsa_budget budget;      /* memory of it and its sessions */
    struct clsa_progress progress;  /* of what makes random values */
    struct clsa_scratch *scratch;   /* of the engine; grows with the sessions */
    struct clsa_products *products; /* of prompts; NULL: none yet */
    size_t prefill_memory;          /* bytes that converted weights may take */
    char *name;                     /* general.name, or "" */
    char *chat_template;            /* tokenizer.chat_template, or NULL */
    double *rope_self;    /* [e/2] angle per position; NULL: not rotated */
    double *rope_cross;   /* [e/2] */
    uint64_t fingerprint; /* 0: not computed yet */
};

#endif /* CLSA_MODEL_MODEL_H */
