/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: which rows of a cache an output reads. A policy is a struct
 * clsa_policy_type in a file of its own in this folder; the engine knows this
 * interface only. Its functions use src/engine/select.h.
 *
 * Rows are chosen once per token at the sites of the network, or anew before
 * the attention of some layers, then by their queries. Either way it goes in
 * the same four phases for all outputs of a step (select.c): begin, scan, rows,
 * and the copy of the rows that are new to the working set.
 */
#ifndef CLSA_POLICY_POLICY_H
#define CLSA_POLICY_POLICY_H

#include <stdbool.h>

#include "src/model/network.h"

#define CLSA_POLICY_NUMBERS 3
#define CLSA_POLICY_USAGES  3
#define CLSA_POLICY_TEXT    96 /* bytes of the longest policy, NUL included */
#define CLSA_POLICY_MOST    (UINT32_C(1) << 31) /* of a number, and of rows */

struct clsa_attention;
struct clsa_pass;
struct clsa_session;
struct clsa_stream;

struct clsa_policy {
    const struct clsa_policy_type *type;
    uint32_t number[CLSA_POLICY_NUMBERS]; /* after the colons */
    uint32_t rows;  /* that a selection has at most; 0: all, where they lie */
    uint32_t least; /* rows below which nothing is left to choose; 0: none */
    uint32_t sinks, recent; /* of a ranking: the first and the last rows that
                               are always chosen */
    uint32_t first_rows;    /* rows before the first site; 0: all */
    uint32_t first_layers;  /* layers before it, if first_rows is not 0 */
    uint32_t layers[CLSA_ANCHORS_MOST], layer_count; /* anchors, ascending */
};

/* What policies do in loops of their own. */
enum clsa_policy_stage {
    CLSA_POLICY_BEGIN, /* what the scan needs */
    CLSA_POLICY_SCAN,  /* the search for rows */
    CLSA_POLICY_LEARN, /* after the attention of a layer, whose partial
                          softmaxes are there */
    CLSA_POLICY_WEIGH, /* after that: scores of the rows from what was kept */
    CLSA_POLICY_RANK,  /* the search among these */
    CLSA_POLICY_STAGES
};

/* Work items begin..end - 1 of those that lie on a memory node. */
struct clsa_policy_items {
    unsigned node, nodes;
    size_t begin, end;
    const struct clsa_attention *attention; /* of CLSA_POLICY_LEARN */
};

/* Rows of a cache that some heads of a layer have attended to. */
struct clsa_attended {
    size_t head, heads; /* the first query head, how many */
    const float *q;     /* [heads][e], scaled */
    enum clsa_format format;
    const struct clsa_rows *rows;
    size_t first; /* position of the first row; they are neighbors */
};

/* Work for output i of the step. */
struct clsa_policy_work {
    /* Its items on a node; not more or fewer by what a step does. */
    size_t (*items)(const struct clsa_pass *p, size_t i, unsigned node,
                    unsigned nodes);
    void (*run)(const struct clsa_pass *p, size_t i,
                const struct clsa_policy_items *items);
};

/*
 * All functions are optional, except that a policy with rows > 0 must set
 * `rows`. `i` is an output of the step.
 */
struct clsa_policy_type {
    const char *name;
    const char *usages[CLSA_POLICY_USAGES]; /* what a user may write */
    unsigned least, most;                   /* numbers after the name */
    uint32_t low[CLSA_POLICY_NUMBERS];      /* their least values */
    bool listed;                            /* layers may follow the numbers */
    bool indexed;                           /* needs the index of the model */
    bool ranked;                            /* uses clsa_topk_scan */
    /*
     * Every token runs all layers, in its order, for what it leaves here; rows
     * that are given up are gone from the cache.
     */
    bool evicts;

    /* If `rows` is not the first number: sets it, and returns what is wrong
       with the numbers. */
    const char *(*derive)(struct clsa_policy *policy,
                          const struct clsa_network *net);

    /* Lets the layers before the first one that chooses read only the first
       rows and the last `window` ones; false: there are none. NULL: it cannot.
       Sets first_rows and first_layers. */
    bool (*set_window)(struct clsa_policy *policy,
                       const struct clsa_network *net, uint32_t window);

    /* Whether rows are chosen anew by the queries of a layer, 0 the first that
       reads a cache. NULL: once per token, at the sites. */
    bool (*selects_at)(const struct clsa_policy *policy, uint32_t reader);

    /* Whether a layer reads all rows where they lie for a token at a position;
       NULL: never. The same from the first loop of a step to its last. */
    bool (*reads_all)(const struct clsa_policy *policy,
                      const struct clsa_network *net,
                      const struct clsa_layer *layer, uint64_t position);

