/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy anchors[:K[:LAYERS]]: some layers attend to all rows, and each of them
 * chooses for the layers up to the next: sinks, the last K / 4 rows, and the
 * rows that have the largest sum over heads of its softmax weights. Layers
 * before the first one attend to all rows; to try how the model would do with
 * windows there, calibration can have them read sinks and a window.
 *
 * Scores are kept while an anchor attends, when the keys are in the caches of
 * the CPU. Of an output, in the scratch of policies, n being the context:
 *
 *   scores [h][n], sums [n], maximum and 1 / sum of the softmax [h][2]
 */
#include <math.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/engine/select.h"

enum { SINKS = 4, RECENT = 4 /* a part of K */, LEAST = 6, ROWS = 1024 };

/* Rows whose weights are summed at a time. */
#define CHUNK ((size_t)512)

static const char *derive(struct clsa_policy *policy,
                          const struct clsa_network *net)
{
    const struct clsa_indexes *x = &net->indexes;
    policy->rows = policy->number[0] ? policy->number[0]
                   : x->anchor_rows  ? x->anchor_rows
                   : net->top_k      ? net->top_k
                                     : ROWS;
    policy->least = LEAST;
    policy->sinks = SINKS;
    policy->recent = policy->rows / RECENT;
    if (policy->layer_count == 0) {
        policy->layer_count = x->anchor_count;
        for (uint32_t i = 0; i < x->anchor_count; i++)
            policy->layers[i] = x->anchors[i];
    }
    for (uint32_t i = 0; i < policy->layer_count; i++)
        if (policy->layers[i] >= net->layer_count ||
            !clsa_layer_reads_cache(net, &net->layers[policy->layers[i]]))
            return "a layer of it has no cache to select from";
    return policy->layer_count ? NULL
                               : "the model names no anchor layers: give them "
                                 "as anchors:K:LAYERS, or make a list with "
                                 "clsa calibrate";
}

static bool is_anchor(const struct clsa_policy *policy, uint32_t layer)
{
    uint32_t i = 0;
    while (i < policy->layer_count && policy->layers[i] != layer)
        i++;
    return i < policy->layer_count;
}

static bool set_window(struct clsa_policy *policy,
                       const struct clsa_network *net, uint32_t window)
{
    policy->first_layers = policy->layers[0];
    policy->first_rows = policy->sinks + window;
    return net->first_reader < policy->layers[0];
}

static bool reads_all(const struct clsa_policy *policy,
                      const struct clsa_network *net,
                      const struct clsa_layer *layer, uint64_t position)
{
    const uint32_t i = (uint32_t)(layer - net->layers);
    if (i < policy->layers[0])
        return policy->first_rows == 0 || position < policy->first_rows;
    return position < policy->rows || is_anchor(policy, i);
}

/* Before they attend only layers with windows choose, the first for all. */
static bool chooses(const struct clsa_policy *policy,
                    const struct clsa_layer *layer)
{
    return layer->reader == 0 && policy->first_rows > 0;
}

static size_t choose_rows(const struct clsa_pass *p, size_t i, uint32_t *rows)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_policy *policy = &token->session->policy;
    if (p->layer < p->net->layers + policy->layers[0])
        return clsa_policy_both_ends(policy, token->position, rows);
    return clsa_topk_rows(p, i, rows);
}

static bool chooses_after(const struct clsa_policy *policy,
                          const struct clsa_network *net,
                          const struct clsa_layer *layer, uint64_t position)
{
    return position >= policy->rows &&
           is_anchor(policy, (uint32_t)(layer - net->layers));
}

static size_t stride_of(const struct clsa_session *session)
{
    return clsa_round_up((size_t)session->context, 16);
}

static size_t scratch_size(const struct clsa_session *session)
{
    const size_t heads = session->model->net.largest.heads;
    return (heads + 1) * stride_of(session) + 2 * heads;
}

/* Parts of the scratch of output i. */
struct parts {
    size_t stride;
    float *scores, *sums, *softmax;
};

static struct parts parts_of(const struct clsa_pass *p, size_t i)
{
    const struct clsa_session *s = clsa_pass_token(p, i)->session;
    struct parts parts = {.stride = stride_of(s)};
    parts.scores = clsa_policy_scratch(p->model->scratch, i);
    parts.sums = parts.scores + p->layer->heads.heads * parts.stride;
    parts.softmax = parts.sums + parts.stride;
    return parts;
}

static void keep_scores(const struct clsa_pass *p, size_t i,
                        const struct clsa_attended *a)
{
    const size_t e = p->layer->heads.head_dim;
    const struct parts parts = parts_of(p, i);
    for (size_t j = 0; j < a->heads; j++) {
        float *score = parts.scores + (a->head + j) * parts.stride + a->first;
        p->simd->score[a->format](score, a->q + j * e, e, a->rows);
        if (p->layer->softcap > 0)
            p->simd->softcap(score, a->rows->n, p->layer->softcap);
    }
}

