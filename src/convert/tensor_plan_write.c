/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass that writes the tensors of a plan: slabs of rows go through the
 * team, each row from its source format by way of floats to its new one, and
 * then to the file. Rows that keep their format are copied as they are. The
 * bytes do not depend on the number of threads.
 */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/base/numa.h"
#include "src/base/out.h"
#include "src/base/loop.h"
#include "src/base/types.h"
#include "src/convert/tensor_plan.h"

#define SLAB ((size_t)1 << 20) /* values of the rows that are made at once */

struct writer {
    const struct clsa_tensor_plan *plan;
    const clsa_write_options *options;
    struct clsa_out out;
    struct clsa_simd simd; /* scalar: the same file from every CPU */
    struct clsa_numa *numa;
    struct clsa_team *team;
    float *values; /* [threads][2][longest row] */
    size_t longest;
    unsigned char *slab; /* rows in their new format */
    double *sums;        /* [rows][2]: squares of differences and of values */
    uint64_t done, total;
    clsa_error *error;
};

/* What the team works on: rows first..first+rows of a tensor. */
struct slab {
    struct writer *w;
    const struct clsa_planned_tensor *t;
    enum clsa_format to;
    size_t first, rows;
    size_t from_bytes, to_bytes; /* of a row */
    int bad;                     /* a value that is not finite */
};

/* The source row of a row, which is in the same head. */
static size_t source_row(const struct clsa_planned_tensor *t, size_t row)
{
    if (t->reorder == CLSA_REORDER_NONE)
        return row;
    const size_t i = row % t->head, half = t->head / 2;
    if (t->reorder == CLSA_REORDER_TO_HALVES)
        return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
    return row - i + i / 2 + (i % 2 ? half : 0);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static void convert_row(struct slab *s, size_t i, float *x)
{
    const struct writer *w = s->w;
    const struct clsa_planned_tensor *t = s->t;
    const size_t n = (size_t)t->cols;
    float *back = x + w->longest;
    unsigned char *to = w->slab + i * s->to_bytes;
    const char *from =
        (const char *)t->data + source_row(t, s->first + i) * s->from_bytes;
    double *sums = w->sums + 2 * i;
    sums[0] = sums[1] = 0;
    if (s->to == t->from && t->add == 0) {
        memcpy(to, from, s->to_bytes);
        return;
    }
    if ((uintptr_t)from % sizeof(float) != 0) { /* safetensors may be odd */
        memcpy(back, from, s->from_bytes);
        from = (const char *)back;
    }
    w->simd.load[t->from](x, from, n);
    for (size_t j = 0; t->add != 0 && j < n; j++)
        x[j] += t->add;
    if (!all_finite(x, n)) {
        __atomic_store_n(&s->bad, 1, __ATOMIC_RELAXED);
        memset(to, 0, s->to_bytes);
        return;
    }
    w->simd.store[s->to](to, x, n);
    w->simd.load[s->to](back, to, n);
    for (size_t j = 0; j < n; j++) {
        const double v = (double)x[j], e = (double)back[j] - v;
        sums[0] += e * e;
        sums[1] += v * v;
    }
}

static void convert_range(void *context, struct clsa_worker *worker)
{
    struct slab *s = context;
    float *x = s->w->values + worker->id * 2 * s->w->longest;
    struct clsa_loop loop = clsa_loop(worker, s->rows);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            convert_row(s, i, x);
}

static clsa_status step(struct writer *w, uint64_t values)
{
    w->done += values;
    if (w->options->on_progress &&
        w->options->on_progress(w->options->user, w->done, w->total))
        return clsa_fail(w->error, CLSA_ERR_STOPPED, "%s: writing was stopped",
                         w->out.path);
    return CLSA_OK;
}

static clsa_status pad(struct writer *w, uint64_t size)
{
    static const char zeros[CLSA_GGUF_ALIGNMENT];
    const size_t over = (size_t)(size % CLSA_GGUF_ALIGNMENT);
    return clsa_out_write(&w->out, zeros, over ? sizeof zeros - over : 0,
                          w->error);
}

/* Pages of the source that will not be read again. */
static void release(const void *data, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)data + size) / page * page;
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

static void report_tensor(const struct writer *w, const struct slab *s,
                          const double sums[2])
{
    const struct clsa_planned_tensor *t = s->t;
    const clsa_tensor_report report = {
        .size = sizeof report,
        .name = t->name,
        .wanted = t->wanted,
        .type = t->type,
        .values = t->rows * t->cols,
        .bytes = t->rows * s->to_bytes,
        .error = sums[1] > 0 ? sqrt(sums[0] / sums[1]) : 0,
    };
    if (w->options->on_tensor)
        w->options->on_tensor(w->options->user, &report);
}

/* A matrix of zeros is well-formed, but seldom what was meant. */
static void tell_zero(const struct clsa_planned_tensor *t,
                      const clsa_write_options *options)
{
    const uint64_t size = t->rows * clsa_format_bytes(t->from, (size_t)t->cols);
    if (t->dims > 1 && clsa_is_zero(t->data, size))
        clsa_note(options,
                  "%s: only zeros, as in a file that was not downloaded "
                  "completely",
                  t->name);
}

