/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selections in an ordinary transformer against golden data (golden-dense):
 * one model with an index in its file, side files with several sites and heads,
 * anchors, and other policies. Rows are the same but for near ties, logits are
 * close; rows are few; and what has to give the same bits does.
 *
 * Environment: CLSA_SHARED, the folder of the data (default ../shared);
 * CLSA_REAL, a folder with a public model, tested alone; CLSA_LONG: long texts.
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "src/engine/session.h"
#include "tests/suite.h"

#define NAME "check_golden_dense"

/* A file of golden data. `chosen`, `fixed`: parts of the largest logit that
   may be off, of policies that choose by what layers compute, of others. */
struct set {
    const char *folder, *name, *model;
    double chosen, fixed;
};

static const char model_name[] = "qwen3-tiny-bf16.gguf";

static const struct set sets[] = {
    {"golden-dense", "logits", model_name, 4e-3, 2e-3},
    {"golden-dense", "sites", model_name, 4e-3, 2e-3},
    {"golden-real", "logits", "SmolLM2-135M-Instruct.Q4_1.gguf", 4e-2, 2e-2},
};

enum { REAL = 2, SETS };

/* Rows that may differ: near ties. */
#define TIES_LEAST 4
#define TIES_SHARE 0.02

static const char *shared_path(const char *folder, const char *name)
{
    static char path[2][1200];
    static unsigned next;
    const char *shared = getenv("CLSA_SHARED");
    char *to = path[next++ % 2];
    snprintf(to, sizeof path[0], "%s/%s/%s", shared ? shared : "../shared",
             folder, name);
    return to;
}

/* False, told as a skip: the data is not there, or an emulator is too slow. */
static bool has_data(void)
{
    const char *path = shared_path("models", model_name);
    const char *emulator = getenv("CLSA_EMULATOR");
    if ((!emulator || !*emulator) && access(path, R_OK) == 0 &&
        access(shared_path("golden-dense", "logits.json"), R_OK) == 0)
        return true;
    SUITE_SKIP(NAME, "%s and golden-dense, without an emulator", path);
    return false;
}

/* `index`: a file of the shared models, NULL for none. */
static clsa_status try_file(clsa_model **model, const char *path,
                            const char *index, unsigned threads,
                            clsa_error *error)
{
    clsa_model_options options;
    clsa_model_options_init(&options);
    options.threads = threads;
    options.simd = getenv("CLSA_SIMD");
    options.index = index ? shared_path("models", index) : "none";
    return clsa_model_open(model, path, &options, error);
}

static clsa_status try_model(clsa_model **model, const char *index,
                             unsigned threads, clsa_error *error)
{
    return try_file(model, shared_path("models", model_name), index, threads,
                    error);
}

static clsa_model *open_model(const char *index, unsigned threads)
{
    clsa_model *model;
    clsa_error error;
    ck_assert_msg(try_model(&model, index, threads, &error) == CLSA_OK, "%s",
                  error.message);
    return model;
}

/* How a session of a test is opened. */
struct how {
    const char *policy, *prompt;
    uint32_t block;
    uint64_t context;
};

static clsa_session_options options_of(const struct how *how)
{
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.index_type = CLSA_TYPE_F32;
    options.attention = how->policy;
    options.prompt_attention = how->prompt;
    /* "own" takes minutes for the real model */
    options.prefill = getenv("QUICK") ? "f32" : "own";
    options.prefill_block = how->block;
    options.context = how->context;
    return options;
}

