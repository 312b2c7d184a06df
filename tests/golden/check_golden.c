/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden data from an independent implementation: logits, selected rows and
 * losses of the real model. The files are read where they lie, in the folder
 * CLSA_SHARED (default: ../shared beside the source tree); without it the
 * whole program is skipped, and says so. Under an emulator (CLSA_EMULATOR) long
 * texts are left out, and that is said, too.
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clsa.h"
#include "tests/suite.h"

static char shared[1000];

/* Texts of more tokens are left out; this many under an emulator. */
#define EMULATED 256
static size_t longest = SIZE_MAX;

static bool left_out(const json_t *entry, const char *what)
{
    const size_t count = json_array_size(json_object_get(entry, "ids"));
    if (count <= longest)
        return false;
    printf("SKIP check_golden %s of %zu tokens, %s: an emulator is too slow\n",
           what, count, json_string_value(json_object_get(entry, "policy")));
    return true;
}

static const char *shared_path(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, "%s/%s", shared, name);
    return path;
}

static clsa_model *open_model(const char *name)
{
    clsa_model *model;
    clsa_error error;
    ck_assert_msg(clsa_model_open(&model, shared_path(name), NULL, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return model;
}

static json_t *load_json(const char *name)
{
    json_error_t error;
    json_t *root = json_load_file(shared_path(name), 0, &error);
    ck_assert_msg(root != NULL, "%s: %s", name, error.text);
    return root;
}

static int32_t *load_ids(const json_t *list, size_t *count)
{
    *count = json_array_size(list);
    int32_t *ids = malloc(*count * sizeof *ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static clsa_session *open_exact(clsa_model *model, const char *policy,
                                size_t context)
{
    clsa_session *session;
    clsa_session_options options;
    clsa_error error;
    clsa_session_options_init(&options);
    options.kv_type = options.index_type = CLSA_TYPE_F32;
    options.prefill = "own";
    options.attention = policy;
    options.context = context;
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* Distance of the two largest values. */
static double margin(const float *x, size_t n)
{
    size_t best = suite_argmax(x, n);
    double second = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (i != best && (double)x[i] > second)
            second = (double)x[i];
    return (double)x[best] - second;
}

/* Rows that only one of two ascending lists has. */
static size_t rows_apart(const json_t *expected, const uint32_t *rows,
                         size_t count)
{
    size_t i = 0, j = 0, n = json_array_size(expected), apart = 0;
    while (i < n || j < count) {
        uint64_t a =
            i < n ? (uint64_t)json_integer_value(json_array_get(expected, i))
                  : UINT64_MAX;
        uint64_t b = j < count ? rows[j] : UINT64_MAX;
        apart += a != b;
        i += a <= b;
        j += b <= a;
    }
    return apart;
}

static void check_rows(const json_t *entry, const clsa_session *session)
{
    const json_t *expected = json_object_get(entry, "rows");
    size_t count;
    const uint32_t *rows;
    ck_assert_int_eq(clsa_session_rows(session, &rows, &count), CLSA_OK);
    if (!json_is_array(expected))
        return;
    ck_assert(rows != NULL);
    ck_assert_uint_eq(count, json_array_size(expected));
    ck_assert_msg(rows_apart(expected, rows, count) == 0,
                  "row %lld: %zu rows differ",
                  json_integer_value(json_object_get(entry, "row")),
                  rows_apart(expected, rows, count));
}

static void check_logits(const json_t *entry, const float *golden,
                         const float *logits, size_t vocab)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < vocab; i++) {
        worst = fmax(worst, fabs((double)logits[i] - (double)golden[i]));
        largest = fmax(largest, fabs((double)golden[i]));
    }
    long long row = json_integer_value(json_object_get(entry, "row"));
    ck_assert_msg(worst <= 2e-3 * largest, "row %lld: %g of %g apart", row,
                  worst, largest);
    ck_assert_uint_eq(suite_argmax(logits, vocab), suite_argmax(golden, vocab));
}

/* Runs one golden entry; what == 0: all logits, 1: argmax where it is clear. */
static void run_entry(clsa_model *model, const json_t *entry,
                      const float *golden, size_t vocab, int what)
{
    size_t count;
    int32_t *ids = load_ids(json_object_get(entry, "ids"), &count);
    const char *policy = json_string_value(json_object_get(entry, "policy"));
    clsa_session *session = open_exact(model, policy, count);
    clsa_error error;
    ck_assert_msg(clsa_session_append(session, ids, count, NULL, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    const float *logits = clsa_session_logits(session);
    if (what == 0) {
        check_logits(entry, golden, logits, vocab);
        check_rows(entry, session);
    } else if (margin(golden, vocab) >= 0.05) {
        ck_assert_msg(suite_argmax(logits, vocab) ==
                          suite_argmax(golden, vocab),
                      "%zu tokens, %s: %zu instead of %zu", count, policy,
                      suite_argmax(logits, vocab), suite_argmax(golden, vocab));
    }
    clsa_session_close(session);
    free(ids);
}

static void run_logits(const char *name, int what)
{
    clsa_model *model = open_model(name);
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    json_t *entries = load_json("golden/logits.json");
    FILE *file = fopen(shared_path("golden/logits.f32"), "rb");
    float *golden = malloc(info.vocab * sizeof *golden);
    ck_assert(file && golden && json_array_size(entries) > 0);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        long row = (long)json_integer_value(json_object_get(entry, "row"));
        if (left_out(entry, "logits"))
            continue;
        fseek(file, row * (long)info.vocab * 4, SEEK_SET);
        ck_assert_uint_eq(fread(golden, 4, info.vocab, file), info.vocab);
        run_entry(model, entry, golden, info.vocab, what);
    }
    free(golden);
    fclose(file);
    json_decref(entries);
    clsa_model_close(model);
}

START_TEST(bf16_logits)
{
    run_logits("models/clsa-tiny-bf16.gguf", 0);
}
END_TEST

START_TEST(q8_0_argmax)
{
    run_logits("models/clsa-tiny-q8_0.gguf", 1);
}
END_TEST

struct losses {
    const int32_t *ids;
    size_t vocab, count;
    double sum;
};

static void add_loss(void *user, uint64_t position, const float *logits)
{
    struct losses *l = user;
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < l->vocab; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < l->vocab; i++)
        sum += exp((double)logits[i] - max);
    l->sum += max + log(sum) - (double)logits[l->ids[position + 1]];
    l->count++;
}

static void run_loss(clsa_model *model, size_t vocab, const json_t *entry)
{
    size_t count, wanted;
    int32_t *ids = load_ids(json_object_get(entry, "ids"), &count);
    int32_t *at = load_ids(json_object_get(entry, "positions"), &wanted);
    const char *policy = json_string_value(json_object_get(entry, "policy"));
    double expected = json_number_value(json_object_get(entry, "loss"));
    uint8_t *mask = calloc(count, 1);
    struct losses l = {.ids = ids, .vocab = vocab};
    clsa_append_options how = {.want = CLSA_WANT_MASK,
                               .mask = mask,
                               .on_logits = add_loss,
                               .user = &l};
    clsa_session *session = open_exact(model, policy, count);
    for (size_t i = 0; i < wanted; i++)
        mask[at[i]] = 1;
    ck_assert_int_eq(clsa_session_append(session, ids, count - 1, &how, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(l.count, wanted);
    ck_assert_msg(fabs(l.sum / (double)l.count - expected) <= 2e-3,
                  "%s: loss %.6f instead of %.6f", policy,
                  l.sum / (double)l.count, expected);
    clsa_session_close(session);
    free(mask);
    free(at);
    free(ids);
}

START_TEST(bf16_loss)
{
    clsa_model *model = open_model("models/clsa-tiny-bf16.gguf");
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    json_t *entries = load_json("golden/loss.json");
    ck_assert(json_array_size(entries) > 0);
    for (size_t i = 0; i < json_array_size(entries); i++)
        if (!left_out(json_array_get(entries, i), "loss"))
            run_loss(model, info.vocab, json_array_get(entries, i));
    json_decref(entries);
    clsa_model_close(model);
}
END_TEST

int main(void)
{
    const char *srcdir = getenv("srcdir"), *folder = getenv("CLSA_SHARED");
    if (folder)
        snprintf(shared, sizeof shared, "%s", folder);
    else
        snprintf(shared, sizeof shared, "%s/../shared", srcdir ? srcdir : ".");
    if (access(shared_path("golden/logits.json"), R_OK)) {
        printf("SKIPPED: no golden data in %s (see CLSA_SHARED)\n", shared);
        return 77;
    }
    const char *emulator = getenv("CLSA_EMULATOR");
    if (emulator && *emulator)
        longest = EMULATED;
    Suite *suite = suite_create("golden");
    TCase *tc = tcase_create("logits");
    tcase_set_timeout(tc, 1200);
    tcase_add_test(tc, bf16_logits);
    tcase_add_test(tc, q8_0_argmax);
    tcase_add_test(tc, bf16_loss);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
