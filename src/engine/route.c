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

/* Scans of all columns that choose now; true when there are any. */
static bool search(struct clsa_step *step, const struct clsa_worker *w,
                   uint32_t layer)
{
    bool any = false, begins = false;
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_policy *p = &clsa_wanted(step, i)->session->policy;
        if (!clsa_policy_chooses(p, layer))
            continue;
        any = true;
        if (p->type->begin) {
            begins = true;
            p->type->begin(step, w, i);
        }
    }
    if (begins)
        clsa_barrier(w);
    for (size_t i = 0; any && i < step->m; i++) {
        const struct clsa_policy *p = &clsa_wanted(step, i)->session->policy;
        if (clsa_policy_chooses(p, layer) && p->type->scan)
            p->type->scan(step, w, i);
    }
    if (any)
        clsa_barrier(w);
    return any;
}

/* Keeps the rows of a layer for the session, from its last wanted column. */
static void log_rows(const struct clsa_step *step, size_t i, uint32_t layer)
{
    const struct clsa_column *column = clsa_wanted(step, i);
    struct clsa_session *s = column->session;
    if (!s->layer_rows || !clsa_step_is_last(step, i))
        return;
    s->layer_count[layer] = (uint32_t)column->set->n;
    memcpy(s->layer_rows + layer * clsa_session_slots(s), column->set->rows,
           column->set->n * sizeof *s->layer_rows);
}

/* Each worker makes the lists and the slots of its share of columns. */
static void select_rows(struct clsa_step *step, const struct clsa_worker *w,
                        uint32_t layer)
{
    size_t begin, end;
    clsa_share(w, step->m, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const struct clsa_column *column = clsa_wanted(step, i);
        const struct clsa_policy *policy = &column->session->policy;
        if (!clsa_policy_chooses(policy, layer))
            continue;
        clsa_working_set_select(
            column->set,
            policy->type->rows(step, w->count, i, column->set->next));
        column->set->changed += column->set->new_count;
        if (layer != CLSA_ONCE)
            log_rows(step, i, layer);
    }
    clsa_barrier(w);
}

void clsa_choose(struct clsa_step *step, const struct clsa_worker *w,
                 uint32_t layer)
{
    if (!search(step, w, layer))
        return;
    clsa_step_clock(step, w, CLSA_PHASE_INDEX);
    select_rows(step, w, layer);
    clsa_step_clock(step, w, CLSA_PHASE_SELECT);
    for (size_t i = 0; i < step->m; i++) {
        const struct clsa_column *column = clsa_wanted(step, i);
        if (clsa_policy_chooses(&column->session->policy, layer))
            clsa_working_set_gather(column->set, &column->session->cache,
                                    step->model->simd, w);
    }
    clsa_barrier(w);
    clsa_step_clock(step, w, CLSA_PHASE_GATHER);
}

void clsa_route(struct clsa_step *step, const struct clsa_worker *w)
{
    size_t begin, end;
    clsa_share(w, step->m, &begin, &end);
    for (size_t i = begin; i < end; i++)
        if (clsa_wanted(step, i)->set)
            clsa_wanted(step, i)->set->changed = 0;
    make_queries(step, w);
    clsa_step_clock(step, w, CLSA_PHASE_ROWS);
    clsa_choose(step, w, CLSA_ONCE);
}
