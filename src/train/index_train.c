/* SPDX-License-Identifier: Apache-2.0 */
/* clsa_index_train: options, a training, and the side file of its result. */
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/arch/indexes.h"
#include "src/base/mem.h"
#include "src/base/structs.h"
#include "src/engine/append.h"
#include "src/train/side_file.h"
#include "src/train/trainer.h"

#define ROWS        512
#define ROWS_LEAST  8
#define QUERIES     256
#define KEY_SIZE    64
#define HEADS_MOST  64
#define KEY_MOST    256
#define SINKS       4
#define RECENT_PART 4  /* of the rows are recent ones */
#define RECENT      64 /* rows that lessons leave out, at most */
#define HELD_PART   10 /* of the ids are held out */

struct training {
    struct clsa_trainer trainer;
    const char *path;
    char *state_path;
    struct clsa_side_tensor tensors[4 * CLSA_INDEX_SITES_MOST];
};

/* ----------------------------------------------------------------- options */

/* The sites of the model's index, or its anchors. */
static uint32_t own_sites(const struct clsa_network *net, uint32_t *sites)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (net->layers[i].indexed)
            sites[count++] = i;
    for (uint32_t i = 0;
         net->cache_count > 1 && count == 0 && i < net->indexes.anchor_count;
         i++)
        sites[i] = net->indexes.anchors[i];
    return count > 0 ? count : net->indexes.anchor_count;
}

static clsa_status choose_sites(struct clsa_school *s,
                                const clsa_index_train_options *o,
                                clsa_error *error)
{
    uint32_t own[CLSA_LAYER_LIMIT];
    const uint32_t *sites = o->sites ? o->sites : own;
    const uint32_t count =
        o->sites ? o->site_count : own_sites(&s->model->net, own);
    CLSA_TRY(clsa_school_check(s->model, sites, count, error));
    if (count == 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "no sites: the model has neither an index nor "
                         "anchors; name layers, or let clsa calibrate find "
                         "them");
    memcpy(s->site, sites, count * sizeof *sites);
    s->site_count = count;
    return CLSA_OK;
}

/* Options without defaults left, within their bounds. */
static clsa_status check_options(clsa_index_train_options *o, clsa_error *error)
{
    const char *wrong = NULL;
    CLSA_CHECK_RESERVED(o, "clsa_index_train_options", error);
    o->heads = o->heads ? o->heads : 1;
    o->key_size = o->key_size ? o->key_size : KEY_SIZE;
    o->rows = o->rows ? o->rows : ROWS;
    o->queries = o->queries ? o->queries : QUERIES;
    if (o->heads > HEADS_MOST)
        wrong = "heads: use 1 to 64";
    else if (o->key_size > KEY_MOST || o->key_size % CLSA_HEAD_DIM_UNIT != 0)
        wrong = "key_size: use a multiple of 8 up to 256";
    else if (o->rows < ROWS_LEAST)
        wrong = "rows: use 8 or more";
    else if (o->hours < 0)
        wrong = "hours: use a number above 0";
    return wrong ? clsa_fail(error, CLSA_ERR_ARGUMENT, "option %s", wrong)
                 : CLSA_OK;
}

/* What is learned from, what is held out, and how long texts are. */
static clsa_status share_ids(struct clsa_trainer *t, clsa_error *error)
{
    clsa_index_train_options *o = &t->options;
    const size_t n =
        clsa_school_tokens(t->school.model, o->context, t->count / 2);
    const uint32_t recent = clsa_min(RECENT, o->rows / 8);
    t->far = (struct clsa_far){SINKS, recent};
    t->kept = (struct clsa_far){SINKS, o->rows / RECENT_PART};
    if (n <= o->rows)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "texts of %zu tokens: a choice of %" PRIu32
                         " rows needs more; use longer texts (%zu tokens are "
                         "there) or fewer rows",
                         n, o->rows, t->count);
    o->queries = (uint32_t)clsa_min(o->queries, n - SINKS - recent);
    t->school.n = n;
    t->learned = t->count - clsa_max(n, t->count / HELD_PART);
    return CLSA_OK;
}

