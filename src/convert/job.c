/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a folder, by name, into the plan of a new file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/convert/job.h"

static struct clsa_planned_tensor *add(struct clsa_job *j, const char *name,
                                       uint32_t dims)
{
    struct clsa_planned_tensor *t = clsa_tensor_plan_add(&j->plan);
    if (!t)
        return NULL;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->dims = dims;
    return t;
}

static clsa_status add_tensor(struct clsa_job *j,
                              const struct clsa_st_tensor *from,
                              const struct clsa_wanted *w)
{
    struct clsa_planned_tensor *t = add(j, w->ours, from->dims);
    if (!t)
        return clsa_fail_memory(j->folder.error, "tensors", sizeof *t);
    t->from = from->format;
    t->data = from->data;
    t->rows = from->dims == 2 ? from->shape[0] : 1;
    t->cols = from->dims == 2 ? from->shape[1] : from->shape[0];
    t->reorder = w->reorder;
    t->head = w->head;
    t->add = w->add;
    if (w->reorder && t->dims == 1) { /* a value for each row of a head */
        t->rows = t->cols;
        t->cols = 1;
    }
    if (w->reorder && t->rows % w->head != 0)
        return clsa_fail(j->folder.error, CLSA_ERR_FORMAT,
                         "%s: tensor '%s' has %" PRIu64
                         " rows, not a multiple of the head size %" PRIu32,
                         from->file, from->name, t->rows, w->head);
    if (strstr(w->ours, "ffn_gate.weight"))
        j->ffn = (uint32_t)clsa_min_u64(t->rows, UINT32_MAX);
    return CLSA_OK;
}

clsa_status clsa_job_take(struct clsa_job *j, const struct clsa_wanted *w)
{
    struct clsa_st_tensor *from = clsa_st_find(&j->st, w->theirs);
    if (!from) {
        if (w->required) {
            clsa_note(j->folder.options, "missing: %s", w->theirs);
            j->missing++;
        }
        return CLSA_OK;
    }
    from->used = true;
    if (!from->known)
        return clsa_fail(j->folder.error, CLSA_ERR_UNSUPPORTED,
                         "%s: tensor '%s' is %s of %" PRIu32 " dimensions: "
                         "only F32, F16 and BF16 of one or two are supported",
                         from->file, w->theirs, from->dtype, from->dims);
    return add_tensor(j, from, w);
}

void clsa_job_tell_output(const struct clsa_job *j, const char *name)
{
    if (clsa_st_find(&j->st, name))
        clsa_note(j->folder.options,
                  "tie_word_embeddings is true, but %s is there and used",
                  name);
}

clsa_status clsa_job_vector(struct clsa_job *j, const char *name, size_t n,
                            float **values)
{
    struct clsa_planned_tensor *t = add(j, name, 1);
    *values = clsa_mem_calloc(n, sizeof **values);
    if (!t || !*values) {
        clsa_mem_free(*values);
        return clsa_fail_memory(j->folder.error, name, n);
    }
    t->rows = 1;
    t->cols = n;
    t->data = t->own = *values;
    return CLSA_OK;
}

/* Tensors that repeat what others say: angles are computed from the keys. */
static bool is_buffer(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".inv_freq") == 0;
}

clsa_status clsa_job_check(struct clsa_job *j, const char *format)
{
    for (size_t i = 0; i < j->st.count; i++) {
        const struct clsa_st_tensor *t = &j->st.tensors[i];
        if (t->used || is_buffer(t->name))
            continue;
        clsa_note(j->folder.options, "unknown: %s (%s)", t->name, t->file);
        j->unknown++;
    }
    if (j->missing + j->unknown == 0)
        return CLSA_OK;
    return clsa_fail(j->folder.error, CLSA_ERR_FORMAT,
                     "%s: %zu tensors of the format '%s' are missing and %zu "
                     "are unknown: the notes list them",
                     j->folder.path, j->missing, format, j->unknown);
}
