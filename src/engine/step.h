/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step: one pass of tokens through the network, the whole picture:
 *
 *   id -> embedding -> [window attention -> FFN] x S -> H       (self.c)
 *                      or [retention -> FFN] x S -> H           (retention.c)
 *   H -> shared cache: K, V, index key                          (route.c)
 *   H -> index query -> scan -> top-k -> working set            (route.c)
 *   [attention over the working set -> FFN] x C -> logits       (cross.c)
 *
 * A step has n columns, one per token: the tokens of a prompt block, or the
 * next tokens of several sequences, or one. All run the self-decoder and leave
 * a row in their cache; only the m wanted ones run the cross-decoder. Where
 * more are wanted than a step may have, one step reads all columns, and others
 * go on with groups of the wanted ones (is_read), whose H stays in x. The
 * result of a column does not depend on the others, but for the rows that
 * earlier tokens of its sequence leave.
 *
 * Everything runs inside one parallel region; functions that take a worker are
 * called by all threads, and have a barrier between each phase that writes and
 * the next that reads. Nothing is allocated in there.
 */
#ifndef CLSA_ENGINE_STEP_H
#define CLSA_ENGINE_STEP_H

#include "src/engine/indexer.h"
#include "src/engine/session.h"

/* Sequences of one clsa_batch_append. */
#define CLSA_BATCH_MAX 64

/* One token of a step. */
struct clsa_column {
    struct clsa_session *session;
    uint64_t position;
    int32_t id;
    struct clsa_working_set *set; /* wanted columns of sparse policies */
};

struct clsa_step {
    struct clsa_model *model;
    size_t n, m;       /* columns, wanted columns */
    bool windows_only; /* fill the windows, leave the cache */
    bool is_read;      /* columns have run to the cache: go on behind it */
    bool no_logits;    /* wanted columns leave out the head */
    bool layered;      /* a policy looks at the queries of layers */
    /* For the products up to the cache and behind it; NULL: own kernels. */
    struct clsa_products *self, *cross;
    struct clsa_column *column; /* [n], positions of a session ascending */
    size_t *wanted;             /* [m] indices of columns, ascending */
    double phase_ms[CLSA_PHASES];
    double clock; /* when the current phase began; worker 0 */
};

static inline const struct clsa_column *
clsa_wanted(const struct clsa_step *step, size_t i)
{
    return &step->column[step->wanted[i]];
}

/* Whether wanted column i is the last one of its session. */
static inline bool clsa_step_is_last(const struct clsa_step *step, size_t i)
{
    return i + 1 == step->m ||
           clsa_wanted(step, i + 1)->session != clsa_wanted(step, i)->session;
}

/*
 * Memory of a step, shared by all sessions of a model. [n], [m]: columns and
 * wanted columns that fit; e stands for the larger head size of both stacks,
 * h e and g e for the larger products.
 */
struct clsa_scratch {
    size_t n, m, k, partials; /* what fits; k: rows of a ranking policy */
    size_t each;              /* floats of a policy for a wanted column */
    float *x;                 /* [n][d] the residual; wanted ones: [m][d] */
    float *xw;                /* [m][d] */
    float *y;                 /* [n][d] */
    float *q;                 /* [n][h e] */
    float *k_rows, *v_rows;   /* [n][g e] */
    float *gate, *up;         /* [n][f] */
    struct clsa_act norm;     /* [n][d] */
    struct clsa_act mix;      /* [n][h e] what attention gives */
    struct clsa_act ffn;      /* [n][f] */
    float *cos, *sin;         /* [n][e/2] of the stack that runs */
    float *partial;           /* [partials] partial softmaxes */
    float *decay;             /* [n][h]; gated retention only */
    float *retention;         /* [threads][clsa_retention_scratch]; the same */
    float *logits;            /* [m][vocab] */
    float *index_k;           /* [n][e_i] */
    float *index_x;           /* [m][e_i] */
    int16_t *index_q;         /* [m][e_i] */
    struct clsa_index_query *query;     /* [m] */
    struct clsa_candidates *candidates; /* [threads] */
    size_t *best_count;                 /* [m][threads] */
    uint64_t *best;                     /* [m][threads][k] */
    uint64_t *merge;            /* [m][threads][k] scratch of the selection */
    float *policy;              /* [m][each] */
    struct clsa_column *column; /* [n] */
    size_t *wanted;             /* [n] */
    void *block;                /* all of the above but candidates */
    size_t bytes;
    uint64_t charged; /* of the budget: bytes and candidates */
    unsigned threads;
};

/*
 * Make the scratch of a model large enough for n columns, m of them wanted,
 * of a session like this one. May allocate; never called inside of a step.
 */
clsa_status clsa_scratch_reserve(struct clsa_model *model, size_t n, size_t m,
                                 const struct clsa_session *session,
                                 clsa_error *error);
void clsa_scratch_close(struct clsa_scratch *scratch);

/* Wanted columns of one session that a step may have at most. */
size_t clsa_step_most_wanted(const struct clsa_session *session);

/*
 * Run a step. Its sessions have cache rows reserved and the scratch fits; the
 * lengths of caches, windows and sessions grow by what was read. Logits of
 * wanted columns are in scratch->logits afterwards, [m][vocab].
 */
void clsa_step_run(struct clsa_step *step);

/* ------------------------------------------------- the parts of a step */

void clsa_self_decoder(struct clsa_step *step, const struct clsa_worker *w);
void clsa_shared_rows(struct clsa_step *step, const struct clsa_worker *w);
void clsa_route(struct clsa_step *step, const struct clsa_worker *w);