/* A sum over what the course of a training follows from. */
static void sum_training(struct clsa_trainer *t)
{
    const struct clsa_school *s = &t->school;
    const clsa_index_train_options *o = &t->options;
    const uint64_t numbers[] = {s->site_count, o->heads, o->key_size,
                                o->rows,       s->n,     o->queries,
                                o->seed,       t->count};
    char norms[CLSA_INDEXES_SUM];
    struct sha256_ctx sum;
    clsa_indexes_sum(&s->model->net, s->site, s->site_count, norms);
    sha256_init(&sum);
    sha256_update(&sum, strlen(norms), (const uint8_t *)norms);
    sha256_update(&sum, sizeof numbers, (const uint8_t *)numbers);
    sha256_update(&sum, s->site_count * sizeof *s->site,
                  (const uint8_t *)s->site);
    sha256_update(&sum, t->count * sizeof *t->ids, (const uint8_t *)t->ids);
    sha256_digest(&sum, sizeof t->of, t->of);
}

/* -------------------------------------------------------------- side file */

/* Values for inputs as they are, in an array that is as long. */
static void unshrink(const struct clsa_trainer *t, uint32_t site, float *values)
{
    const struct clsa_student s =
        clsa_trainer_student(t, CLSA_TRAIN_KEPT, site);
    const float *shrink = t->state.shrink + site * s.d;
    const size_t size = clsa_school_size(&t->school);
    const size_t matrices = s.heads > 1 ? size - s.heads : size;
    memcpy(values, s.k, size * sizeof *values);
    for (size_t i = 0; i < matrices; i++)
        values[i] /= shrink[i % s.d];
}

static void name_tensor(struct clsa_side_tensor *t, uint32_t layer,
                        const char *part, uint32_t dims, size_t rows,
                        size_t cols, const float *values)
{
    *t = (struct clsa_side_tensor){
        .dims = dims, .rows = rows, .cols = cols, .values = values};
    snprintf(t->name, sizeof t->name, "blk.%" PRIu32 ".indexer.%s", layer,
             part);
}

/* The tensors of a site, 2 or 4. */
static size_t list_tensors(const struct clsa_student *s, uint32_t layer,
                           struct clsa_side_tensor *t)
{
    name_tensor(t++, layer, "k_proj.weight", 2, s->e, s->d, s->k);
    name_tensor(t++, layer, "q_proj.weight", 2, s->heads * s->e, s->d, s->q);
    if (s->heads == 1)
        return 2;
    name_tensor(t++, layer, "weights_proj.weight", 2, s->heads, s->d, s->w);
    name_tensor(t++, layer, "weights_proj.bias", 1, 1, s->heads, s->b);
    return 4;
}

static void put_number(const struct clsa_model *model, struct clsa_keys *keys,
                       const char *name, uint32_t value)
{
    char key[CLSA_SIDE_KEY];
    clsa_side_key(model, name, key);
    clsa_keys_u32(keys, key, value);
}

/* Sizes, and how the index was made. */
static void put_keys(const struct clsa_trainer *t, struct clsa_keys *keys)
{
    static const char name[] = "index";
    const struct clsa_school *s = &t->school;
    const struct clsa_train_counts *c = &t->state.counts;
    char key[CLSA_SIDE_KEY], made[300];
    clsa_side_key(s->model, "indexer.layers", key);
    clsa_side_layers(keys, key, s->site, s->site_count);
    put_number(s->model, keys, "indexer.head_count", (uint32_t)s->heads);
    put_number(s->model, keys, "indexer.key_length", (uint32_t)s->e);
    put_number(s->model, keys, "indexer.top_k", t->options.rows);
    put_number(s->model, keys, "indexer.sink_rows", t->kept.sinks);
    put_number(s->model, keys, "indexer.recent_rows", t->kept.recent);
    clsa_keys_text(keys, "general.name", name, strlen(name));
    snprintf(made, sizeof made,
             "made by clsa index train %s: %" PRIu64 " steps, %" PRIu64
             " texts of %zu of %zu tokens, seed %" PRIu64
             "; coverage %.4f of %.4f on held-out text",
             clsa_version(), c->steps, c->texts, s->n, t->count,
             t->options.seed, c->coverage, c->best);
    clsa_keys_text(keys, "general.description", made, strlen(made));
}

