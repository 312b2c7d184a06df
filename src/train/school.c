/* SPDX-License-Identifier: Apache-2.0 */
/* Lessons from texts. */
#include <inttypes.h>

#include "src/arch/arch.h"
#include "src/base/mem.h"
#include "src/train/school.h"

#define TOKENS 4096 /* of a text, by default */

size_t clsa_school_tokens(const struct clsa_model *model, size_t wanted,
                          size_t count)
{
    const size_t most = (size_t)clsa_min_u64(model->net.context, count);
    return clsa_min(wanted ? wanted : TOKENS, most);
}

/* ------------------------------------------------------------------- sites */

static clsa_status check_site(const struct clsa_model *model, uint32_t layer,
                              clsa_error *error)
{
    const struct clsa_network *net = &model->net;
    const struct clsa_layer *l = &net->layers[layer];
    const char *wrong = NULL;
    if (layer >= net->layer_count)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "site %" PRIu32 ": the model has layers 0 to %" PRIu32,
                         layer, net->layer_count - 1);
    if (!clsa_layer_reads_cache(net, l))
        wrong = "has a window and no cache to select from";
    else if (!l->writes)
        wrong = "has no cache of its own";
    if (!wrong)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "site %" PRIu32 ": this layer %s; choose another layer",
                     layer, wrong);
}

clsa_status clsa_school_check(const struct clsa_model *model,
                              const uint32_t *sites, uint32_t count,
                              clsa_error *error)
{
    if (model->net.cache_count < 2)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "indexes of side files are for models with a cache "
                         "for each layer, which architecture %s is not",
                         model->net.arch->name);
    if (count > CLSA_INDEX_SITES_MOST)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%" PRIu32 " sites: %d are possible", count,
                         CLSA_INDEX_SITES_MOST);
    for (uint32_t i = 0; i < count; i++) {
        CLSA_TRY(check_site(model, sites[i], error));
        if (i > 0 && sites[i] <= sites[i - 1])
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "site %" PRIu32 " follows site %" PRIu32
                             ": give sites in ascending order",
                             sites[i], sites[i - 1]);
    }
    return CLSA_OK;
}

/* ------------------------------------------------------------------ memory */

clsa_status clsa_school_open(struct clsa_school *s, clsa_error *error)
{
    const struct clsa_student sizes =
        clsa_student_of(NULL, s->model->net.hidden, s->e, s->heads);
    s->inputs = clsa_mem_calloc(s->model->net.layer_count, sizeof *s->inputs);
    if (!s->inputs)
        return clsa_fail_memory(error, "layers", s->model->net.layer_count);
    for (uint32_t i = 0; i < s->site_count; i++)
        s->inputs[s->site[i]] = true;
    CLSA_TRY(clsa_reading_open(&s->reading, s->model, s->n, NULL, error));
    return clsa_study_open(&s->study, s->model, s->n, s->m, &sizes, error);
}

void clsa_school_close(struct clsa_school *s)
{
    clsa_study_close(s->study);
    if (s->reading.model)
        clsa_reading_close(&s->reading);
    clsa_mem_free(s->inputs);
}

clsa_status clsa_school_lessons(const struct clsa_school *s, size_t m,
                                struct clsa_lesson **lessons, clsa_error *error)
{
    struct clsa_lesson *list = clsa_mem_calloc(s->site_count, sizeof *list);
    clsa_status status = CLSA_OK;
    if (!list)
        return clsa_fail_memory(error, "lessons", s->site_count * sizeof *list);
    for (uint32_t i = 0; i < s->site_count && !status; i++)
        status =
            clsa_lesson_open(&list[i], s->n, m, s->model->net.hidden, error);
    if (status)
        clsa_school_free(s, list);
    else
        *lessons = list;
    return status;
}

void clsa_school_free(const struct clsa_school *s, struct clsa_lesson *lessons)
{
    for (uint32_t i = 0; lessons && i < s->site_count; i++)
        clsa_lesson_close(&lessons[i]);
    clsa_mem_free(lessons);
}

/* ----------------------------------------------------------------- reading */

clsa_status clsa_school_read(struct clsa_school *s, const int32_t *ids,
                             const uint32_t *position,
                             const clsa_append_options *how,
                             const float *shrink, struct clsa_lesson *lessons,
                             clsa_error *error)
{
    const size_t d = s->model->net.hidden;
    const struct clsa_reading_want want = {position, lessons[0].m, s->inputs};
    CLSA_TRY(clsa_reading_read(&s->reading, ids, s->n, &want, how, error));
    for (uint32_t i = 0; i < s->site_count; i++) {
        const uint32_t end =
            i + 1 < s->site_count ? s->site[i + 1] : s->model->net.layer_count;
        clsa_lesson_learn(&lessons[i], &s->reading, s->site[i], end,
                          shrink ? shrink + i * d : NULL);
    }
    return CLSA_OK;
}

struct clsa_far clsa_school_far(uint32_t sinks, uint32_t recent, uint32_t top_k,
                                uint32_t rows)
{
    return (struct clsa_far){
        sinks, (uint32_t)((uint64_t)recent * rows / (top_k ? top_k : 1))};
}

void clsa_school_spread(uint32_t *position, size_t m, size_t first, size_t n)
{
    for (size_t i = 0; i < m; i++)
        position[i] = (uint32_t)(first + (i + 1) * (n - first) / m - 1);
}

clsa_index_score clsa_school_score(uint32_t layer,
                                   const struct clsa_coverage *sum)
{
    const double far = sum->far > 0 ? sum->far : 1;
    return (clsa_index_score){layer, sum->found / far, sum->best / far};
}