/* Let the policies that choose at a cross-decoder layer (0 the first) do so,
   by its queries in scratch->q, normed and rotated; or at CLSA_ONCE. */
void clsa_choose(struct clsa_step *step, const struct clsa_worker *w,
                 uint32_t layer);

/* The floats of a policy for wanted column i. */
static inline float *clsa_policy_scratch(const struct clsa_scratch *s, size_t i)
{
    return s->policy + i * s->each;
}

/* For policies: the search of all workers for the best rows of wanted column
   i, by what `by` says, then its outcome as clsa_policy_type's `rows`. */
void clsa_best_scan(struct clsa_step *step, const struct clsa_worker *w,
                    size_t i, const struct clsa_scan *by);
size_t clsa_best_rows(struct clsa_step *step, unsigned workers, size_t i,
                      uint32_t *rows);

/*
 * The same by the queries of a layer, the score of a row being the mean over
 * query heads of q . k: `scratch`, `begin` and `scan` of a policy. Heads are
 * taken together before the scan: for those of one KV head the sum of q . k is
 * that of (sum of q) . k, so a row costs one product with the K of all its
 * heads, which lie side by side.
 */
size_t clsa_best_mean_size(const struct clsa_session *session);
void clsa_best_mean(struct clsa_step *step, const struct clsa_worker *w,
                    size_t i);
void clsa_best_by_mean(struct clsa_step *step, const struct clsa_worker *w,
                       size_t i);
uint64_t clsa_best_searched(const struct clsa_session *session);

void clsa_cross_decoder(struct clsa_step *step, const struct clsa_worker *w);
void clsa_head(struct clsa_step *step, const struct clsa_worker *w);

/* One layer of gated retention, without its FFN. Ends with a barrier. */
void clsa_retention_layer(struct clsa_step *step, const struct clsa_worker *w,
                          uint32_t layer);

/* Columns from c on that belong to the same sequence. */
size_t clsa_step_run_length(const struct clsa_step *step, size_t c);

/* Worker 0 books the time since the last call under `phase`. */
void clsa_step_clock(struct clsa_step *step, const struct clsa_worker *w,
                     enum clsa_phase phase);

/* ------------------------------------------------ what both decoders use */

/* Quantises values [begin, end) of column c, whole blocks. */
void clsa_quantise_column(const struct clsa_simd *simd,
                          const struct clsa_act *a, size_t c, size_t begin,
                          size_t end);

/*
 * input = rms_norm(x, w) for n columns of x [n][ldx], quantised as well where
 * `quantised`. Ends with a barrier.
 */
void clsa_norm_columns(const struct clsa_worker *w,
                       const struct clsa_simd *simd, struct clsa_act *input,
                       size_t n, const float *x, size_t ldx,
                       const float *weight, float eps, bool quantised);

/* x += FFN(norm(x)) of a layer for n columns. Ends with a barrier. */
void clsa_ffn(struct clsa_step *step, const struct clsa_worker *w,
              const struct clsa_layer *layer, float *x, size_t n);

/*
 * Attention of n columns: for each column c and KV head, queries q_of attend
 * to rows_of in parts of at most CLSA_ATTEND_ROWS rows. Parts, heads and
 * columns are the units that threads share.
 */
struct clsa_attention {
    const struct clsa_heads *heads;
    size_t n;          /* columns */
    size_t most_parts; /* of any column */
    /* Rows that column c attends to. */
    size_t (*count)(const struct clsa_step *step, size_t c);
    /* Whether queries are normed, rotated and scaled already. */
    bool ready;
    /* Where they are rows of the cache itself, all of them, whose pages may be
       on several nodes: how many to read of all heads before the next, a power
       of two up to CLSA_ATTEND_ROWS. Else 0; NULL: of no column. */
    size_t (*tile)(const struct clsa_step *step, size_t c);
    /* Where rows first .. first + rows->n - 1 of a KV head lie, and their
       format. */
    enum clsa_format (*locate)(const struct clsa_step *step, size_t layer,
                               size_t c, uint32_t head, size_t first,
                               struct clsa_rows *rows);
};

/* What queries of e values are multiplied by. */
float clsa_query_scale(size_t e);

/* q [e] = query head h of column c of scratch->q, normed by q_norm (NULL: not)
   and rotated by cos and sin (`rotate`), times clsa_query_scale. */
void clsa_attend_query(const struct clsa_step *step,
                       const struct clsa_heads *heads, size_t c, size_t h,
                       const float *q_norm, bool rotate, float *q);

/*
 * scratch->partial = partial softmaxes [n][h][most_parts][e + 2] of
 * scratch->q, normed and rotated on the way if not ready. Ends with a barrier.
 */
void clsa_attend(struct clsa_step *step, const struct clsa_worker *w,
                 const struct clsa_attention *attention, size_t layer,
                 const float *q_norm, bool rotate);

/*
 * scratch->mix = the merged softmaxes, quantised where `out` needs that, and
 * x [n][d] += out(mix). Ends with a barrier.
 */
void clsa_attention_out(struct clsa_step *step, const struct clsa_worker *w,
                        const struct clsa_attention *attention,
                        const struct clsa_matrix *out, float *x);

/* Rotation of column `c` at a position into scratch cos and sin. */
void clsa_rope_angles(struct clsa_scratch *s, size_t c, uint64_t position,
                      const double *frequency, uint32_t half);

#endif /* CLSA_ENGINE_STEP_H */