static clsa_status write_side(struct training *r, clsa_error *error)
{
    const struct clsa_trainer *t = &r->trainer;
    const struct clsa_school *s = &t->school;
    const size_t size = clsa_school_size(s);
    struct clsa_side_change change = {.tensors = r->tensors, .new_index = true};
    float *values = clsa_mem_calloc(s->site_count * size, sizeof *values);
    if (!values)
        return clsa_fail_memory(error, "an index", s->site_count * size);
    for (uint32_t i = 0; i < s->site_count; i++) {
        unshrink(t, i, values + i * size);
        const struct clsa_student one = clsa_student_of(
            values + i * size, s->model->net.hidden, s->e, s->heads);
        change.tensor_count +=
            list_tensors(&one, s->site[i], r->tensors + change.tensor_count);
    }
    put_keys(t, &change.keys);
    clsa_status status = clsa_side_write(s->model, r->path, &change, error);
    clsa_bytes_free(&change.keys.bytes);
    clsa_mem_free(values);
    return status;
}

/* ------------------------------------------------------------------- calls */

static clsa_status name_state(struct training *r, clsa_error *error)
{
    static const char end[] = ".state";
    const size_t length = strlen(r->path);
    r->state_path = clsa_mem_calloc(length + sizeof end, 1);
    if (!r->state_path)
        return clsa_fail_memory(error, "a name", length + sizeof end);
    memcpy(r->state_path, r->path, length);
    memcpy(r->state_path + length, end, sizeof end);
    r->trainer.state_path = r->state_path;
    return CLSA_OK;
}

static clsa_status prepare(struct training *r, clsa_error *error)
{
    struct clsa_trainer *t = &r->trainer;
    bool has_index;
    CLSA_TRY(check_options(&t->options, error));
    CLSA_TRY(clsa_append_check_ids(t->school.model, t->ids, t->count, error));
    CLSA_TRY(choose_sites(&t->school, &t->options, error));
    t->school.e = t->options.key_size;
    t->school.heads = t->options.heads;
    CLSA_TRY(share_ids(t, error));
    CLSA_TRY(clsa_side_has_index(t->school.model, r->path, &has_index, error));
    sum_training(t);
    return name_state(r, error);
}

/* The side file, if something was measured, also of a training that was
   stopped. */
static clsa_status train(struct training *r, clsa_error *error)
{
    CLSA_TRY(prepare(r, error));
    CLSA_TRY(clsa_trainer_open(&r->trainer, error));
    const clsa_status status = clsa_trainer_run(&r->trainer, error);
    const bool measured = r->trainer.state.counts.measured > 0;
    if (status == CLSA_ERR_STOPPED && measured)
        CLSA_TRY(write_side(r, error));
    if (status)
        return status;
    CLSA_TRY(write_side(r, error));
    unlink(r->state_path);
    return CLSA_OK;
}

clsa_status clsa_index_train(clsa_model *model, const int32_t *ids,
                             size_t count, const char *path,
                             const clsa_index_train_options *options,
                             clsa_error *error)
{
    static const clsa_index_train_options defaults;
    struct training *r = clsa_mem_calloc(1, sizeof *r);
    if (!r)
        return clsa_fail_memory(error, "a training", sizeof *r);
    r->path = path;
    r->trainer.school.model = model;
    r->trainer.options = options ? *options : defaults;
    r->trainer.ids = ids;
    r->trainer.count = count;
    clsa_status status = train(r, error);
    clsa_trainer_close(&r->trainer);
    clsa_mem_free(r->state_path);
    clsa_mem_free(r);
    return status;
}
