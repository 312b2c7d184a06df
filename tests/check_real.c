/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SmolLM2-135M-Instruct as people have it, against golden-real: logits after
 * texts of up to 1500 tokens, read densely by default, the ids of chats, and
 * greedy answers as long as the best token leads by more than rounding. Run by
 * tests/real.sh; check_golden_dense has all policies with the own kernels.
 *
 * Environment: CLSA_REAL, the folder of the model; CLSA_SHARED, the folder of
 * golden-real (default ../shared).
 */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa.h"
#include "clsa_text.h"
#include "tests/suite.h"

#define MODEL "SmolLM2-135M-Instruct.Q4_1.gguf"
#define BOUND 2e-2 /* of the largest logit */
#define LEAD  0.05 /* of the best logit over the second, in logits */

static clsa_model *model;
static clsa_model_info info;

static const char *shared_path(const char *name)
{
    static char path[1200];
    const char *shared = getenv("CLSA_SHARED");
    snprintf(path, sizeof path, "%s/golden-real/%s",
             shared ? shared : "../shared", name);
    return path;
}

static json_t *load_list(const char *name)
{
    json_error_t where;
    json_t *list = json_load_file(shared_path(name), 0, &where);
    ck_assert_msg(json_is_array(list), "%s: %s", shared_path(name), where.text);
    return list;
}

/* The ids of a list; to be released. */
static int32_t *load_ids(const json_t *list, size_t *n)
{
    *n = json_array_size(list);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static clsa_session *open_session(uint64_t context, const char *policy)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    clsa_session_options_init(&options);
    options.context = context;
    options.attention = policy;
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* ------------------------------------------------------------------ logits */

static void check_case(const json_t *entry, size_t number, FILE *logits)
{
    const size_t vocab = info.vocab;
    size_t n;
    int32_t *ids = load_ids(json_object_get(entry, "ids"), &n);
    float *want = malloc(vocab * sizeof *want);
    const long row = (long)json_integer_value(json_object_get(entry, "row"));
    ck_assert_int_eq(
        fseek(logits, row * (long)(vocab * sizeof *want), SEEK_SET), 0);
    ck_assert_uint_eq(fread(want, sizeof *want, vocab, logits), vocab);
    clsa_session *session = open_session(n, "dense");
    suite_append(session, ids, n);
    const float *z = clsa_session_logits(session);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < vocab; i++) {
        worst = fmax(worst, fabs((double)(z[i] - want[i])));
        largest = fmax(largest, fabs((double)want[i]));
    }
    printf("logits, case %zu, %zu tokens: %.2g of the largest\n", number, n,
           worst / largest);
    ck_assert_msg(worst <= BOUND * largest, "case %zu: %g of %g apart", number,
                  worst, largest);
    ck_assert_uint_eq(suite_argmax(z, vocab), suite_argmax(want, vocab));
    clsa_session_close(session);
    free(want);
    free(ids);
}

/* With the products that prompts have by default. */
START_TEST(dense_logits)
{
    json_t *list = load_list("logits.json");
    FILE *file = fopen(shared_path("logits.f32"), "rb");
    size_t count = 0;
    ck_assert_msg(file != NULL, "%s", shared_path("logits.f32"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *policy =
            json_string_value(json_object_get(entry, "policy"));
        if (strcmp(policy, "dense") != 0)
            continue;
        check_case(entry, i, file);
        count++;
    }
    ck_assert_uint_gt(count, 0);
    fclose(file);
    json_decref(list);
}
END_TEST

/* ------------------------------------------------------------------- chats */

static void check_prompt(const json_t *chat, const int32_t *ids, size_t n)
{
    const char *text = json_string_value(json_object_get(chat, "prompt"));
    int32_t *own;
    clsa_error error;
    size_t count;
    ck_assert_msg(clsa_tokenize(model, text, strlen(text),
                                CLSA_TOKENIZE_SPECIAL, &own, &count,
                                &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_uint_eq(count, n);
    ck_assert_msg(memcmp(own, ids, n * sizeof *own) == 0, "other ids of: %s",
                  text);
    clsa_free(own);
}

/* The same answer, as long as the best token leads. */
static void check_answer(const json_t *chat, size_t number, const int32_t *ids,
                         size_t n)
{
    const json_t *gaps = json_object_get(chat, "gaps");
    size_t count, same = 0;
    int32_t *answer = load_ids(json_object_get(chat, "answer_ids"), &count);
    clsa_session *session = open_session(n + count, "dense");
    suite_append(session, ids, n);
    for (; same < count; same++) {
        const int32_t id =
            (int32_t)suite_argmax(clsa_session_logits(session), info.vocab);
        const double lead = json_number_value(json_array_get(gaps, same));
        if (id != answer[same]) {
            ck_assert_msg(lead <= LEAD,
                          "chat %zu, token %zu: %d, not %d, which leads by %g",
                          number, same, id, answer[same], lead);
            break;
        }
        if (same + 1 < count)
            suite_append(session, answer + same, 1);
    }
    printf("chat %zu: %zu of %zu tokens\n", number, same, count);
    clsa_session_close(session);
    free(answer);
}

START_TEST(greedy)
{
    json_t *list = load_list("greedy.json");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *chat = json_array_get(list, i);
        size_t n;
        int32_t *ids = load_ids(json_object_get(chat, "prompt_ids"), &n);
        check_prompt(chat, ids, n);
        check_answer(chat, i, ids, n);
        free(ids);
    }
    ck_assert_uint_gt(json_array_size(list), 0);
    json_decref(list);
}
END_TEST

static void open_model(void)
{
    char path[1200];
    clsa_error error;
    const char *folder = getenv("CLSA_REAL");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", MODEL);
    ck_assert_msg(clsa_model_open(&model, path, NULL, &error) == CLSA_OK, "%s",
                  error.message);
    clsa_model_get_info(model, &info, sizeof info);
}

static void close_model(void)
{
    clsa_model_close(model);
}

int main(void)
{
    Suite *suite = suite_create("real");
    TCase *tc = tcase_create("real");
    tcase_set_timeout(tc, 600);
    tcase_add_unchecked_fixture(tc, open_model, close_model);
    tcase_add_test(tc, dense_logits);
    tcase_add_test(tc, greedy);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
