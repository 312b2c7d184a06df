/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From H to the rows that the cross-decoder reads: one row per token into the
 * shared cache, and for the wanted columns, once for all layers and heads, the
 * selection and the packed working set.
 */
#include <string.h>

#include "src/engine/linear.h"
#include "src/engine/step.h"

/* One column's K (normed, rotated), V and index key go to its cache row. */
static void write_row(struct clsa_step *step, size_t c)
{
    const struct clsa_model *model = step->model;
    const struct clsa_heads *hd = &model->hp.cross;
    struct clsa_scratch *s = model->scratch;
    struct clsa_column *column = &step->column[c];
    const size_t ge = (size_t)hd->g * hd->e, half = hd->e / 2;
    float *k = s->k_rows + c * ge;
    if (model->rope_cross)
        clsa_rope_angles(s, c, column->position, model->rope_cross, hd->e / 2);
    for (uint32_t j = 0; j < hd->g; j++) {
        float *head = k + (size_t)j * hd->e;
        if (model->weights.k_norm)
            model->simd->rms_norm(head, head, model->weights.k_norm, hd->e,
                                  model->hp.eps);
        if (model->rope_cross)
            model->simd->rope(head, s->cos + c * half, s->sin + c * half, half);
    }
    const float *key =
        model->hp.index_size ? s->index_k + c * model->hp.index_size : NULL;
    clsa_cache_write(&column->session->cache, model->simd, column->position, k,
                     s->v_rows + c * ge, key);
}

void clsa_shared_rows(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    const struct clsa_weights *weights = &model->weights;
    const struct clsa_hparams *hp = &model->hp;
    struct clsa_scratch *s = model->scratch;
    struct clsa_act input = s->norm;
    size_t ge = (size_t)hp->cross.g * hp->cross.e, begin, end;

    input.n = step->n;
    clsa_norm_columns(w, model->simd, &input, step->n, s->x, hp->d,
                      weights->kv_norm, hp->eps,
                      clsa_linear_quantised(&weights->k) ||
                          clsa_linear_quantised(&weights->v) ||
                          clsa_linear_quantised(&weights->index_k));
    clsa_linear(w, model->simd, &weights->k, &input, s->k_rows, ge);
    clsa_linear(w, model->simd, &weights->v, &input, s->v_rows, ge);
    if (hp->index_size)
        clsa_linear(w, model->simd, &weights->index_k, &input, s->index_k,
                    hp->index_size);
    clsa_barrier(w);
    clsa_share(w, step->n, &begin, &end);
    for (size_t c = begin; c < end; c++)
        write_row(step, c);
    clsa_barrier(w);
    for (size_t c = 0; w->id == 0 && c < step->n; c++)
        step->column[c].session->cache.length++;
    clsa_barrier(w);
}

/* H of the wanted columns to the front of xw; their index queries. */
static void make_queries(struct clsa_step *step, const struct clsa_worker *w)
{
    const struct clsa_model *model = step->model;
    const struct clsa_matrix *m = &model->weights.index_q;
    const size_t d = model->hp.d, len = model->hp.index_size;
    struct clsa_scratch *s = model->scratch;
    struct clsa_act input = s->norm;
    size_t begin, end;

    clsa_share(w, step->m, &begin, &end);
    for (size_t i = begin; i < end; i++)
        memcpy(s->xw + i * d, s->x + step->wanted[i] * d, d * sizeof(float));
    clsa_barrier(w);
    if (!len)
        return;
    input.n = step->m;
    clsa_norm_columns(w, model->simd, &input, step->m, s->xw, d,
                      model->weights.kv_norm, model->hp.eps,
                      clsa_linear_quantised(m));
    clsa_linear(w, model->simd, m, &input, s->index_x, len);
    clsa_barrier(w);
    for (size_t i = begin; i < end; i++)
        clsa_index_query_set(&s->query[i], s->index_x + i * len,
                             s->index_q + i * len, len);
    clsa_barrier(w);
}

static const struct clsa_column *wanted(const struct clsa_step *step, size_t i)
{
    return &step->column[step->wanted[i]];
}

static bool scans(const struct clsa_column *column)
{
    return clsa_policy_scans(&column->session->policy, column->position + 1);
}

static uint64_t *best_of(const struct clsa_scratch *s, size_t i, size_t k)
{
    return s->best + i * s->threads * s->k + k * s->k;
}

/* Every worker's best rows of its share of the keys, for all columns. */
static void scan(struct clsa_step *step, const struct clsa_worker *w)
{
    struct clsa_scratch *s = step->model->scratch;
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_column *column = wanted(step, i);
        if (scans(column))
            s->best_count[i * s->threads + w->id] = clsa_index_scan(
                &column->session->cache, step->model->simd,
                column->position + 1, column->session->policy.rows,
                &s->query[i], &s->candidates[w->id], w, best_of(s, i, w->id));
    }
    clsa_barrier(w);
}

/*
 * The exact k of all workers' best, ascending, into rows. The workers' lists
 * are ascending, and follow one another but for several memory nodes.
 */
static size_t merge_best(struct clsa_step *step, size_t i, unsigned workers,
                         uint32_t *rows)
{
    struct clsa_scratch *s = step->model->scratch;
    uint64_t *all = best_of(s, i, 0);
    size_t n = 0, k = wanted(step, i)->session->policy.rows;
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

/* Each worker makes the lists and the slots of its share of columns. */
static void select_rows(struct clsa_step *step, const struct clsa_worker *w)
{
    size_t begin, end;
    clsa_share(w, step->m, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const struct clsa_column *column = wanted(step, i);
        const struct clsa_policy *policy = &column->session->policy;
        if (policy->kind == CLSA_POLICY_DENSE)
            continue;
        size_t n = scans(column)
                       ? merge_best(step, i, w->count, column->set->next)
                       : clsa_policy_rows(policy, column->position + 1,
                                          column->set->next);
        clsa_working_set_select(column->set, n);
    }
    clsa_barrier(w);
}

void clsa_route(struct clsa_step *step, const struct clsa_worker *w)
{
    make_queries(step, w);
    scan(step, w);
    clsa_step_clock(step, w, CLSA_PHASE_INDEX);
    select_rows(step, w);
    clsa_step_clock(step, w, CLSA_PHASE_SELECT);
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_column *column = wanted(step, i);
        if (column->set)
            clsa_working_set_gather(column->set, &column->session->cache,
                                    step->model->simd, w);
    }
    clsa_barrier(w);
    clsa_step_clock(step, w, CLSA_PHASE_GATHER);
}
