/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small models of random weights, one for each variant of the network, at
 * every SIMD level of this CPU, against the logits and the selected rows of
 * tests/reference/clsa_ref.py (tests/make_models.py writes both). Folder:
 * CLSA_TEST_DATA, default "tests/data".
 */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa.h"
#include "tests/suite.h"

/* Largest difference relative to the largest logit. With block weights the
   activations are quantized to 8 bits, which the reference does not do; with
   weights of Q4_1 or Q5_1 among them, to two planes of 8 bits. */
#define FLOAT_BOUND 1e-4
#define FINE_BOUND  5e-4
#define BLOCK_BOUND 5e-2

static const char *folder;

static const char *path_of(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static double bound_of(const clsa_model *model)
{
    clsa_tensor_info info;
    double bound = FLOAT_BOUND;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &info, sizeof info);
        if (info.type == CLSA_TYPE_Q4_1 || info.type == CLSA_TYPE_Q5_1)
            return FINE_BOUND;
        if (clsa_type_row_bytes(info.type, 256) < 512) /* of 16 bits */
            bound = BLOCK_BOUND;
    }
    return bound;
}

/* A list of rows, or one for each layer; the rows of dense are not told. */
static void check_rows(const json_t *expected, const clsa_session *session,
                       const char *name, const char *policy)
{
    int lists = json_is_array(json_array_get(expected, 0));
    size_t layers = lists ? json_array_size(expected) : 1, count;
    for (size_t layer = 0; layer < layers; layer++) {
        const json_t *want = lists ? json_array_get(expected, layer) : expected;
        const uint32_t *rows;
        ck_assert_int_eq(
            clsa_session_layer_rows(session, (uint32_t)layer, &rows, &count),
            CLSA_OK);
        if (!rows && strcmp(policy, "dense") == 0)
            return;
        ck_assert_msg(rows && count == json_array_size(want),
                      "%s, %s: not as many rows", name, policy);
        for (size_t i = 0; i < count; i++)
            ck_assert_msg(rows[i] ==
                              json_integer_value(json_array_get(want, i)),
                          "%s, %s: layer %zu reads row %u as number %zu", name,
                          policy, layer, rows[i], i);
    }
    if (!lists)
        return;
    const uint32_t *last, *rows;
    ck_assert_int_eq(
        clsa_session_layer_rows(session, (uint32_t)layers - 1, &rows, &count),
        CLSA_OK);
    ck_assert_int_eq(clsa_session_rows(session, &last, &count), CLSA_OK);
    ck_assert_uint_eq(count,
                      json_array_size(json_array_get(expected, layers - 1)));
    ck_assert_mem_eq(last, rows, count * sizeof *last);
}

static void check_logits(const json_t *expected, const float *logits,
                         double bound, const char *name, const char *policy)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        double wanted = json_number_value(json_array_get(expected, i));
        worst = fmax(worst, fabs((double)logits[i] - wanted));
        largest = fmax(largest, fabs(wanted));
    }
    ck_assert_msg(worst <= bound * largest, "%s, %s: %g of %g apart", name,
                  policy, worst, largest);
}

/* The last third token by token gives the same bits. */
static void check_singly(const clsa_session *whole, const int32_t *ids,
                         size_t count, const clsa_session_options *options,
                         clsa_model *model, const char *name)
{
    clsa_model_info info;
    clsa_session *session;
    size_t first = count - count / 3;
    clsa_model_get_info(model, &info, sizeof info);
    ck_assert_int_eq(clsa_session_open(&session, model, options, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(session, ids, first, NULL, NULL),
                     CLSA_OK);
    for (size_t i = first; i < count; i++)
        ck_assert_int_eq(clsa_session_append(session, ids + i, 1, NULL, NULL),
                         CLSA_OK);
    ck_assert_msg(memcmp(clsa_session_logits(whole),
                         clsa_session_logits(session),
                         info.vocab * sizeof(float)) == 0,
                  "%s, %s: token by token differs", name, options->attention);
    clsa_session_close(session);
}

static void run_case(clsa_model *model, const json_t *entry, const char *name)
{
    const json_t *list = json_object_get(entry, "ids");
    const char *policy = json_string_value(json_object_get(entry, "policy"));
    size_t count = json_array_size(list);
    int32_t *ids = malloc(count * sizeof *ids);
    const double bound = bound_of(model);
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    clsa_session_options_init(&options);
    options.kv_type = options.index_type = CLSA_TYPE_F32;
    options.attention = policy;
    options.context = count;
    options.prefill = "own";
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s: %s", name, error.message);
    ck_assert_int_eq(clsa_session_append(session, ids, count, NULL, NULL),
                     CLSA_OK);
    check_logits(json_object_get(entry, "logits"), clsa_session_logits(session),
                 bound, name, policy);
    if (bound < BLOCK_BOUND)
        check_rows(json_object_get(entry, "rows"), session, name, policy);
    check_singly(session, ids, count, &options, model, name);
    clsa_session_close(session);
    free(ids);
}

/* Runs all cases of a model; returns their number. */
static size_t run_model(const char *name, const char *level)
{
    clsa_model_options options;
    clsa_model *model;
    clsa_error error;
    json_error_t where;
    json_t *root = json_load_file(path_of(name), 0, &where);
    ck_assert_msg(root != NULL, "%s: %s", name, where.text);
    const char *file = json_string_value(json_object_get(root, "model"));
    const json_t *cases = json_object_get(root, "cases");
    clsa_model_options_init(&options);
    options.simd = level;
    ck_assert_msg(clsa_model_open(&model, path_of(file), &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    size_t count = 0;
    for (; count < json_array_size(cases); count++)
        run_case(model, json_array_get(cases, count), name);
    clsa_model_close(model);
    json_decref(root);
    return count;
}

START_TEST(models)
{
    const char *level = clsa_simd_levels()[_i];
    size_t cases = 0, length;
    struct dirent *entry;
    DIR *list = opendir(folder);
    ck_assert_msg(list != NULL, "%s cannot be read", folder);
    while ((entry = readdir(list))) {
        length = strlen(entry->d_name);
        if (strncmp(entry->d_name, "good-", 5) == 0 && length > 5 &&
            strcmp(entry->d_name + length - 5, ".json") == 0)
            cases += run_model(entry->d_name, level);
    }
    closedir(list);
    ck_assert_uint_ge(cases, 150);
}
END_TEST

START_TEST(unknown_backends_are_refused)
{
    clsa_session_options options;
    clsa_model *model;
    clsa_session *session;
    clsa_error error;
    ck_assert_int_eq(
        clsa_model_open(&model, path_of("good-clsa.gguf"), NULL, NULL),
        CLSA_OK);
    clsa_session_options_init(&options);
    options.prefill = "int4";
    ck_assert_int_eq(clsa_session_open(&session, model, &options, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "int4"));
    clsa_model_close(model);
}
END_TEST

int main(void)
{
    int levels = 0;
    folder = getenv("CLSA_TEST_DATA");
    if (!folder)
        folder = "tests/data";
    while (clsa_simd_levels()[levels])
        levels++;
    Suite *suite = suite_create("models");
    TCase *tc = tcase_create("good");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, models, 0, levels);
    tcase_add_test(tc, unknown_backends_are_refused);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
