/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architectures against golden data: tiny models of each, as llama.cpp writes
 * them, whose logits another implementation has computed. They are read as a
 * prompt and token by token, with a session file in between. Kernels that
 * multiply bf16 weights by floats come within 1e-4 of the largest logit; where
 * a level rounds activations it is 2e-2, with the same best token unless two
 * are close.
 *
 * Environment: CLSA_SHARED, the folder of golden-arch (default ../shared).
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
#include "src/engine/model.h"
#include "tests/golden_arch.h"
#include "tests/suite.h"

#define EXACT   1e-4 /* of the largest logit */
#define ROUNDED 2e-2 /* the last of a text; the worst of all tokens: */
#define WORST   8e-2
#define CLOSE   5e-2 /* two logits, of which either may be the best */

/* ------------------------------------------------------------- comparisons */

struct check {
    const struct golden *g;
    const struct text *t;
    double bound;
    size_t calls;
};

static void check_logits(const struct check *c, size_t position, const float *z,
                         const float *want)
{
    const size_t vocab = c->g->vocab;
    double worst = 0;
    for (size_t i = 0; i < vocab; i++)
        worst = fmax(worst, fabs((double)z[i] - (double)want[i]));
    ck_assert_msg(worst <= c->bound * c->g->largest,
                  "%s, token %zu of %zu: %g of %g apart", c->g->name, position,
                  c->t->n, worst, c->g->largest);
    const double gap = (double)(want[suite_argmax(want, vocab)] -
                                want[suite_argmax(z, vocab)]);
    ck_assert_msg(gap <= CLOSE * c->g->largest,
                  "%s, token %zu: another is best by %g", c->g->name, position,
                  gap);
}

/* `on_logits` of an append. */
static void check_row(void *user, uint64_t position, const float *z)
{
    struct check *c = user;
    check_logits(c, (size_t)position, z, c->t->want + position * c->g->vocab);
    c->calls++;
}