static clsa_status write_tensor(struct writer *w,
                                const struct clsa_planned_tensor *t)
{
    struct slab s = {.w = w, .t = t};
    clsa_type_format((uint32_t)t->type, &s.to);
    s.from_bytes = clsa_format_bytes(t->from, (size_t)t->cols);
    s.to_bytes = clsa_format_bytes(s.to, (size_t)t->cols);
    const size_t most = t->cols < SLAB ? SLAB / (size_t)t->cols : 1;
    double sums[2] = {0, 0};
    tell_zero(t, w->options);
    for (; s.first < t->rows; s.first += s.rows) {
        s.rows = clsa_min((size_t)t->rows - s.first, most);
        clsa_team_run(w->team, convert_range, &s);
        if (s.bad)
            return clsa_fail(w->error, CLSA_ERR_FORMAT,
                             "tensor '%s' has a value that is not a finite "
                             "number, in rows %zu to %zu: only types as in "
                             "the source can hold it",
                             t->name, s.first, s.first + s.rows - 1);
        for (size_t i = 0; i < 2 * s.rows; i++)
            sums[i % 2] += w->sums[i];
        CLSA_TRY(
            clsa_out_write(&w->out, w->slab, s.rows * s.to_bytes, w->error));
        CLSA_TRY(step(w, s.rows * t->cols));
    }
    if (!t->own)
        release(t->data, (size_t)t->rows * s.from_bytes);
    report_tensor(w, &s, sums);
    return pad(w, t->rows * s.to_bytes);
}

/* ------------------------------------------------------------------ header */

static uint64_t tensor_bytes(const struct clsa_planned_tensor *t)
{
    enum clsa_format to = CLSA_F32;
    clsa_type_format((uint32_t)t->type, &to);
    return t->rows * clsa_format_bytes(to, (size_t)t->cols);
}

static clsa_status write_header(struct writer *w, const struct clsa_keys *keys)
{
    struct clsa_bytes b = {.data = NULL};
    uint64_t offset = 0;
    clsa_gguf_begin(&b, w->plan->count, keys);
    for (size_t i = 0; i < w->plan->count; i++) {
        const struct clsa_planned_tensor *t = &w->plan->tensors[i];
        const uint64_t cols = t->dims == 1 ? t->rows * t->cols : t->cols;
        clsa_gguf_put_tensor(&b, t->name, t->dims, t->rows, cols,
                             (uint32_t)t->type, offset);
        offset += clsa_round_up((size_t)tensor_bytes(t), CLSA_GGUF_ALIGNMENT);
    }
    clsa_status status = CLSA_OK;
    if (b.failed)
        status = clsa_fail_memory(w->error, "the keys of a model", b.size);
    if (!status)
        status = clsa_out_write(&w->out, b.data, b.size, w->error);
    if (!status)
        status = pad(w, b.size);
    clsa_bytes_free(&b);
    return status;
}

/* ------------------------------------------------------------------- writer */

static clsa_status take_memory(struct writer *w)
{
    size_t rows = 1, bytes = 1;
    for (size_t i = 0; i < w->plan->count; i++) {
        const struct clsa_planned_tensor *t = &w->plan->tensors[i];
        const size_t cols = (size_t)t->cols;
        const size_t fit = cols < SLAB ? SLAB / cols : 1;
        const size_t most = clsa_min(fit, (size_t)t->rows);
        w->total += t->rows * t->cols;
        w->longest = clsa_max(w->longest, cols);
        rows = clsa_max(rows, most);
        bytes = clsa_max(bytes, most * cols);
    }
    w->values = clsa_mem_calloc(w->longest,
                                2 * sizeof(float) * clsa_team_size(w->team));
    w->slab = clsa_mem_calloc(bytes, sizeof(float));
    w->sums = clsa_mem_calloc(rows, 2 * sizeof *w->sums);
    if (w->values && w->slab && w->sums)
        return CLSA_OK;
    return clsa_fail_memory(w->error, "rows of tensors", bytes * sizeof(float));
}

/* Opens the file as a model, so that no file appears that cannot be run. */
static clsa_status check(struct writer *w)
{
    clsa_model *model;
    clsa_model_options options;
    clsa_model_options_init(&options);
    options.threads = 1;
    CLSA_TRY(clsa_model_open(&model, w->out.temporary, &options, w->error));
    clsa_model_close(model);
    return CLSA_OK;
}

static clsa_status write_all(struct writer *w, const struct clsa_keys *keys,
                             const char *path)
{
    CLSA_TRY(clsa_numa_open(&w->numa, NULL, w->error));
    CLSA_TRY(clsa_team_open(&w->team, w->options->threads, w->numa, w->error));
    CLSA_TRY(clsa_team_ready(w->team, w->error));
    CLSA_TRY(clsa_out_open(&w->out, path, w->error));
    CLSA_TRY(take_memory(w));
    CLSA_TRY(write_header(w, keys));
    for (size_t i = 0; i < w->plan->count; i++)
        CLSA_TRY(write_tensor(w, &w->plan->tensors[i]));
    CLSA_TRY(clsa_out_close(&w->out, w->error));
    CLSA_TRY(check(w));
    return clsa_out_rename(&w->out, w->error);
}

clsa_status clsa_tensor_plan_write(const struct clsa_tensor_plan *plan,
                                   struct clsa_keys *keys, const char *path,
                                   const clsa_write_options *options,
                                   clsa_error *error)
{
    struct writer w = {.plan = plan, .options = options, .error = error};
    clsa_simd_ref(&w.simd);
    clsa_status status = write_all(&w, keys, path);
    clsa_out_free(&w.out);
    if (w.team)
        clsa_team_close(w.team);
    clsa_numa_close(w.numa);
    clsa_mem_free(w.values);
    clsa_mem_free(w.slab);
    clsa_mem_free(w.sums);
    return status;
}
