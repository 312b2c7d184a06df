/* SPDX-License-Identifier: Apache-2.0 */
/* Students from index tensors, lessons from readings. */
#include <string.h>

#include "src/base/mem.h"
#include "src/train/student.h"

static void load_matrix(float *to, const struct clsa_simd *simd,
                        const struct clsa_matrix *m)
{
    simd->load[m->format](to, m->data, m->rows * m->cols);
}

void clsa_student_load(const struct clsa_student *s,
                       const struct clsa_simd *simd,
                       const struct clsa_layer *layer)
{
    load_matrix(s->k, simd, &layer->index_k);
    load_matrix(s->q, simd, &layer->index_q);
    if (s->heads == 1)
        return;
    load_matrix(s->w, simd, &layer->index_weights);
    memcpy(s->b, layer->index_bias, s->heads * sizeof *s->b);
}

clsa_status clsa_lesson_open(struct clsa_lesson *l, size_t n, size_t m,
                             size_t d, clsa_error *error)
{
    *l = (struct clsa_lesson){.n = n, .m = m, .d = d};
    l->position = clsa_mem_calloc(m, sizeof *l->position);
    l->x = clsa_mem_calloc(n, d * sizeof *l->x);
    l->queries = clsa_mem_calloc(m, d * sizeof *l->queries);
    l->target = clsa_mem_calloc(m, n * sizeof *l->target);
    if (l->position && l->x && l->queries && l->target)
        return CLSA_OK;
    clsa_lesson_close(l);
    return clsa_fail_memory(error, "the attention of a text",
                            (n * d + m * d + m * n) * sizeof(float));
}

void clsa_lesson_close(struct clsa_lesson *l)
{
    clsa_mem_free(l->position);
    clsa_mem_free(l->x);
    clsa_mem_free(l->queries);
    clsa_mem_free(l->target);
    *l = (struct clsa_lesson){0};
}

static void take_inputs(struct clsa_lesson *l, const float *input,
                        const float *shrink)
{
    const size_t d = l->d;
    memcpy(l->x, input, l->n * d * sizeof *l->x);
    for (size_t i = 0; shrink && i < l->n; i++)
        for (size_t j = 0; j < d; j++)
            l->x[i * d + j] /= shrink[j];
    for (size_t i = 0; i < l->m; i++)
        memcpy(l->queries + i * d, l->x + l->position[i] * d,
               d * sizeof *l->queries);
}

void clsa_lesson_learn(struct clsa_lesson *l, struct clsa_reading *r,
                       uint32_t site, uint32_t end, const float *shrink)
{
    uint32_t layers = 0;
    memcpy(l->position, r->position, l->m * sizeof *l->position);
    memset(l->target, 0, l->m * l->n * sizeof *l->target);
    take_inputs(l, r->input[site], shrink);
    for (uint32_t i = site; i < end; i++)
        layers += clsa_reading_sees(r, i);
    for (uint32_t i = site; i < end; i++)
        if (clsa_reading_sees(r, i))
            clsa_reading_attend(r, i, 0, l->m, 1 / (float)layers, l->target,
                                l->n);
}
