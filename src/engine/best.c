/* SPDX-License-Identifier: Apache-2.0 */
/*
 * best: the k best rows of a wanted column by the score of every row, for
 * policies. All workers scan, one merges what they found.
 */
#include <string.h>

#include "src/engine/step.h"

static bool scans(const struct clsa_column *column)
{
    return column->position + 1 > column->session->policy.rows;
}

static uint64_t *best_of(const struct clsa_scratch *s, size_t i, size_t k)
{
    return s->best + i * s->threads * s->k + k * s->k;
}

void clsa_best_scan(struct clsa_step *step, const struct clsa_worker *w,
                    size_t i, const struct clsa_scan *by)
{
    struct clsa_scratch *s = step->model->scratch;
    const struct clsa_column *column = clsa_wanted(step, i);
    struct clsa_scan scan = *by;
    if (!scans(column))
        return;
    scan.cache = &column->session->cache;
    scan.simd = step->model->simd;
    scan.n = column->position + 1;
    scan.k = column->session->policy.rows;
    s->best_count[i * s->threads + w->id] =
        clsa_index_scan(&scan, &s->candidates[w->id], w, best_of(s, i, w->id));
}

/*
 * The exact k of all workers' best, ascending. The workers' lists are
 * ascending, and follow one another but for several memory nodes.
 */
size_t clsa_best_rows(struct clsa_step *step, unsigned workers, size_t i,
                      uint32_t *rows)
{
    struct clsa_scratch *s = step->model->scratch;
    const struct clsa_column *column = clsa_wanted(step, i);
    uint64_t *all = best_of(s, i, 0);
    size_t n = 0, k = column->session->policy.rows;
    if (!scans(column))
        return clsa_policy_run(rows, 0, column->position + 1);
    for (unsigned t = 0; t < workers; t++) {
        size_t count = s->best_count[i * s->threads + t];
        memmove(all + n, best_of(s, i, t), count * sizeof *all);
        n += count;
    }
    uint64_t *merge = s->merge + i * s->threads * s->k;
    n = step->model->simd->select(all, n, k, merge);
    for (size_t j = 0; j < n; j++)
        rows[j] = clsa_rank_position(all[j]);
    clsa_index_order(rows, n, (uint32_t *)merge);
    return n;
}

/* ----------------------------------------------------- by queries of a layer
 */

size_t clsa_best_mean_size(const struct clsa_session *session)
{
    const struct clsa_heads *hd = &session->model->hp.cross;
    return (size_t)hd->g * hd->e;
}

void clsa_best_mean(struct clsa_step *step, const struct clsa_worker *w,
                    size_t i)
{
    const struct clsa_heads *hd = &step->model->hp.cross;
    struct clsa_scratch *s = step->model->scratch;
    const float *q = s->q + i * hd->h * hd->e;
    float *mean = clsa_policy_scratch(s, i);
    if (i % w->count != w->id)
        return;
    for (uint32_t head = 0; head < hd->g; head++, mean += hd->e)
        for (uint32_t v = 0; v < hd->e; v++) {
            float sum = 0;
            for (uint32_t j = 0; j < hd->r; j++)
                sum += q[(head * hd->r + j) * hd->e + v];
            mean[v] = sum / (float)hd->h;
        }
}

void clsa_best_by_mean(struct clsa_step *step, const struct clsa_worker *w,
                       size_t i)
{
    const struct clsa_scan by_keys = {
        .mean = clsa_policy_scratch(step->model->scratch, i)};
    clsa_best_scan(step, w, i, &by_keys);
}

/* The K of all rows, in each layer that chooses. */
uint64_t clsa_best_searched(const struct clsa_session *session)
{
    const struct clsa_hparams *hp = &session->model->hp;
    uint64_t layers = 0;
    for (uint32_t i = 0; i < hp->layers - hp->self_layers; i++)
        layers += clsa_policy_chooses(&session->policy, i);
    return session->length > session->policy.rows
               ? layers * session->length * session->cache.layout.row_bytes / 2
               : 0;
}
