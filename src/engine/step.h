/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step: one forward pass of some tokens through the network (forward.c), and
 * its memory.
 *
 * A step has n tokens: a prompt block, or the next ones of several
 * sequences, or one. All of them run up to the last store, where they leave
 * what later tokens need; only the m outputs, whose logits somebody wants, go
 * on from there (the early exit). Rows of a session are ascending. The result
 * of a token does not depend on its neighbors, except by what earlier tokens of
 * its sequence leave in the stores.
 *
 * Everything runs inside one parallel region. Functions that take a pass are
 * called by all threads, in the same order, and share their work in loops
 * (src/base/loop.h says what may be read and written where). Nothing is
 * allocated inside.
 */
#ifndef CLSA_ENGINE_STEP_H
#define CLSA_ENGINE_STEP_H

#include <stdatomic.h>

#include "src/base/mem.h"
#include "src/engine/backend.h"
#include "src/engine/index.h"
#include "src/engine/session.h"

/* Sequences of one clsa_batch_append. */
#define CLSA_BATCH_MAX 64

/* One token of a step. */
struct clsa_step_token {
    struct clsa_session *session;
    uint64_t position;
    int32_t id;
    struct clsa_working_set *set; /* outputs under a policy that selects */
};

static inline struct clsa_store *
clsa_token_store(const struct clsa_step_token *token,
                 const struct clsa_layer *layer)
{
    return &token->session->stores.store[layer->store];
}

static inline struct clsa_window *
clsa_token_window(const struct clsa_step_token *token,
                  const struct clsa_layer *layer)
{
    return &clsa_token_store(token, layer)->window;
}

static inline struct clsa_cache *
clsa_token_cache(const struct clsa_step_token *token,
                 const struct clsa_layer *layer)
{
    return &clsa_token_store(token, layer)->cache;
}

/* How far a step goes. */
enum clsa_stage {
    CLSA_STAGE_REFILL,  /* make windows and states again, leave the caches */
    CLSA_STAGE_STORES,  /* all tokens up to the last store */
    CLSA_STAGE_OUTPUTS, /* the rest for the outputs; scratch->x is there */
    CLSA_STAGE_LAYERS,  /* both, without logits */
    CLSA_STAGE_ALL      /* both */
};

struct clsa_step {
    struct clsa_model *model;
    enum clsa_stage stage;
    size_t n, m;                   /* tokens, outputs */
    struct clsa_step_token *token; /* [n], positions of a session ascending */
    size_t *output;                /* [m] numbers of tokens, ascending */
    /* Up to the last store, and from there on. */
    struct clsa_backend *stores, *outputs;
    /* A policy looks at the queries of layers, which are not scaled then. */
    bool shows_queries;
    bool early; /* all tokens are outputs, and select in all layers */
    const struct clsa_observer *observer; /* of the tokens; NULL: none */
    bool profiled;                        /* operations are timed */
    bool stoppable;      /* it may be taken back in the middle */
    atomic_bool stopped; /* worker 0 saw that it has to be */
    /* Written by worker 0 several times a layer: not in a cache line that the
       others read. */
    _Alignas(CLSA_CACHE_LINE) double phase_ms[CLSA_PHASES];
    double clock; /* when the current phase began */
    /* The profile (profile.h), ns. */
    uint64_t op_clock;              /* when the current operation began */
    uint64_t waited, waited_before; /* by worker 0 for others; at op_clock */
};

/* Output i of a step. */
static inline const struct clsa_step_token *
clsa_output(const struct clsa_step *step, size_t i)
{
    return &step->token[step->output[i]];
}

/* Whether output i is the last one of its session. */
static inline bool clsa_output_is_last(const struct clsa_step *step, size_t i)
{
    return i + 1 == step->m ||
           clsa_output(step, i + 1)->session != clsa_output(step, i)->session;
}

/* Tokens from t on that belong to the same sequence. */
size_t clsa_step_run_length(const struct clsa_step *step, size_t t);

/*
 * What one thread carries through the layers: the tokens that run now, all of
 * a step or its outputs, and who multiplies. Each thread has its own.
 */
struct clsa_pass {
    struct clsa_step *step;
    const struct clsa_worker *w;
    const struct clsa_model *model;
    const struct clsa_network *net;
    const struct clsa_simd *simd;
    struct clsa_backend *backend;
    bool outputs;
    size_t n;                       /* tokens that run */
    float *x;                       /* [n][d] the residual */
    const struct clsa_layer *layer; /* that runs now */
};

/* Number in the step of the i-th token that runs. */
static inline size_t clsa_pass_number(const struct clsa_pass *p, size_t i)
{
    return p->outputs ? p->step->output[i] : i;
}

static inline const struct clsa_step_token *
clsa_pass_token(const struct clsa_pass *p, size_t i)
{
    return &p->step->token[clsa_pass_number(p, i)];
}

/*
 * Memory of a step, shared by all sessions of a model. [n], [m]: tokens and
 * outputs that fit; h e, g e, e, f stand for the largest of any layer.
 */