    /* In place of selects_at: whether rows are chosen before a layer reads by
       rows, NULL: at sites; and after one has read all of them, for the layers
       that follow. */
    bool (*chooses)(const struct clsa_policy *policy,
                    const struct clsa_layer *layer);
    bool (*chooses_after)(const struct clsa_policy *policy,
                          const struct clsa_network *net,
                          const struct clsa_layer *layer, uint64_t position);

    /* Called for rows that a layer attends to which chooses after it. */
    void (*attended)(const struct clsa_pass *p, size_t i,
                     const struct clsa_attended *attended);

    /* Floats of scratch for an output, clsa_policy_scratch. */
    size_t (*scratch)(const struct clsa_session *session);

    struct clsa_policy_work work[CLSA_POLICY_STAGES];
    /* The rows into rows[policy->rows], ascending; returns their number. */
    size_t (*rows)(const struct clsa_pass *p, size_t i, uint32_t *rows);

    /* After a step, whose last token of the session is at `position`. */
    void (*after_step)(struct clsa_session *session, uint64_t position);

    /* Bytes that were read to choose the rows of the last token. */
    uint64_t (*bytes_searched)(const struct clsa_session *session);

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

extern const struct clsa_policy_type clsa_policy_clsa, clsa_policy_anchors,
    clsa_policy_dense, clsa_policy_window, clsa_policy_sink, clsa_policy_token,
    clsa_policy_reuse, clsa_policy_longformer, clsa_policy_bigbird,
    clsa_policy_blocks, clsa_policy_h2o;

/* "clsa" if the model has an index, else "dense". */
const char *clsa_policy_default(const struct clsa_network *net);

/* Parses NAME[:NUMBER]... */
clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_network *net,
                              clsa_error *error);

/* Every row, where it lies in the cache. */
static inline bool clsa_policy_is_dense(const struct clsa_policy *policy)
{
    return policy->rows == 0;
}

/* Whether the policy needs queries before they are scaled. */
static inline bool
clsa_policy_looks_at_queries(const struct clsa_policy *policy)
{
    return policy->type->selects_at ||
           policy->type->work[CLSA_POLICY_LEARN].run;
}

/* Whether a layer reads all rows for a token at a position. */
static inline bool clsa_policy_reads_all(const struct clsa_policy *policy,
                                         const struct clsa_network *net,
                                         const struct clsa_layer *layer,
                                         uint64_t position)
{
    return clsa_policy_is_dense(policy) ||
           (policy->type->reads_all &&
            policy->type->reads_all(policy, net, layer, position));
}

/* Whether some layers may read all rows and others not. */
static inline bool clsa_policy_mixes(const struct clsa_policy *policy,
                                     const struct clsa_network *net)
{
    return policy->type->reads_all &&
           (policy->type->chooses_after || net->cache_count > 1);
}

/* Whether rows are chosen after a layer has read all of them. */
static inline bool clsa_policy_chooses_after(const struct clsa_policy *policy,
                                             const struct clsa_network *net,
                                             const struct clsa_layer *layer,
                                             uint64_t position)
{
    return policy->type->chooses_after &&
           policy->type->chooses_after(policy, net, layer, position);
}

/* Whether rows are chosen anew at the n-th layer that reads a cache. */
static inline bool clsa_policy_selects_at(const struct clsa_policy *policy,
                                          uint32_t reader)
{
    return policy->type->selects_at && policy->type->selects_at(policy, reader);
}

/* `selects_at` of policies that do so at every layer. */
static inline bool clsa_policy_every_layer(const struct clsa_policy *policy,
                                           uint32_t reader)
{
    (void)policy, (void)reader;
    return true;
}

/* The rows of a layer with a window: the first ones and the last ones. */
static inline size_t clsa_policy_both_ends(const struct clsa_policy *policy,
                                           uint64_t position, uint32_t *rows)
{
    const uint32_t window = policy->first_rows - policy->sinks;
    for (uint32_t i = 0; i < policy->sinks; i++)
        rows[i] = i;
    for (uint32_t i = 0; i < window; i++)
        rows[policy->sinks + i] = (uint32_t)(position + 1 - window) + i;
    return policy->first_rows;
}

/* rows[0..count) = first, first + 1, ...; returns count. */
static inline size_t clsa_policy_run(uint32_t *rows, uint64_t first,
                                     uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (uint32_t)(first + i);
    return (size_t)count;
}

#endif /* CLSA_POLICY_POLICY_H */
