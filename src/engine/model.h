/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: everything that the sessions of a model share: the file, the network,
 * the tokenizer, the kernels, the threads and the scratch memory
 * of a step. Immutable once open, except the team, the scratch and the profile.
 */
#ifndef CLSA_ENGINE_MODEL_H
#define CLSA_ENGINE_MODEL_H

#include "simd/simd.h"
#include "src/base/budget.h"
#include "src/base/team.h"
#include "src/engine/backend.h"
#include "src/engine/profile.h"
#include "src/model/gguf.h"
#include "src/model/network.h"
#include "src/model/tokenizer.h"

struct clsa_scratch;
struct clsa_onednn;

struct clsa_model {
    struct clsa_gguf *gguf;
    struct clsa_gguf *side; /* the file of its indexes, or NULL */
    struct clsa_network net;
    struct clsa_tokenizer *tokenizer;
    const struct clsa_simd *simd;
    struct clsa_numa *numa;
    struct clsa_team *team;
    struct clsa_budget budget;     /* memory of it and its sessions */
    struct clsa_progress progress; /* of what makes random values */
    struct clsa_backend native;    /* the kernels as a backend */
    struct clsa_scratch *scratch;  /* of steps; grows with the sessions */
    struct clsa_onednn *onednn;    /* of prompts; NULL: none yet */
    size_t prefill_memory;         /* bytes that converted weights may take */
    char *name;                    /* general.name, or "" */
    char *chat_template;           /* tokenizer.chat_template, or NULL */
    clsa_chat_template *chat;      /* the same parsed; NULL: it cannot be */
    clsa_error chat_error;         /* why */
    uint64_t fingerprint;          /* 0: not computed yet */

    struct clsa_profile_times profile; /* of its steps */
};

/* Fills chat or chat_error; fails for want of memory only (model_chat.c). */
clsa_status clsa_model_parse_chat_template(struct clsa_model *m,
                                           clsa_error *error);

/*
 * Opens the side file of indexes that the option `index` of a model names, or
 * for NULL the one beside the model's path: x.clsa.gguf of x.gguf. *side is
 * NULL for "none", and if there is none beside it (model_index.c).
 */
clsa_status clsa_model_open_side(struct clsa_gguf **side, const char *path,
                                 const char *index, clsa_error *error);

/* A model of the text part of a file alone, which it takes over, on failure
   too: vocabulary, chat template, keys. Its network is empty. */
clsa_status clsa_model_open_text(struct clsa_model **model,
                                 struct clsa_gguf *gguf, clsa_error *error);

/* clsa_model_random_like with the keys of a tokenizer, as it would be in a
   file, whose bytes its `gguf` has. */
clsa_status clsa_model_random_file(struct clsa_model **model, const char *shape,
                                   int type, const clsa_model_options *options,
                                   clsa_error *error);

#endif /* CLSA_ENGINE_MODEL_H */
