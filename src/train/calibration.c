/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of calibration (clsa_train.h): texts are read under an observer,
 * layers are chosen by what they find for others, and what was found goes to
 * the side file.
 */
#include <inttypes.h>
#include <string.h>

#include "clsa_train.h"
#include "src/arch/arch.h"
#include "src/base/mem.h"
#include "src/train/choose.h"
#include "src/train/far.h"
#include "src/train/side_file.h"

enum {
    FIRST_SITE = 2, /* layers 0 and 1 look everywhere */
    MIXES = 5,      /* between both ways to count layers */
    RANKS = 4,      /* lists that are taken of each mix, at most */
    SITES = CLSA_ANCHORS_MOST,
};

struct clsa_calibration {
    clsa_model *model;
    uint32_t layers, first; /* L, the first site */
    bool *able;             /* [L] layers with a cache that they write */
    struct clsa_far far;
};

/* ---------------------------------------------------------------- open, read
 */

static clsa_status check_layers(const struct clsa_calibration *c,
                                clsa_error *error)
{
    uint32_t able = 0;
    for (uint32_t i = c->first; i < c->layers; i++)
        able += c->able[i];
    if (able >= 2)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "the model has %s layers with a cache of their own from "
                     "layer %" PRIu32 " on, so that none can choose rows for "
                     "another",
                     able ? "no two" : "no", c->first);
}

/* Sites are layers from FIRST_SITE on, or of two layers both. */
static clsa_status find_sites(struct clsa_calibration *c, clsa_error *error)
{
    const struct clsa_network *net = &c->model->net;
    for (uint32_t i = 0; i < c->layers; i++) {
        const struct clsa_layer *l = &net->layers[i];
        c->able[i] = l->mixer == CLSA_MIXER_ATTENTION && l->writes &&
                     clsa_layer_reads_cache(net, l);
    }
    c->first = c->layers > FIRST_SITE + 1 ? FIRST_SITE : 0;
    while (c->first + 1 < c->layers && !c->able[c->first])
        c->first++;
    return check_layers(c, error);
}

static clsa_status check_model(const clsa_model *model, clsa_error *error)
{
    const struct clsa_network *net = &model->net;
    if (net->layer_count == 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "a model that was opened for its vocabulary alone has "
                         "no weights: open it with clsa_model_open");
    if (!net->arch->own_index)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "models of architecture %s have one cache for all layers "
                     "and their own index: there is nothing to calibrate",
                     net->arch->name);
}

static clsa_status open_calibration(struct clsa_calibration *c,
                                    clsa_error *error)
{
    c->layers = c->model->net.layer_count;
    c->able = clsa_mem_calloc(c->layers, sizeof *c->able);
    if (!c->able)
        return clsa_fail_memory(error, "a calibration", c->layers);
    CLSA_TRY(find_sites(c, error));
    return clsa_far_open(&c->far, c->layers, error);
}

clsa_status clsa_calibration_open(clsa_calibration **calibration,
                                  clsa_model *model, clsa_error *error)
{
    CLSA_TRY(check_model(model, error));
    struct clsa_calibration *c = clsa_mem_calloc(1, sizeof *c);
    if (!c)
        return clsa_fail_memory(error, "a calibration", sizeof *c);
    c->model = model;
    const clsa_status status = open_calibration(c, error);
    if (status) {
        clsa_calibration_close(c);
        return status;
    }
    *calibration = c;
    return CLSA_OK;
}

void clsa_calibration_close(clsa_calibration *c)
{
    if (!c)
        return;
    clsa_far_close(&c->far);
    clsa_mem_free(c->able);
    clsa_mem_free(c);
}

/* Positions and kinds of the queries of a text. */
struct queries {
    uint32_t *position;
    uint8_t *kinds;
    size_t count;
};

static clsa_status list_queries(const uint8_t *queries, size_t n,
                                struct queries *q, clsa_error *error)
{
    q->position = clsa_mem_calloc(n + 1, sizeof *q->position);
    q->kinds = clsa_mem_calloc(n + 1, 1);
    if (!q->position || !q->kinds)
        return clsa_fail_memory(error, "queries of a text", n);
    for (size_t i = 0; i < n; i++) {
        if (queries[i] == CLSA_QUERY_NONE)
            continue;
        if (i + 1 < clsa_far_least(n))
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "calibration: token %zu of %zu has too few rows "
                             "before it to look at: give later ones",
                             i, n);
        q->position[q->count] = (uint32_t)i;
        q->kinds[q->count++] =
            queries[i] == CLSA_QUERY_ANSWER ? CLSA_FAR_ANSWER : CLSA_FAR_TEXT;
    }
    return CLSA_OK;
}

