/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: which rows of the shared cache a query reads. A policy is a struct
 * clsa_policy_type in a file of its own, policy_NAME.c; the rest of the engine
 * knows this interface only.
 *
 * Rows are chosen once per token before the first cross-decoder layer, or anew
 * before the attention of some layers, then by their queries. Either way it
 * goes in the same four phases for all columns of a step (route.c): begin,
 * scan, rows, and the copy of the rows that are new to the working set.
 */
#ifndef CLSA_ENGINE_POLICY_H
#define CLSA_ENGINE_POLICY_H

#include <stdbool.h>

#include "src/model/hparams.h"

#define CLSA_POLICY_NUMBERS 3
#define CLSA_POLICY_TEXT    32 /* bytes of the longest policy, NUL included */
#define CLSA_POLICY_MOST    (UINT32_C(1) << 31) /* of a number, and of rows */

/* In place of a layer: before the first one, once per token. */
#define CLSA_ONCE UINT32_MAX

struct clsa_attention;
struct clsa_session;
struct clsa_step;
struct clsa_stream;
struct clsa_worker;

struct clsa_policy {
    const struct clsa_policy_type *type;
    uint32_t number[CLSA_POLICY_NUMBERS]; /* those behind the colons */
    uint32_t rows; /* that a query reads at most; 0: all, where they lie */
};

/*
 * Functions may be NULL but for, where rows are chosen, `rows`. `i`
 * is a wanted column of a step. Those that take a worker run on all threads.
 */
struct clsa_policy_type {
    const char *name;
    const char *form;                  /* what a user may write, for messages */
    unsigned least, most;              /* numbers behind the name */
    uint32_t low[CLSA_POLICY_NUMBERS]; /* their least values */
    bool indexed;                      /* needs the indexer of the model */
    bool ranked;                       /* uses clsa_best_scan */
    /*
     * Every token runs the cross-decoder, in its order, for what it leaves
     * here; rows that are given up are gone from the cache.
     */
    bool streams;

    /* Where `rows` is not the first number: sets it, and returns what is wrong
       with the numbers. */
    const char *(*set)(struct clsa_policy *policy,
                       const struct clsa_hparams *hp);

    /* Whether rows are chosen at a cross-decoder layer, 0 the first, or at
       CLSA_ONCE. NULL: at CLSA_ONCE only. */
    bool (*chooses)(const struct clsa_policy *policy, uint32_t layer);

    /* Floats of scratch for a wanted column, clsa_policy_scratch. */
    size_t (*scratch)(const struct clsa_session *session);

    /* What the scan needs; followed by a barrier. */
    void (*begin)(struct clsa_step *step, const struct clsa_worker *w,
                  size_t i);
    /* This worker's share of the search; followed by a barrier. */
    void (*scan)(struct clsa_step *step, const struct clsa_worker *w, size_t i);
    /* One worker of `workers` that have searched: the rows into
       rows[policy->rows], ascending; returns their number. */
    size_t (*rows)(struct clsa_step *step, unsigned workers, size_t i,
                   uint32_t *rows);
    /* After the attention of a layer, whose partial softmaxes are there. */
    void (*seen)(struct clsa_step *step, const struct clsa_worker *w, size_t i,
                 const struct clsa_attention *attention);

    /* Bytes that were read to choose the rows of the last token. */
    uint64_t (*searched)(const struct clsa_session *session);

    /*
     * State of a session, in its policy_state and policy_bytes. Without open
     * there is none. What `copy` and `transfer` leave out is made again from
     * the cache.
     */
    clsa_status (*open)(struct clsa_session *session, clsa_error *error);
    void (*close)(struct clsa_session *session);
    void (*truncate)(struct clsa_session *session, uint64_t length);
    void (*copy)(struct clsa_session *to, const struct clsa_session *from);
    /* Write it to or read it from a session file. */
    clsa_status (*transfer)(struct clsa_session *session,
                            struct clsa_stream *stream);
    /* The cache was filled with random rows. */
    void (*filled)(struct clsa_session *session);
};

extern const struct clsa_policy_type clsa_policy_clsa, clsa_policy_dense,
    clsa_policy_window, clsa_policy_sink, clsa_policy_token, clsa_policy_reuse,
    clsa_policy_longformer, clsa_policy_bigbird, clsa_policy_blocks,
    clsa_policy_h2o;

/* Parses NAME[:NUMBER]... NULL stands for "clsa" where the model has an
   indexer, else for "dense". */
clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_hparams *hp, clsa_error *error);

/* Whether rows are chosen by the queries of layers. */
static inline bool clsa_policy_layered(const struct clsa_policy *policy)
{
    return policy->type->chooses != NULL;
}

static inline bool clsa_policy_chooses(const struct clsa_policy *policy,
                                       uint32_t layer)
{
    if (policy->rows == 0)
        return false;
    if (!policy->type->chooses)
        return layer == CLSA_ONCE;
    return policy->type->chooses(policy, layer);
}

/* `chooses` of policies that do so anew at every layer. */
static inline bool clsa_policy_every_layer(const struct clsa_policy *policy,
                                           uint32_t layer)
{
    (void)policy;
    return layer != CLSA_ONCE;
}

/* rows[0..count) = first, first + 1, ...; returns count. */
static inline size_t clsa_policy_run(uint32_t *rows, uint64_t first,
                                     uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (uint32_t)(first + i);
    return (size_t)count;
}

#endif /* CLSA_ENGINE_POLICY_H */