/* ------------------------------------------------------------ after attention
 */

static bool is_after(const struct clsa_pass *p, size_t i)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    return chooses_after(&token->session->policy, p->net, p->layer,
                         token->position);
}

static size_t head_items(const struct clsa_pass *p, size_t i, unsigned node,
                         unsigned nodes)
{
    return is_after(p, i)
               ? clsa_pages_on_node(p->layer->heads.heads, 1, node, nodes)
               : 0;
}

/* Maximum and sum of the softmax of a head, from its partial ones. */
static void learn_head(const struct clsa_pass *p,
                       const struct clsa_attention *a, size_t i, size_t head)
{
    const size_t e = p->layer->heads.head_dim, ld = e + 2;
    const size_t parts =
        clsa_parts((size_t)clsa_pass_token(p, i)->position + 1);
    const float *part = clsa_partial(p, a, i - a->first, head) + e;
    float *softmax = parts_of(p, i).softmax + 2 * head;
    float max = -INFINITY, sum = 0;
    for (size_t j = 0; j < parts; j++)
        max = fmaxf(max, part[j * ld]);
    for (size_t j = 0; j < parts; j++)
        sum += expf(part[j * ld] - max) * part[j * ld + 1];
    softmax[0] = max;
    softmax[1] = 1 / sum;
}

static void learn(const struct clsa_pass *p, size_t i,
                  const struct clsa_policy_items *items)
{
    for (size_t j = items->begin; j < items->end; j++)
        learn_head(p, items->attention, i,
                   clsa_pages_item(j, 1, items->node, items->nodes));
}

static size_t chunk_items(const struct clsa_pass *p, size_t i, unsigned node,
                          unsigned nodes)
{
    const size_t n = (size_t)clsa_pass_token(p, i)->position + 1;
    return is_after(p, i)
               ? clsa_pages_on_node((n + CHUNK - 1) / CHUNK, 1, node, nodes)
               : 0;
}

/* The sums of n rows from `first` on: heads in their order. */
static void sum_rows(const struct clsa_pass *p, const struct parts *parts,
                     size_t first, size_t n)
{
    float w[CHUNK];
    float *sums = parts->sums + first;
    for (size_t j = 0; j < n; j++)
        sums[j] = 0;
    for (size_t head = 0; head < p->layer->heads.heads; head++) {
        const float *score = parts->scores + head * parts->stride + first;
        const float *softmax = parts->softmax + 2 * head;
        float top = -INFINITY;
        for (size_t j = 0; j < n; j++)
            top = fmaxf(top, score[j]);
        p->simd->softmax(w, score, n, 1);
        const float scale = expf(top - softmax[0]) * softmax[1];
        for (size_t j = 0; j < n; j++)
            sums[j] += scale * w[j];
    }
}

static void weigh(const struct clsa_pass *p, size_t i,
                  const struct clsa_policy_items *items)
{
    const size_t n = (size_t)clsa_pass_token(p, i)->position + 1;
    const struct parts parts = parts_of(p, i);
    for (size_t j = items->begin; j < items->end; j++) {
        const size_t first =
            CHUNK * clsa_pages_item(j, 1, items->node, items->nodes);
        sum_rows(p, &parts, first, clsa_min(n - first, CHUNK));
    }
}

static size_t rank_items(const struct clsa_pass *p, size_t i, unsigned node,
                         unsigned nodes)
{
    return is_after(p, i) ? clsa_topk_items(p, i, node, nodes) : 0;
}

static void rank(const struct clsa_pass *p, size_t i,
                 const struct clsa_policy_items *items)
{
    const struct clsa_scan by_sums = {.given = parts_of(p, i).sums};
    clsa_topk_scan(p, i, items, &by_sums);
}

/* Anchors read their rows anyway. */
static uint64_t bytes_searched(const struct clsa_session *session)
{
    (void)session;
    return 0;
}

const struct clsa_policy_type clsa_policy_anchors = {
    .name = "anchors",
    .usages = {"anchors", "anchors:K", "anchors:K:LAYERS"},
    .most = 1,
    .low = {1},
    .listed = true,
    .ranked = true,
    .derive = derive,
    .set_window = set_window,
    .reads_all = reads_all,
    .chooses = chooses,
    .chooses_after = chooses_after,
    .scratch = scratch_size,
    .attended = keep_scores,
    .work = {[CLSA_POLICY_LEARN] = {head_items, learn},
             [CLSA_POLICY_WEIGH] = {chunk_items, weigh},
             [CLSA_POLICY_RANK] = {rank_items, rank}},
    .rows = choose_rows,
    .bytes_searched = bytes_searched,
};
