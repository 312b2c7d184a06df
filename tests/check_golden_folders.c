/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of golden-arch against the model files that llama.cpp made of them:
 * the same logits, to the bit.
 *
 * Environment: CLSA_SHARED, the folder of golden-arch (default ../shared).
 */
#include <check.h>
#include <unistd.h>

#include "tests/golden_arch.h"

/* All logits of a text, [n][vocab]. */
struct rows {
    float *values;
    size_t vocab;
};

static void keep_row(void *user, uint64_t position, const float *z)
{
    const struct rows *r = user;
    memcpy(r->values + position * r->vocab, z, r->vocab * sizeof *z);
}

static float *all_logits(const struct golden *g, const struct text *t)
{
    struct rows rows = {malloc(t->n * g->vocab * sizeof(float)), g->vocab};
    uint8_t *mask = malloc(t->n);
    const clsa_append_options how = {.want = CLSA_WANT_MASK,
                                     .mask = mask,
                                     .on_logits = keep_row,
                                     .user = &rows};
    clsa_session *session = open_session(g, t, "own", 0);
    memset(mask, 1, t->n);
    ck_assert_int_eq(clsa_session_append(session, t->ids, t->n, &how, NULL),
                     CLSA_OK);
    clsa_session_close(session);
    free(mask);
    return rows.values;
}

/* The folder of the same name, by way of a file. */
static clsa_model *convert_folder(const char *name, const char *simd)
{
    char path[] = "/tmp/check_golden_arch.XXXXXX";
    clsa_model_options options;
    clsa_model *model;
    clsa_error error;
    close(mkstemp(path));
    ck_assert_msg(clsa_convert(path_of(name, ""), path, NULL, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    clsa_model_options_init(&options);
    options.simd = simd;
    options.threads = 2;
    ck_assert_msg(clsa_model_open(&model, path, &options, &error) == CLSA_OK,
                  "%s", error.message);
    unlink(path);
    return model;
}

/* A folder is its GGUF file, to the bit. */
START_TEST(folders_are_their_files)
{
    struct golden g;
    if (!open_golden(&g, names[_i], exact_level()))
        return;
    struct golden folder = g;
    folder.model = convert_folder(names[_i], exact_level());
    for (size_t i = 0; i < case_count(&g); i++) {
        struct text t = text_of(&g, i);
        float *a = all_logits(&g, &t), *b = all_logits(&folder, &t);
        ck_assert_msg(memcmp(a, b, t.n * g.vocab * sizeof *a) == 0,
                      "%s: other bits from the folder", g.name);
        free(a);
        free(b);
        free(t.ids);
    }
    clsa_model_close(folder.model);
    close_golden(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("golden_folders");
    TCase *tc = tcase_create("golden_folders");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, folders_are_their_files, 0, NAMES);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
