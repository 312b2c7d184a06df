/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select: which cache rows the outputs read. At a site, and at layers where a
 * policy chooses anew, the policy of each output makes a list of rows, and the
 * rows that are new in it are gathered into the output's working set:
 *
 *   index queries -> begin | scan | rows -> slots -> gather
 *
 * The second part is what policies are made of: the search for the k best rows.
 */
#ifndef CLSA_ENGINE_SELECT_H
#define CLSA_ENGINE_SELECT_H

#include "src/engine/attention.h"

/* Working sets for the layer that runs, if some policy chooses at it. */
void clsa_select(const struct clsa_pass *p);

/* Lists of rows for the layers that follow, of the policies that choose after
   the layer that runs has attended. */
void clsa_select_after(const struct clsa_pass *p);

/* A loop over work of policies; `attention` of CLSA_POLICY_LEARN. */
void clsa_policies_work(const struct clsa_pass *p, enum clsa_policy_stage stage,
                        const struct clsa_attention *attention);

/* The floats of a policy for output i. */
static inline float *clsa_policy_scratch(const struct clsa_scratch *s, size_t i)
{
    return s->policy + i * s->policy_floats;
}

/* For policies: the search for the best rows of output i, by what `by` says, as
   work items, then its outcome as clsa_policy_type's `rows`. */
size_t clsa_topk_items(const struct clsa_pass *p, size_t i, unsigned node,
                       unsigned nodes);
void clsa_topk_scan(const struct clsa_pass *p, size_t i,
                    const struct clsa_policy_items *items,
                    const struct clsa_scan *by);
size_t clsa_topk_rows(const struct clsa_pass *p, size_t i, uint32_t *rows);

/*
 * The same by the queries of a layer, the score of a row being the mean over
 * query heads of q . k: `scratch`, the work to begin and to scan, and
 * `bytes_searched` of a policy. Heads are taken together before the scan: for
 * the query heads of one KV head the sum of q . k is (sum of q) . k, so a row
 * costs one product with the K of all its heads, which lie side by side.
 */
size_t clsa_topk_mean_size(const struct clsa_session *session);
size_t clsa_topk_mean_items(const struct clsa_pass *p, size_t i, unsigned node,
                            unsigned nodes);
void clsa_topk_mean(const struct clsa_pass *p, size_t i,
                    const struct clsa_policy_items *items);
void clsa_topk_by_mean(const struct clsa_pass *p, size_t i,
                       const struct clsa_policy_items *items);
uint64_t clsa_topk_bytes(const struct clsa_session *session);

#endif /* CLSA_ENGINE_SELECT_H */