/* Logits after all tokens of a prompt. */
static void check_prompt(struct check *c, const char *prefill, uint32_t block)
{
    clsa_session *session = open_session(c->g, c->t, prefill, block);
    uint8_t *mask = malloc(c->t->n);
    const clsa_append_options how = {.want = CLSA_WANT_MASK,
                                     .mask = mask,
                                     .on_logits = check_row,
                                     .user = c};
    clsa_error error;
    memset(mask, 1, c->t->n);
    c->calls = 0;
    ck_assert_msg(clsa_session_append(session, c->t->ids, c->t->n, &how,
                                      &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_uint_eq(c->calls, c->t->n);
    free(mask);
    clsa_session_close(session);
}

/* The last logits of a prompt of which no others are wanted. */
static void check_last(struct check *c, const char *prefill)
{
    clsa_session *session = open_session(c->g, c->t, prefill, 16);
    clsa_error error;
    ck_assert_msg(clsa_session_append(session, c->t->ids, c->t->n, NULL,
                                      &error) == CLSA_OK,
                  "%s", error.message);
    check_row(c, c->t->n - 1, clsa_session_logits(session));
    clsa_session_close(session);
}

/* The session, by way of a file. */
static clsa_session *save_and_load(const struct check *c, clsa_session *session)
{
    const clsa_session_options options = session_options(c->t, "own", 0);
    char path[] = "/tmp/check_golden_arch.XXXXXX";
    clsa_session *loaded;
    clsa_error error;
    close(mkstemp(path));
    ck_assert_msg(clsa_session_save(session, path, &error) == CLSA_OK, "%s",
                  error.message);
    clsa_session_close(session);
    ck_assert_msg(clsa_session_load(&loaded, c->g->model, path, &options,
                                    &error) == CLSA_OK,
                  "%s", error.message);
    unlink(path);
    return loaded;
}

static void check_tokens(struct check *c)
{
    clsa_session *session = open_session(c->g, c->t, "own", 0);
    for (size_t i = 0; i < c->t->n; i++) {
        if (i == c->t->n / 2)
            session = save_and_load(c, session);
        ck_assert_int_eq(
            clsa_session_append(session, c->t->ids + i, 1, NULL, NULL),
            CLSA_OK);
        check_row(c, i, clsa_session_logits(session));
    }
    clsa_session_close(session);
}

/* ------------------------------------------------------------------- tests */

START_TEST(logits_are_those_of_others)
{
    struct golden g;
    if (!open_golden(&g, names[_i], exact_level()))
        return;
    for (size_t i = 0; i < case_count(&g); i++) {
        struct text t = text_of(&g, i);
        struct check c = {.g = &g, .t = &t, .bound = EXACT};
        check_prompt(&c, "own", 0);
        check_prompt(&c, "own", 7);
        check_last(&c, "own");
        check_tokens(&c);
        free(t.ids);
    }
    close_golden(&g);
}
END_TEST

/* Any level, and prompts as they come. */
START_TEST(other_levels_are_close)
{
    for (const char *const *simd = clsa_simd_levels(); *simd; simd++) {
        struct golden g;
        if (!open_golden(&g, names[_i], *simd))
            return;
        for (size_t i = 0; i < case_count(&g); i++) {
            struct text t = text_of(&g, i);
            struct check c = {.g = &g, .t = &t, .bound = WORST};
            check_prompt(&c, "auto", 0);
            c.bound = ROUNDED;
            check_last(&c, "auto");
            free(t.ids);
        }
        close_golden(&g);
    }
}
END_TEST

static void check_same(const struct golden *g, const clsa_session *a,
                       const clsa_session *b)
{
    ck_assert_msg(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                         g->vocab * sizeof(float)) == 0,
                  "%s: other bits", g->name);
}

static void append(clsa_session *session, const int32_t *ids, size_t n)
{
    ck_assert_int_eq(clsa_session_append(session, ids, n, NULL, NULL), CLSA_OK);
}

/* Forks, truncation and a batch go on as a prompt does. */
START_TEST(sessions_give_the_same_bits)
{
    struct golden g;
    if (!open_golden(&g, names[_i], NULL))
        return;
    struct text t = text_of(&g, json_array_size(g.cases) - 1);
    const size_t third = t.n / 3;
    clsa_session *plain = open_session(&g, &t, "own", 0), *fork;
    clsa_session *cut = open_session(&g, &t, "own", 9);
    append(plain, t.ids, t.n);
    append(cut, t.ids, third);
    append(cut, t.ids, t.n - third); /* other tokens, to be forgotten */
    ck_assert_int_eq(clsa_session_fork(cut, &fork, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_truncate(cut, third, NULL), CLSA_OK);
    append(cut, t.ids + third, t.n - 1 - third);
    ck_assert_int_eq(clsa_session_truncate(fork, 5, NULL), CLSA_OK);
    append(fork, t.ids + 5, t.n - 1 - 5);
    clsa_session *const both[] = {cut, fork};
    const int32_t last[] = {t.ids[t.n - 1], t.ids[t.n - 1]};
    ck_assert_int_eq(clsa_batch_append(both, last, 2, NULL), CLSA_OK);
    check_same(&g, plain, cut);
    check_same(&g, plain, fork);
    clsa_session_close(plain);
    clsa_session_close(cut);
    clsa_session_close(fork);
    free(t.ids);
    close_golden(&g);
}
END_TEST

/* ---------------------------------------------------------------- policies */

/* A session with a policy. */
static clsa_session *open_with(clsa_model *model, uint64_t context,
                               const char *policy)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.context = context;
    options.attention = policy;
    options.prefill = "own";
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* All tokens under a policy, together and each by itself: the same bits. */
static void check_policy(const struct golden *g, const struct text *t,
                         const char *policy)
{
    clsa_session *all = open_with(g->model, t->n, policy);
    clsa_session *each = open_with(g->model, t->n, policy);
    uint8_t *mask = malloc(t->n);
    const clsa_append_options how = {.want = CLSA_WANT_MASK, .mask = mask};
    clsa_error error;
    memset(mask, 1, t->n);
    ck_assert_msg(clsa_session_append(all, t->ids, t->n, &how, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    for (size_t i = 0; i < t->n; i++)
        append(each, t->ids + i, 1);
    check_same(g, all, each);
    free(mask);
    clsa_session_close(all);
    clsa_session_close(each);
}

/* A budget of all rows is dense attention. */
static void check_large_budget(const struct golden *g, const struct text *t)
{
    clsa_session *session = open_with(g->model, t->n, "token:4096");
    struct check c = {.g = g, .t = t, .bound = EXACT};
    append(session, t->ids, t->n);
    check_row(&c, t->n - 1, clsa_session_logits(session));
    clsa_session_close(session);
}

START_TEST(policies_select_in_each_cache)
{
    static const char *const policies[] = {"token:20", "window:9", "reuse:20:2",
                                           "sink:12"};
    struct golden g;
    if (!open_golden(&g, names[_i], exact_level()))
        return;
    struct text t = text_of(&g, 0);
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        check_policy(&g, &t, policies[i]);
    check_large_budget(&g, &t);
    free(t.ids);
    close_golden(&g);
}
END_TEST

static const char *shared_path(const char *name)
{
    static char path[1200];
    const char *shared = getenv("CLSA_SHARED");
    snprintf(path, sizeof path, "%s/%s", shared ? shared : "../shared", name);
    return path;
}

/* An entry of golden-dense, if its policy needs no index. */
static bool check_entry(clsa_model *model, const json_t *entry,
                        const float *logits, size_t vocab)
{
    const char *policy = json_string_value(json_object_get(entry, "policy"));
    const json_t *list = json_object_get(entry, "ids");
    const struct golden g = {
        .name = policy, .vocab = vocab, .largest = 1, .model = model};
    struct text t = {.n = json_array_size(list)};
    if (strncmp(policy, "clsa", 4) == 0 || strncmp(policy, "anchors", 7) == 0)
        return false;
    t.ids = malloc(t.n * sizeof *t.ids);
    for (size_t i = 0; i < t.n; i++)
        t.ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    const size_t row =
        (size_t)json_integer_value(json_object_get(entry, "row"));
    t.want = logits + row * vocab;
    struct check c = {.g = &g, .t = &t};
    c.bound = 2e-3 * fabs((double)t.want[suite_argmax(t.want, vocab)]);
    clsa_session *session = open_with(model, t.n, policy);
    append(session, t.ids, t.n);
    check_logits(&c, t.n - 1, clsa_session_logits(session), t.want);
    clsa_session_close(session);
    free(t.ids);
    return true;
}

START_TEST(golden_dense)
{
    json_error_t where;
    clsa_model *model;
    clsa_model_info info;
    clsa_model_options options;
    clsa_error error;
    unsigned checked = 0;
    if (is_emulated()) {
        SUITE_SKIP("check_golden_arch golden_dense", "an emulator is too slow");
        return;
    }
    json_t *list =
        json_load_file(shared_path("golden-dense/logits.json"), 0, &where);
    if (!list) {
        SUITE_SKIP("check_golden_arch golden_dense", "there is no %s",
                   shared_path("golden-dense/logits.json"));
        return;
    }
    clsa_model_options_init(&options);
    options.simd = exact_level();
    ck_assert_msg(clsa_model_open(&model,
                                  shared_path("models/qwen3-tiny-bf16.gguf"),
                                  &options, &error) == CLSA_OK,
                  "%s", error.message);
    clsa_model_get_info(model, &info, sizeof info);
    float *logits = read_floats(shared_path("golden-dense/logits.f32"));
    for (size_t i = 0; i < json_array_size(list); i++)
        checked +=
            check_entry(model, json_array_get(list, i), logits, info.vocab);
    ck_assert_uint_ge(checked, 20);
    free(logits);
    json_decref(list);
    clsa_model_close(model);
}
END_TEST

/* --------------------------------------------------------------- early exit */

static void (*real_gated)(struct clsa_backend *b, const struct clsa_pass *p,
                          const struct clsa_layer *layer,
                          const struct clsa_act *x,
                          const struct clsa_act *inner);
static unsigned ffns; /* that have run */

static void count_gated(struct clsa_backend *b, const struct clsa_pass *p,
                        const struct clsa_layer *layer,
                        const struct clsa_act *x, const struct clsa_act *inner)
{
    ffns++;
    real_gated(b, p, layer, x, inner);
}

/* The FFNs that run for a prompt whose logits nobody wants: those of all layers
   before the last that has K and V. */
START_TEST(prompts_leave_layers_out)
{
    static const clsa_append_options none = {.want = CLSA_WANT_NONE};
    struct golden g;
    clsa_model_info info;
    if (!open_golden_of(&g, names[_i], NULL, 1)) /* a thread counts */
        return;
    clsa_model_get_info(g.model, &info, sizeof info);
    ck_assert_uint_eq(info.prompt_layers,
                      strcmp(g.name, "gemma4-e") == 0 ? 5 : info.layers);
    struct text t = text_of(&g, 0);
    clsa_session *session = open_session(&g, &t, "own", 0);
    real_gated = g.model->native.gated;
    g.model->native.gated = count_gated;
    ffns = 0;
    ck_assert_int_eq(clsa_session_append(session, t.ids, t.n, &none, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(ffns, info.prompt_layers - 1);
    clsa_session_close(session);
    free(t.ids);
    close_golden(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_arch");
    if (is_emulated())
        printf("under an emulator: one text of each model\n");
    TCase *tc = tcase_create("golden_arch");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, logits_are_those_of_others, 0, NAMES);
    tcase_add_loop_test(tc, other_levels_are_close, 0, NAMES);
    tcase_add_loop_test(tc, sessions_give_the_same_bits, 0, NAMES);
    tcase_add_loop_test(tc, prompts_leave_layers_out, 0, NAMES);
    tcase_add_loop_test(tc, policies_select_in_each_cache, 0, NAMES);
    tcase_add_test(tc, golden_dense);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
