/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: which rows of the shared cache a query reads. Everything that a
 * policy is stands here; the rest of the engine only asks for its rows.
 */
#ifndef CLSA_ENGINE_POLICY_H
#define CLSA_ENGINE_POLICY_H

#include <stdbool.h>

#include "src/model/hparams.h"

enum clsa_policy_kind {
    CLSA_POLICY_CLSA,   /* the k best by the shared index */
    CLSA_POLICY_DENSE,  /* every row, read where it lies */
    CLSA_POLICY_WINDOW, /* the last n */
    CLSA_POLICY_SINK,   /* the first 4 and the last n - 4 */
};

#define CLSA_SINK_ROWS 4

struct clsa_policy {
    enum clsa_policy_kind kind;
    uint32_t rows; /* k or n; 0 for dense */
};

/* Parses "clsa", "clsa:K", "dense", "window:N" or "sink:N". NULL stands for
   "clsa" where the model has an indexer, else for "dense". */
clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_hparams *hp, clsa_error *error);

/* True when the policy needs the index to choose among n rows. */
static inline bool clsa_policy_scans(const struct clsa_policy *policy,
                                     uint64_t n)
{
    return policy->kind == CLSA_POLICY_CLSA && n > policy->rows;
}

/*
 * The rows among 0..n-1 that a policy reads without asking the index
 * (!clsa_policy_scans), ascending, into rows[policy->rows]; returns their
 * number. Not for dense.
 */
size_t clsa_policy_rows(const struct clsa_policy *policy, uint64_t n,
                        uint32_t *rows);

#endif /* CLSA_ENGINE_POLICY_H */