struct clsa_scratch {
    size_t n, m, k, partials; /* what fits; k: rows of a ranking policy */
    size_t policy_floats;     /* of a policy for an output */
    float *x;                 /* [n][d] the residual */
    float *x_out;             /* [m][d] the same of the outputs */
    float *y;                 /* [n][d] */
    float *q;                 /* [n][h e] */
    float *k_rows, *v_rows;   /* [n][g e] */
    float *gate, *up;         /* [n][f] */
    float *layer_input;       /* [n][L p] */
    struct clsa_act norm;     /* [n][d] */
    struct clsa_act attn_out; /* [n][h e] */
    struct clsa_act ffn;      /* [n][f] */
    size_t rope_stride;       /* e/2 of the widest rope */
    float *cos, *sin;         /* [ropes][n][rope_stride] */
    float *partial;           /* [partials] partial softmaxes */
    float *decay;             /* [n][h]; retention only */
    float *retention;         /* [threads][clsa_retention_scratch]; the same */
    float *logits;            /* [m][vocab] */
    float *index_k;           /* [n][e_i] */
    float *index_x;           /* [m][H][e_i] */
    int16_t *index_q;         /* [m][H][e_i] */
    float *index_weights;     /* [m][H] */
    struct clsa_index_query *query;     /* [m][H] */
    struct clsa_candidates *candidates; /* [threads] */
    size_t *topk_count;                 /* [m][threads] */
    uint64_t *topk;                     /* [m][threads][k] */
    uint64_t *merge;               /* [m][threads][k] scratch of the merge */
    float *policy;                 /* [m][policy_floats] */
    struct clsa_step_token *token; /* [n] */
    size_t *output;                /* [n] */
    void *block;                   /* all of the above but candidates */
    size_t bytes;
    uint64_t charged; /* to the budget: bytes and candidates */
    unsigned threads;
};

/* The frequencies of a rope that belong to a session: long contexts may have
   others. NULL: no layer is rotated by it. */
static inline const double *
clsa_rope_frequencies(const struct clsa_rope *rope,
                      const struct clsa_session *session)
{
    return rope->long_frequency && session->context > rope->long_from
               ? rope->long_frequency
               : rope->frequency;
}

/* cos and sin of the i-th token that runs, of the layer's rope. */
static inline size_t clsa_rope_at(const struct clsa_pass *p, size_t i)
{
    const struct clsa_scratch *s = p->model->scratch;
    return ((size_t)p->layer->rope * s->n + clsa_pass_number(p, i)) *
           s->rope_stride;
}

/*
 * Make the scratch of a model large enough for n tokens, m of them outputs, of
 * a session like this one. May allocate; never called inside a step.
 */
clsa_status clsa_scratch_reserve(struct clsa_model *model, size_t n, size_t m,
                                 const struct clsa_session *session,
                                 clsa_error *error);
void clsa_scratch_close(struct clsa_scratch *scratch);

/* The most outputs of one session that a step may have. */
size_t clsa_outputs_most(const struct clsa_session *session);

/* Whether a session of the step was cancelled. */
bool clsa_step_cancelled(const struct clsa_step *step);

/*
 * Run a step. Its sessions have cache rows reserved and the scratch fits; the
 * lengths of caches and windows grow by what was read. Logits of the outputs
 * are in scratch->logits afterward, [m][vocab]. A step that was `stopped` has
 * left something of each layer it came to: its sessions are to be undone.
 */
void clsa_step_run(struct clsa_step *step);

/* The forward pass, on all threads (forward.c). */
void clsa_forward(void *step, struct clsa_worker *w);

/* Worker 0 books the time since the last call under `phase`. */
void clsa_step_clock(const struct clsa_pass *p, enum clsa_phase phase);

/* Around a step: whether it is timed, and the rest of its time. */
void clsa_profile_start(struct clsa_step *step);
void clsa_profile_end(struct clsa_step *step);

/* Worker 0 books the time since the last call under `op`. */
void clsa_profile_book(const struct clsa_pass *p, enum clsa_op op);

static inline void clsa_op_done(const struct clsa_pass *p, enum clsa_op op)
{
    if (p->step->profiled)
        clsa_profile_book(p, op);
}

/* Activations of the tokens that run: [p->n][len] of the scratch. */
static inline struct clsa_act clsa_activations(const struct clsa_pass *p,
                                               const struct clsa_act *of,
                                               size_t len)
{
    struct clsa_act a = *of;
    a.n = p->n;
    a.len = len;
    return a;
}

/* x [d] = the embedding of token t of the step. */
void clsa_embed(const struct clsa_pass *p, size_t t, float *x);

/*
 * The layers' own inputs of the tokens that run, scratch->layer_input [n][L p]:
 * of the layers before the last writer, of the rest. Nothing to do for models
 * without.
 */
void clsa_make_layer_inputs(const struct clsa_pass *p, bool before, bool rest);

/* inner [n][p] = gelu(input_gate x) * the layer's own input, prepared for
   products. */
void clsa_gate_layer_input(const struct clsa_pass *p,
                           const struct clsa_act *inner);

/* x [n][d] *= scale. */
void clsa_scale_residual(const struct clsa_pass *p, float scale);

/* input = rms_norm(x, weight) of the tokens that run, prepared for products. */
void clsa_norm(const struct clsa_pass *p, const struct clsa_act *input,
               const float *weight, bool blocks);

#endif /* CLSA_ENGINE_STEP_H */