static clsa_session *open_session(clsa_model *model, const struct how *how)
{
    const clsa_session_options options = options_of(how);
    clsa_session *session;
    clsa_error error;
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* ------------------------------------------------------------------- cases */

struct golden {
    const struct set *set;
    json_t *cases;
    float *logits; /* [cases][vocab] */
    size_t vocab;
};

static void open_golden(struct golden *g, const struct set *set)
{
    char file[40];
    json_error_t where;
    g->set = set;
    snprintf(file, sizeof file, "%s.json", set->name);
    g->cases = json_load_file(shared_path(set->folder, file), 0, &where);
    ck_assert_msg(g->cases != NULL, "%s: %s", file, where.text);
    snprintf(file, sizeof file, "%s.f32", set->name);
    FILE *f = fopen(shared_path(set->folder, file), "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    const size_t size = (size_t)ftell(f);
    rewind(f);
    g->logits = malloc(size);
    ck_assert_uint_eq(fread(g->logits, 1, size, f), size);
    fclose(f);
    g->vocab = size / sizeof(float) / json_array_size(g->cases);
}

static void close_golden(struct golden *g)
{
    json_decref(g->cases);
    free(g->logits);
}

static const char *text_of(const json_t *entry, const char *name)
{
    return json_string_value(json_object_get(entry, name));
}

static int32_t *ids_of(const json_t *entry, size_t *n)
{
    const json_t *list = json_object_get(entry, "ids");
    *n = json_array_size(list);
    int32_t *ids = malloc(*n * sizeof *ids);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

/* ------------------------------------------------------------- comparisons */

static void check_logits(const struct golden *g, const json_t *entry,
                         const char *policy, const float *z)
{
    const size_t row =
        (size_t)json_integer_value(json_object_get(entry, "row"));
    const float *want = g->logits + row * g->vocab;
    const bool chosen =
        strncmp(policy, "clsa", 4) == 0 || strncmp(policy, "anchors", 7) == 0;
    double worst = 0, largest = 0;
    for (size_t i = 0; i < g->vocab; i++) {
        worst = fmax(worst, fabs((double)z[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    ck_assert_msg(worst <= (chosen ? g->set->chosen : g->set->fixed) * largest,
                  "case %zu, %s: %g of %g apart", row, policy, worst, largest);
}

static size_t count_missing(const json_t *want, const uint32_t *rows,
                            size_t count)
{
    size_t missing = 0;
    for (size_t i = 0, j = 0; i < json_array_size(want); i++) {
        const uint32_t row =
            (uint32_t)json_integer_value(json_array_get(want, i));
        while (j < count && rows[j] < row)
            j++;
        missing += j == count || rows[j] != row;
    }
    return missing;
}

/* The layer that reads what a layer has chosen: itself, or the one after an
   anchor; -1: the next one is an anchor, too. */
static int reader_of(const json_t *lists, int layer, const char *policy)
{
    char next[12];
    if (strncmp(policy, "anchors", 7) != 0)
        return layer;
    snprintf(next, sizeof next, "%d", layer + 1);
    return json_object_get(lists, next) ? -1 : layer + 1;
}

/* The rows that were chosen at each layer. */
static void check_rows(const clsa_session *session, const json_t *entry,
                       const char *policy)
{
    const json_t *lists = json_object_get(entry, "rows");
    const char *layer;
    json_t *want;
    json_object_foreach((json_t *)lists, layer, want)
    {
        const uint32_t *rows;
        size_t count;
        const int reader = reader_of(lists, atoi(layer), policy);
        if (reader < 0)
            continue;
        ck_assert_int_eq(
            clsa_session_layer_rows(session, (uint32_t)reader, &rows, &count),
            CLSA_OK);
        if (!rows) {
            ck_assert_uint_eq(json_array_size(want),
                              clsa_session_length(session));
            continue;
        }
        ck_assert_uint_eq(count, json_array_size(want));
        const size_t missing = count_missing(want, rows, count);
        ck_assert_msg((double)(2 * missing) <=
                          fmax(TIES_LEAST, TIES_SHARE * (double)count),
                      "%s, layer %s: %zu of %zu rows are others", policy, layer,
                      missing, count);
    }
}

static bool is_dense_prompt(const json_t *entry)
{
    const char *prompt = text_of(entry, "prompt");
    return !prompt || strcmp(prompt, "dense") == 0;
}

/* Whether two cases read the same tokens densely before the last one. */
static bool share_prompt(const json_t *a, const json_t *b)
{
    return a && is_dense_prompt(a) && is_dense_prompt(b) &&
           json_equal(json_object_get(a, "ids"), json_object_get(b, "ids"));
}

/* A session that has read all but the last id. */
static clsa_session *read_prompt(clsa_model *model, const json_t *entry,
                                 const int32_t *ids, size_t n)
{
    const struct how how = {text_of(entry, "policy"), text_of(entry, "prompt"),
                            0, n};
    const clsa_append_options only_read = {.want = CLSA_WANT_NONE};
    clsa_session *session = open_session(model, &how);
    ck_assert_int_eq(clsa_session_append(session, ids, n - 1, &only_read, NULL),
                     CLSA_OK);
    return session;
}

static void check_case(const struct golden *g, clsa_session *session,
                       const json_t *entry, int32_t last)
{
    const char *policy = text_of(entry, "policy");
    ck_assert_int_eq(clsa_session_set_attention(session, policy, NULL),
                     CLSA_OK);
    suite_append(session, &last, 1);
    check_logits(g, entry, policy, clsa_session_logits(session));
    check_rows(session, entry, policy);
    clsa_session_truncate(session, clsa_session_length(session) - 1, NULL);
}

/* Texts that `make check` has time for; one token alone is for check_real. */
#define SHORT 1600

/* The model of a set, with a side file. */
static clsa_model *open_of(const struct set *set, const char *index)
{
    char path[1200];
    clsa_model *model;
    clsa_error error;
    if (set != &sets[REAL])
        return open_model(index, 2);
    snprintf(path, sizeof path, "%s/%s", getenv("CLSA_REAL"), set->model);
    ck_assert_msg(try_file(&model, path, index, 2, &error) == CLSA_OK, "%s",
                  error.message);
    return model;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What cases one after the other go on with. */
struct open {
    clsa_model *model;
    clsa_session *session;
    const json_t *before;
};

/* A session that has read what precedes the last token of a case: the one of
   the case before it, or a new one. */
static void prepare(struct open *o, const struct set *set, const json_t *entry,
                    const int32_t *ids, size_t n)
{
    const char *index = text_of(entry, "index");
    const bool same_model =
        o->before && same_text(text_of(o->before, "index"), index);
    if (same_model && share_prompt(o->before, entry))
        return;
    clsa_session_close(o->session);
    if (!same_model) {
        clsa_model_close(o->model);
        o->model = open_of(set, index);
    }
    o->session = read_prompt(o->model, entry, ids, n);
}

START_TEST(rows_and_logits_are_those_of_the_reference)
{
    struct golden g;
    struct open o = {.model = NULL};
    if (!has_data())
        return;
    open_golden(&g, &sets[_i]);
    for (size_t i = 0; i < json_array_size(g.cases); i++) {
        const json_t *entry = json_array_get(g.cases, i);
        size_t n;
        int32_t *ids = ids_of(entry, &n);
        if (n > 1 && (n <= SHORT || getenv("CLSA_LONG"))) {
            prepare(&o, g.set, entry, ids, n);
            check_case(&g, o.session, entry, ids[n - 1]);
            o.before = entry;
        }
        free(ids);
    }
    clsa_session_close(o.session);
    clsa_model_close(o.model);
    close_golden(&g);
}
END_TEST

/* --------------------------------------------------------------- same bits */

#define SITES "qwen3-tiny-2sites.clsa.gguf"

/* The longest text of the golden data. */
static int32_t *long_text(void)
{
    size_t n;
    struct golden g;
    open_golden(&g, &sets[1]);
    int32_t *ids =
        ids_of(json_array_get(g.cases, json_array_size(g.cases) - 1), &n);
    close_golden(&g);
    return ids;
}

static void check_same(const char *what, clsa_session *a, clsa_session *b)
{
    const size_t vocab = 8192;
    ck_assert_msg(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                         vocab * sizeof(float)) == 0,
                  "%s: other bits", what);
}

/* Policies of both kinds, with prompts of both. */
static const struct how hows[] = {
    {"clsa:128", "dense", 0, 800},
    {"clsa:128", "policy", 0, 800},
    {"anchors:128:2,5,9", "dense", 0, 800},
    {"anchors:128:2,5,9", "policy", 0, 800},
};

#define HOWS ((int)(sizeof hows / sizeof *hows))

/* Threads and blocks do not show. */
START_TEST(threads_and_blocks_give_the_same_bits)
{
    if (!has_data())
        return;
    int32_t *ids = long_text();
    struct how how = hows[_i];
    clsa_model *two = open_model(SITES, 2), *three = open_model(SITES, 3);
    clsa_session *a = open_session(two, &how);
    how.block = 37;
    clsa_session *b = open_session(three, &how);
    suite_append(a, ids, 300);
    suite_append(b, ids, 300);
    check_same(how.policy, a, b);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(two);
    clsa_model_close(three);
    free(ids);
}
END_TEST

static clsa_session *save_and_load(clsa_model *model, clsa_session *session,
                                   const struct how *how)
{
    const clsa_session_options options = options_of(how);
    char path[] = "/tmp/" NAME ".XXXXXX";
    clsa_session *loaded;
    clsa_error error;
    close(mkstemp(path));
    ck_assert_msg(clsa_session_save(session, path, &error) == CLSA_OK, "%s",
                  error.message);
    ck_assert_msg(clsa_session_load(&loaded, model, path, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    unlink(path);
    return loaded;
}

/* Forks, truncation, session files and batches go on as a prompt does. */
START_TEST(sessions_give_the_same_bits)
{
    enum { N = 260, CUT = 200 };
    if (!has_data())
        return;
    int32_t *ids = long_text();
    const struct how *how = &hows[_i];
    clsa_model *model = open_model(SITES, 2);
    clsa_session *plain = open_session(model, how), *fork, *loaded;
    suite_append(plain, ids, N);
    suite_append(plain, ids + N, 1);
    clsa_session *cut = open_session(model, how);
    suite_append(cut, ids, N);
    ck_assert_int_eq(clsa_session_fork(cut, &fork, NULL), CLSA_OK);
    loaded = save_and_load(model, cut, how);
    suite_append(cut, ids + CUT, 9);
    ck_assert_int_eq(clsa_session_truncate(cut, N, NULL), CLSA_OK);
    clsa_session *const batch[] = {cut, fork, loaded};
    const int32_t last[] = {ids[N], ids[N], ids[N]};
    ck_assert_int_eq(clsa_batch_append(batch, last, 3, NULL), CLSA_OK);
    for (size_t i = 0; i < 3; i++) {
        check_same(how->policy, plain, batch[i]);
        clsa_session_close(batch[i]);
    }
    clsa_session_close(plain);
    clsa_model_close(model);
    free(ids);
}
END_TEST

/* As many rows as there are: every bit of dense. */
START_TEST(all_rows_are_dense)
{
    static const char *const policies[] = {"clsa:300", "anchors:300:2,9"};
    if (!has_data())
        return;
    int32_t *ids = long_text();
    clsa_model *model = open_model("qwen3-tiny-h8.clsa.gguf", 2);
    const struct how dense = {"dense", NULL, 0, 300};
    for (unsigned i = 0; i < 4; i++) {
        const struct how how = {policies[i / 2], i % 2 ? "policy" : "dense", 0,
                                300};
        clsa_session *a = open_session(model, &dense);
        clsa_session *b = open_session(model, &how);
        suite_append(a, ids, 300);
        suite_append(b, ids, 300);
        check_same(how.policy, a, b);
        clsa_session_close(a);
        clsa_session_close(b);
    }
    clsa_model_close(model);
    free(ids);
}
END_TEST

/* ------------------------------------------------------------- rows, limits */

/* Layers outside of those that read all rows read K at most. */
START_TEST(rows_are_few)
{
    enum { N = 700, K = 128, WINDOW = 204, LAYERS = 12, FIRST = 2 };
    if (!has_data())
        return;
    int32_t *ids = long_text();
    clsa_model *model = open_model(SITES, 2);
    const struct how how = {"clsa:128", NULL, 0, N};
    clsa_session *session = open_session(model, &how);
    clsa_session_stats stats;
    suite_append(session, ids, N);
    for (uint32_t i = 0; i < LAYERS; i++) {
        const uint32_t *rows;
        size_t count;
        clsa_session_layer_rows(session, i, &rows, &count);
        ck_assert_ptr_nonnull(rows);
        ck_assert_uint_eq(count, i < FIRST ? WINDOW : K);
        ck_assert_uint_eq(rows[0], 0);
        ck_assert_uint_eq(rows[count - 1], N - 1);
    }
    clsa_session_get_stats(session, &stats, sizeof stats);
    ck_assert_uint_eq(stats.rows_read,
                      (FIRST * WINDOW + (LAYERS - FIRST) * K + LAYERS / 2) /
                          LAYERS);
    ck_assert_int_eq(
        clsa_session_set_attention(session, "anchors:128:3,9", NULL), CLSA_OK);
    clsa_session_truncate(session, N - 1, NULL);
    suite_append(session, ids + N - 1, 1);
    clsa_session_get_stats(session, &stats, sizeof stats);
    ck_assert_uint_eq(stats.rows_read, (5 * N + 7 * K + LAYERS / 2) / LAYERS);
    clsa_session_close(session);
    clsa_model_close(model);
    free(ids);
}
END_TEST

/* Policies and messages. */
static const char *const refused[][2] = {
    {"clsa:5", "use 6 or more"},     {"anchors:5", "use 6 or more"},
    {"anchors:64:9,2", "ascending"}, {"anchors:64:12", "no cache"},
    {"anchors:64:", "unknown"},      {"anchors:64:2,,3", "unknown"},
};

#define REFUSED ((int)(sizeof refused / sizeof *refused))

START_TEST(bad_policies_are_refused)
{
    if (!has_data())
        return;
    clsa_model *model = open_model(NULL, 1);
    const struct how how = {refused[_i][0], NULL, 0, 64};
    const clsa_session_options options = options_of(&how);
    clsa_session *session;
    clsa_error error;
    ck_assert_int_eq(clsa_session_open(&session, model, &options, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_msg(strstr(error.message, refused[_i][1]) != NULL, "%s",
                  error.message);
    clsa_model_close(model);
}
END_TEST

/* A side file of another model, and one that is none. */
START_TEST(foreign_side_files_are_refused)
{
    clsa_model *model;
    clsa_error error;
    if (!has_data())
        return;
    ck_assert_int_eq(try_model(&model, "smollm2-135m-h8.clsa.gguf", 1, &error),
                     CLSA_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(error.message, "architecture"));
    ck_assert_int_eq(try_model(&model, model_name, 1, &error), CLSA_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "general.type"));
    ck_assert_int_eq(try_model(&model, "no-such.gguf", 1, &error), CLSA_ERR_IO);
}
END_TEST

int main(void)
{
    const bool real = getenv("CLSA_REAL") != NULL;
    Suite *suite = suite_create(NAME);
    TCase *t = tcase_create("golden");
    tcase_set_timeout(t, 0);
    suite_add_tcase(suite, t);
    tcase_add_loop_test(t, rows_and_logits_are_those_of_the_reference,
                        real ? REAL : 0, real ? SETS : REAL);
    if (real)
        return suite_run(suite, CK_NOFORK);
    tcase_add_loop_test(t, threads_and_blocks_give_the_same_bits, 0, HOWS);
    tcase_add_loop_test(t, sessions_give_the_same_bits, 0, HOWS);
    tcase_add_test(t, all_rows_are_dense);
    tcase_add_test(t, rows_are_few);
    tcase_add_loop_test(t, bad_policies_are_refused, 0, REFUSED);
    tcase_add_test(t, foreign_side_files_are_refused);
    return suite_run(suite, CK_NOFORK);
}