/* Reads the text; its session, if it is wanted. */
static clsa_status read_text(struct clsa_calibration *c,
                             struct clsa_reading *reading, const int32_t *ids,
                             size_t count, const struct queries *q,
                             const clsa_append_options *how, clsa_error *error)
{
    const struct clsa_reading_want want = {.position = q->position,
                                           .count = q->count};
    CLSA_TRY(clsa_reading_read(reading, ids, count, &want, how, error));
    return clsa_far_add(&c->far, reading, q->kinds, error);
}

clsa_status clsa_calibration_read(clsa_calibration *c, const int32_t *ids,
                                  size_t count, const uint8_t *queries,
                                  const clsa_session_options *options,
                                  const clsa_append_options *how,
                                  clsa_session **session, clsa_error *error)
{
    struct clsa_reading reading = {0};
    struct queries q = {0};
    clsa_status status = list_queries(queries, count, &q, error);
    if (!status)
        status = clsa_reading_open(&reading, c->model, count, options, error);
    if (!status)
        status = read_text(c, &reading, ids, count, &q, how, error);
    if (!status && session) {
        *session = reading.session;
        reading.session = NULL;
    }
    clsa_reading_close(&reading);
    clsa_mem_free(q.position);
    clsa_mem_free(q.kinds);
    return status;
}

/* ------------------------------------------------------------------ results */

/* Attention of a query on average. */
static double mean(const struct clsa_far *far, unsigned kind, double sum)
{
    return far->queries[kind] ? sum / (double)far->queries[kind] : 0;
}

/* Mass of layer b, and what a finds of it: texts and answers alike. */
static double mass_of(const struct clsa_far *far, size_t b)
{
    return (mean(far, CLSA_FAR_TEXT, far->mass[CLSA_FAR_TEXT][b]) +
            mean(far, CLSA_FAR_ANSWER, far->mass[CLSA_FAR_ANSWER][b])) /
           ((far->queries[CLSA_FAR_TEXT] > 0) +
            (far->queries[CLSA_FAR_ANSWER] > 0));
}

static double found_of(const struct clsa_far *far, size_t a, size_t b)
{
    const size_t at = a * far->layers + b;
    return (mean(far, CLSA_FAR_TEXT, far->found[CLSA_FAR_TEXT][at]) +
            mean(far, CLSA_FAR_ANSWER, far->found[CLSA_FAR_ANSWER][at])) /
           ((far->queries[CLSA_FAR_TEXT] > 0) +
            (far->queries[CLSA_FAR_ANSWER] > 0));
}

static double part(double of, double all)
{
    return all > 0 ? of / all : 0;
}

void clsa_calibration_result(const clsa_calibration *c, float *mass,
                             float *shared)
{
    const size_t n = c->layers;
    for (size_t b = 0; b < n; b++) {
        mass[b] = (float)mass_of(&c->far, b);
        for (size_t a = 0; a < n; a++)
            shared[a * n + b] =
                (float)part(found_of(&c->far, a, b), mass_of(&c->far, b));
    }
}

double clsa_calibration_covered(const clsa_calibration *c, const uint32_t *list,
                                size_t sites)
{
    double found = 0, all = 0;
    for (size_t i = 0; i < sites; i++)
        for (uint32_t b = list[i];
             b < (i + 1 < sites ? list[i + 1] : c->layers); b++) {
            found += found_of(&c->far, list[i], b);
            all += mass_of(&c->far, b);
        }
    return part(found, all);
}

/* --------------------------------------------------------------- candidates */

/* Gains: `answers` of them by parts of answers, the others by mass, both as
   parts of what is there. */
static void mix_gains(const struct clsa_calibration *c, double answers,
                      double *gain)
{
    const struct clsa_far *far = &c->far;
    const size_t n = c->layers;
    double mass = 0, seen = 0;
    for (size_t b = c->first; b < n; b++) {
        mass += mass_of(far, b);
        seen += far->mass[CLSA_FAR_ANSWER][b] > 0;
    }
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            gain[a * n + b] =
                (1 - answers) * part(found_of(far, a, b), mass) +
                answers * part(part(far->found[CLSA_FAR_ANSWER][a * n + b],
                                    far->mass[CLSA_FAR_ANSWER][b]),
                               seen);
}

