/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index: the k best cache rows for a query, once per token for all
 * layers that read under one selection: "scan all index keys -> top-k".
 *
 * A thread scans ranges of the keys in runs of CLSA_SCAN_RUN, keeps those that
 * may still be among its k best (a threshold rises as better ones come), and at
 * the end of a range its exact k best so far. The first CLSA_SCAN_FIRST keys
 * are scored before any is kept, so that a sample of them gives a threshold to
 * begin with. The exact k of all threads together are then selected from these.
 * Ranks (clsa_rank) are all different and carry the tie rule, so the outcome
 * does not depend on who scans what.
 *
 * Candidates of a range stay in ascending order of position all the way, so no
 * sort is ever needed: the lists of ranges are merged.
 */
#ifndef CLSA_ENGINE_INDEX_H
#define CLSA_ENGINE_INDEX_H

#include "src/base/loop.h"
#include "src/base/mem.h"
#include "src/engine/cache.h"

#define CLSA_SCAN_RUN   1024  /* divides CLSA_PAGE_ROWS */
#define CLSA_SCAN_FIRST 16384 /* runs whose scores stay in the L2 cache */

/* Scratch of one thread for queries with up to k rows. */
struct clsa_candidates {
    size_t k, capacity; /* capacity: 2 k + CLSA_SCAN_FIRST */
    uint64_t *ranks;    /* [capacity] kept, ascending positions */
    uint64_t *copy;     /* [capacity] for the selection */
    float *scores;      /* [CLSA_SCAN_FIRST] */
    size_t bytes;
};

/* Bytes that they take for k rows. */
size_t clsa_candidates_bytes(size_t k);

clsa_status clsa_candidates_open(struct clsa_candidates *candidates, size_t k,
                                 clsa_error *error);
void clsa_candidates_close(struct clsa_candidates *candidates);

/*
 * Turn the query x[len] into what the scans read; q[len] is the caller's and
 * receives its integers. Those of i8 are exact 16-bit roundings, at most
 * (2^31 - 1) / (127 len).
 */
void clsa_index_query_set(struct clsa_index_query *query, const float *x,
                          int16_t *q, size_t len);

/* Bytes of a query of one of several heads. */
static inline size_t clsa_index_bytes(size_t len)
{
    return clsa_round_up(len, CLSA_HEADS_UNIT);
}

/*
 * The same with q of clsa_index_bytes(len), for keys of i8: the bytes and their
 * sum. *weight, of the head, becomes that of the bytes.
 */
void clsa_index_bytes_set(const struct clsa_simd *simd, const float *x,
                          size_t len, int8_t *q, int32_t *sum, float *weight);

/* A search for the k best of rows 0..n-1 of a cache. One of query, mean and
   given says by what. */
struct clsa_scan {
    const struct clsa_cache *cache;
    const struct clsa_simd *simd;
    uint64_t n;
    size_t k;
    const struct clsa_index_query *query; /* [heads] score index keys, */
    size_t heads;                         /* several with a weight each */
    const float *weights;                 /* [heads] */
    const struct clsa_index_heads *many;  /* the same for keys of i8 */
    const float *mean;                    /* [g e] scores the K rows */
    const float *given;                   /* [n] the scores themselves */
    uint32_t sinks; /* the first rows, which are the best in any case */
};

/* Runs begin..end - 1 of those whose keys lie on a node. */
struct clsa_index_range {
    unsigned node, nodes;
    size_t begin, end;
};

/* How many runs there are on a node. */
size_t clsa_index_runs(const struct clsa_scan *scan, unsigned node,
                       unsigned nodes);

/*
 * topk[k], of which `count` are there, becomes the best min(k, ...) of these
 * and of the range; returns how many. Those of the range come last, ascending
 * by position.
 */
size_t clsa_index_scan(const struct clsa_scan *scan,
                       struct clsa_candidates *candidates,
                       const struct clsa_index_range *range, uint64_t *topk,
                       size_t count);

/*
 * Put n rows that are a few ascending lists one after the other into one
 * ascending list, with copy[n] as scratch. One pass over a list in order.
 */
void clsa_index_order(uint32_t *rows, size_t n, uint32_t *copy);

#endif /* CLSA_ENGINE_INDEX_H */
