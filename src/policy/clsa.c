/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy clsa[:K]: the K best rows by the index, once per token at each site.
 * In models with a cache per layer, the layers before the first site read all
 * rows, or sinks and a window if the index says so.
 */
#include "src/engine/select.h"

/* The least K that leaves a row to choose: K - recent(K) does not fall. */
static uint32_t least_rows(const struct clsa_network *net)
{
    const struct clsa_indexes *x = &net->indexes;
    uint64_t k = x->sinks + (uint64_t)1;
    while (k - k * x->recent / net->top_k < x->sinks + (uint64_t)1)
        k++;
    return (uint32_t)k;
}

static const char *derive(struct clsa_policy *policy,
                          const struct clsa_network *net)
{
    const struct clsa_indexes *x = &net->indexes;
    policy->rows = policy->number[0] ? policy->number[0] : net->top_k;
    policy->least = least_rows(net);
    policy->sinks = x->sinks;
    policy->recent =
        (uint32_t)((uint64_t)policy->rows * x->recent / net->top_k);
    policy->first_layers = net->first_site;
    if (x->first_window && net->cache_count > 1 && net->first_site > 0)
        policy->first_rows = x->sinks + x->first_window;
    return NULL;
}

/* The cache of a model that has just one is read by rows in any case. */
static bool reads_all(const struct clsa_policy *policy,
                      const struct clsa_network *net,
                      const struct clsa_layer *layer, uint64_t position)
{
    if (net->cache_count == 1)
        return false;
    if (layer >= net->layers + net->first_site)
        return position < policy->rows;
    return policy->first_rows == 0 || position < policy->first_rows;
}

static bool chooses(const struct clsa_policy *policy,
                    const struct clsa_layer *layer)
{
    return layer->indexed || (layer->reader == 0 && policy->first_rows > 0);
}

static size_t items(const struct clsa_pass *p, size_t i, unsigned node,
                    unsigned nodes)
{
    return p->layer->indexed ? clsa_topk_items(p, i, node, nodes) : 0;
}

static void scan(const struct clsa_pass *p, size_t i,
                 const struct clsa_policy_items *items)
{
    const struct clsa_scratch *s = p->model->scratch;
    const size_t heads = p->net->indexes.heads;
    const size_t bytes = clsa_index_bytes(p->net->indexes.dim);
    const struct clsa_index_heads many = {
        .heads = heads,
        .q = s->index_bytes + i * heads * bytes,
        .ldq = bytes,
        .sum = s->index_sums + i * heads,
        .weight = s->index_weights + i * heads};
    const struct clsa_scan by_index = {.query = &s->query[i * heads],
                                       .heads = heads,
                                       .weights = many.weight,
                                       .many = &many};
    clsa_topk_scan(p, i, items, &by_index);
}

/* At a site the best; before the first one sinks and a window. */
static size_t choose_rows(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    if (p->layer->indexed)
        return clsa_topk_rows(p, i, rows);
    return clsa_policy_both_ends(policy, token->position, rows);
}

/* Index keys, with their scales if they have some. */
static uint64_t bytes_searched(const struct clsa_session *session)
{
    return session->length > session->policy.rows
               ? session->length * clsa_stores_key_bytes(&session->stores)
               : 0;
}

const struct clsa_policy_type clsa_policy_clsa = {
    .name = "clsa",
    .usages = {"clsa", "clsa:K"},
    .most = 1,
    .low = {1},
    .indexed = true,
    .ranked = true,
    .derive = derive,
    .reads_all = reads_all,
    .chooses = chooses,
    .work[CLSA_POLICY_SCAN] = {items, scan},
    .rows = choose_rows,
    .bytes_searched = bytes_searched,
};
