/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpe: the merging of byte-pair encoding. The rules are a hash table from a
 * pair of token ids to its rank and to the id that the two become. Built once
 * by the vocabulary, read-only afterward; what changes while merging is in
 * the caller's scratch.
 *
 * Of all neighbors that have a rule those with the lowest rank merge first,
 * the leftmost of equals first, and what they become competes at once.
 */
#ifndef CLSA_MODEL_BPE_H
#define CLSA_MODEL_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct clsa_bpe_rule {
    uint32_t left, right; /* ids */
    uint32_t rank;        /* CLSA_BPE_NONE: the slot is free */
    uint32_t merged;      /* id */
};

#define CLSA_BPE_NONE UINT32_MAX

struct clsa_bpe {
    struct clsa_bpe_rule *slots; /* [mask + 1], open addressing */
    size_t mask;                 /* a power of two less one */
};

/* Memory of one caller, {0} at first, for merges of any number of pieces. */
struct clsa_bpe_scratch {
    struct clsa_bpe_node *nodes; /* [capacity] */
    uint64_t *heap;              /* [2 * capacity] */
    size_t capacity;
    uint64_t steps; /* table probes and heap moves so far */
};

/* An empty table with room for `rules` rules. */
clsa_status clsa_bpe_open(struct clsa_bpe *bpe, size_t rules,
                          clsa_error *error);
void clsa_bpe_close(struct clsa_bpe *bpe);

/* Adds a rule, `rank` < CLSA_BPE_NONE; false if the pair has one already. */
bool clsa_bpe_add(struct clsa_bpe *bpe, uint32_t left, uint32_t right,
                  uint32_t rank, uint32_t merged);

/*
 * Merge ids[0..*count) in place, *count < 2^31. Takes O(n log n) time, and no
 * memory for pieces of up to 32 ids.
 */
clsa_status clsa_bpe_merge(const struct clsa_bpe *bpe,
                           struct clsa_bpe_scratch *scratch, int32_t *ids,
                           size_t *count, clsa_error *error);
void clsa_bpe_scratch_free(struct clsa_bpe_scratch *scratch);

#endif /* CLSA_MODEL_BPE_H */