/* Adds a list unless it is there. */
static size_t add_list(uint32_t *lists, size_t count, const uint32_t *list,
                       uint32_t sites)
{
    size_t i = 0;
    while (i < count &&
           memcmp(lists + i * sites, list, sites * sizeof *list) != 0)
        i++;
    if (i < count)
        return count;
    memcpy(lists + count * sites, list, sites * sizeof *list);
    return count + 1;
}

/* The best list of each mix, then the second ones, and so on. */
static size_t gather_lists(const struct clsa_calibration *c, uint32_t sites,
                           size_t most, uint32_t *lists, double *gain)
{
    uint32_t found[MIXES][RANKS * SITES];
    size_t counts[MIXES], count = 0;
    for (unsigned mix = 0; mix < MIXES; mix++) {
        const struct clsa_sites choice = {c->layers, c->first, c->able, gain};
        mix_gains(c, (double)mix / (MIXES - 1), gain);
        counts[mix] = clsa_sites_choose(&choice, sites, RANKS, found[mix]);
    }
    for (unsigned rank = 0; rank < RANKS; rank++)
        for (unsigned mix = 0; mix < MIXES; mix++)
            if (rank < counts[mix] && count < most)
                count =
                    add_list(lists, count, found[mix] + rank * sites, sites);
    return count;
}

size_t clsa_calibration_candidates(const clsa_calibration *c, uint32_t sites,
                                   size_t most, uint32_t *lists)
{
    const size_t n = c->layers;
    double *gain = clsa_mem_calloc(n * n, sizeof *gain);
    size_t count = 0;
    if (gain && sites >= 1 && sites <= SITES)
        count = gather_lists(c, sites, most, lists, gain);
    clsa_mem_free(gain);
    return count;
}

/* ---------------------------------------------------------------- side file */

static void put(struct clsa_keys *keys, const clsa_model *model,
                const char *name, uint32_t value)
{
    char key[CLSA_SIDE_KEY];
    clsa_side_key(model, name, key);
    clsa_keys_u32(keys, key, value);
}

clsa_status clsa_anchors_check(const clsa_model *model, const char *path,
                               int *indexed, clsa_error *error)
{
    bool has;
    CLSA_TRY(clsa_side_has_index(model, path, &has, error));
    *indexed = has;
    return CLSA_OK;
}

static clsa_status check_anchors(const clsa_model *model,
                                 const clsa_anchors *anchors, clsa_error *error)
{
    bool good = anchors->count >= 1 && anchors->count <= SITES;
    for (uint32_t i = 0; good && i < anchors->count; i++)
        good = anchors->layers[i] < model->net.layer_count &&
               (i == 0 || anchors->layers[i] > anchors->layers[i - 1]);
    if (good && anchors->rows > CLSA_FAR_SINKS + 1)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "clsa_anchors: give 1 to %d layers of the model in "
                     "ascending order, and %d rows or more",
                     SITES, CLSA_FAR_SINKS + 2);
}

clsa_status clsa_anchors_write(const clsa_model *model, const char *path,
                               const clsa_anchors *anchors, clsa_error *error)
{
    struct clsa_side_change change = {.tensors = NULL};
    char key[CLSA_SIDE_KEY];
    bool indexed;
    CLSA_TRY(check_anchors(model, anchors, error));
    CLSA_TRY(clsa_side_has_index(model, path, &indexed, error));
    clsa_side_key(model, "anchor_layers", key);
    clsa_side_layers(&change.keys, key, anchors->layers, anchors->count);
    if (!indexed) {
        put(&change.keys, model, "indexer.top_k", anchors->rows);
        put(&change.keys, model, "indexer.sink_rows", CLSA_FAR_SINKS);
        put(&change.keys, model, "indexer.recent_rows", anchors->rows / 4);
        put(&change.keys, model, "indexer.first_window", anchors->first_window);
    }
    const clsa_status status = clsa_side_write(model, path, &change, error);
    clsa_bytes_free(&change.keys.bytes);
    return status;
}
