/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random weights like ordinary models: each name gives a network that runs, as
 * small relatives of it do with any number of threads, in sessions side by side
 * and from a file; keys and tensors are those of its architecture, types those
 * of the mix, and what is wrong in a shape is said.
 */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "tests/suite.h"

enum { VOCAB = 400, TOKENS = 40 };

/* Keys that make a model of these names small. */
#define SMALL                                                                  \
    ",vocab=400,embedding_length=64,feed_forward_length=96"                    \
    ",attention.head_count=4,attention.head_count_kv=2"
#define HEADS                                                                  \
    ",attention.key_length=16,attention.value_length=16"                       \
    ",rope.dimension_count=16"

static const struct {
    const char *begin, *keys;
} tails[] = {
    {"gemma-4", ",block_count=10,attention.shared_kv_layers=5" SMALL
                ",feed_forward_length=96*5:128*5,attention.key_length=32"
                ",attention.value_length=32,attention.key_length_swa=16"
                ",attention.value_length_swa=16,rope.dimension_count=32"
                ",rope.dimension_count_swa=16,attention.sliding_window=8"
                ",attention.sliding_window_pattern=5"
                ",embedding_length_per_layer_input=32"},
    {"gemma-", ",block_count=7,attention.sliding_window=8" SMALL HEADS},
    {"phi", ",block_count=3" SMALL HEADS ",rope.dimension_count=12"},
    {"smollm3", ",block_count=5" SMALL HEADS},
    {"", ",block_count=3" SMALL HEADS},
};

/* A tensor and a key of models whose names begin so. */
static const struct {
    const char *begin, *tensor, *key;
} signs[] = {
    {"llama", "rope_freqs.weight", "llama.vocab_size"},
    {"qwen2.5", "blk.2.attn_v.bias", "qwen2.rope.freq_base"},
    {"qwen3", "blk.0.attn_k_norm.weight", "qwen3.attention.key_length"},
    {"smollm3", "blk.4.ffn_down.weight", "smollm3.block_count"},
    {"phi", "rope_factors_long.weight", "phi3.rope.scaling.attn_factor"},
    {"gemma-2", "blk.6.post_ffw_norm.weight", "gemma2.attn_logit_softcapping"},
    {"gemma-3", "blk.0.attn_q_norm.weight", "gemma3.attention.sliding_window"},
    {"gemma-4", "per_layer_token_embd.weight",
     "gemma4.attention.shared_kv_layers"},
    {"gemma-4", "blk.9.layer_output_scale.weight", "gemma4.rope.freq_base_swa"},
};

static int names(void)
{
    int count = 0;
    while (clsa_shape_name((size_t)count))
        count++;
    return count;
}

/* The small relative of ordinary model i, with more keys. */
static const char *relative(int i, const char *more)
{
    static char text[1000];
    const char *name = clsa_shape_name((size_t)i);
    size_t k = 0;
    while (strncmp(name, tails[k].begin, strlen(tails[k].begin)) != 0)
        k++;
    snprintf(text, sizeof text, "%s%s%s", name, tails[k].keys, more);
    return text;
}

static clsa_model *open_like(const char *shape, int type, uint32_t threads)
{
    clsa_model_options options;
    clsa_error error;
    clsa_model *model;
    clsa_model_options_init(&options);
    options.threads = threads;
    const clsa_status status =
        clsa_model_random_like(&model, shape, type, &options, &error);
    ck_assert_msg(status == CLSA_OK, "%s: %s", shape, error.message);
    return model;
}

static clsa_session *open_session(clsa_model *model)
{
    clsa_session_options options;
    clsa_error error;
    clsa_session *session;
    clsa_session_options_init(&options);
    options.context = 2 * TOKENS;
    options.prefill = "own";
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

static void append(clsa_session *session, int32_t first, size_t n)
{
    int32_t ids[TOKENS];
    clsa_error error;
    for (size_t i = 0; i < n; i++)
        ids[i] = (first + 7 * (int32_t)i) % VOCAB;
    ck_assert_msg(clsa_session_append(session, ids, n, NULL, &error) == CLSA_OK,
                  "%s", error.message);
}

static void same_logits(const clsa_session *a, const clsa_session *b)
{
    ck_assert_int_eq(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                            VOCAB * sizeof(float)),
                     0);
}

static bool has_tensor(const clsa_model *model, const char *name)
{
    clsa_tensor_info info;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &info, sizeof info);
        if (strcmp(info.name, name) == 0)
            return true;
    }
    return false;
}

static bool has_key(const clsa_model *model, const char *name)
{
    const char *key;
    char value[16];
    for (size_t i = 0; i < clsa_model_metadata_count(model); i++) {
        clsa_model_metadata(model, i, &key, value, sizeof value);
        if (strcmp(key, name) == 0)
            return true;
    }
    return false;
}

/* Logits of a small relative have a size that softcaps leave as it is. */
START_TEST(relatives)
{
    static const int types[] = {CLSA_TYPE_F32, CLSA_TYPE_BF16, CLSA_TYPE_Q8_0,
                                CLSA_MIX_Q4_K_M};
    const char *name = clsa_shape_name((size_t)_i);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        clsa_model *model = open_like(relative(_i, ""), types[t], 2);
        clsa_session *session = open_session(model);
        double sum = 0;
        append(session, 1, TOKENS);
        for (size_t i = 0; i < VOCAB; i++)
            sum += pow((double)clsa_session_logits(session)[i], 2);
        sum = sqrt(sum / VOCAB);
        ck_assert_msg(sum > 0.2 && sum < 5, "%s: rms %g", name, sum);
        clsa_session_close(session);
        clsa_model_close(model);
    }
    clsa_model *model = open_like(relative(_i, ""), CLSA_TYPE_Q8_0, 1);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (strncmp(name, signs[i].begin, strlen(signs[i].begin)) != 0)
            continue;
        ck_assert_msg(has_tensor(model, signs[i].tensor), "%s", name);
        ck_assert_msg(has_key(model, signs[i].key), "%s", name);
    }
    clsa_model_close(model);
}
END_TEST

/* The same bits for one thread and two, for a prompt in parts, a fork, a
   truncated session and neighbors in a batch. */
START_TEST(sessions)
{
    clsa_model *one = open_like(relative(_i, ""), CLSA_TYPE_BF16, 1);
    clsa_model *two = open_like(relative(_i, ""), CLSA_TYPE_BF16, 2);
    clsa_session *a = open_session(one), *b = open_session(two), *fork;
    ck_assert_uint_eq(clsa_model_fingerprint(one), clsa_model_fingerprint(two));
    append(a, 1, TOKENS);
    append(b, 1, 12);
    append(b, 3, TOKENS); /* to be forgotten */
    ck_assert_int_eq(clsa_session_truncate(b, 12, NULL), CLSA_OK);
    append(b, 1 + 7 * 12, TOKENS - 12);
    same_logits(a, b);
    ck_assert_int_eq(clsa_session_fork(b, &fork, NULL), CLSA_OK);
    clsa_session *both[] = {fork, b};
    ck_assert_int_eq(clsa_batch_append(both, (int32_t[]){9, 11}, 2, NULL),
                     CLSA_OK);
    append(a, 9, 1);
    same_logits(a, fork);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_session_close(fork);
    clsa_model_close(one);
    clsa_model_close(two);
}
END_TEST

/* The file has the same weights, and a tokenizer for any text. */
START_TEST(files)
{
    static const char text[] = "facade, deed, \xc3\xa9 17\n<|im_end|>";
    char path[] = "/tmp/check_like.XXXXXX", back[100] = "";
    const char *shape = relative(_i, "");
    clsa_write_options options;
    clsa_error error;
    clsa_model *file, *memory = open_like(shape, CLSA_TYPE_Q8_0, 1);
    clsa_detokenizer state = {0};
    int32_t *ids;
    size_t count;
    close(mkstemp(path));
    clsa_write_options_init(&options);
    options.threads = 2;
    ck_assert_msg(clsa_write_random(shape, path, &options, &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_msg(clsa_model_open(&file, path, NULL, &error) == CLSA_OK, "%s",
                  error.message);
    unlink(path);
    clsa_session *a = open_session(memory), *b = open_session(file);
    append(a, 5, TOKENS);
    append(b, 5, TOKENS);
    same_logits(a, b);
    ck_assert_int_eq(
        clsa_tokenize(file, text, strlen(text), 0, &ids, &count, &error),
        CLSA_OK);
    ck_assert_uint_lt(count, strlen(text) - 4); /* some letters go together */
    for (size_t i = 0; i < count; i++) {
        char *piece;
        size_t size;
        ck_assert_int_eq(
            clsa_detokenize(file, &state, ids[i], &piece, &size, NULL),
            CLSA_OK);
        strncat(back, piece, size);
        clsa_free(piece);
    }
    ck_assert_str_eq(back, text);
    clsa_free(ids);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(memory);
    clsa_model_close(file);
}
END_TEST

/* The letters of the types of a role by layer, and of the ends. */
static void check_types(const clsa_model *model, const char *role,
                        const char *types)
{
    char name[64];
    clsa_tensor_info info;
    for (size_t i = 0; types[i]; i++) {
        snprintf(name, sizeof name, "blk.%zu.%s.weight", i, role);
        for (size_t k = 0;; k++) {
            ck_assert_uint_lt(k, clsa_model_tensor_count(model));
            clsa_model_tensor(model, k, &info, sizeof info);
            if (strcmp(info.name, name) == 0)
                break;
        }
        const char *type = clsa_type_name(info.type);
        ck_assert_msg(type[1] == types[i], "%s: %s", name, type);
    }
}

START_TEST(mixes)
{
    clsa_model *model =
        open_like("llama-3.2-1b,block_count=8,embedding_length=256,vocab=300"
                  ",feed_forward_length=288,attention.head_count=4"
                  ",attention.head_count_kv=1,attention.indexer.layers=2:5"
                  ",attention.indexer.key_length=16,attention.indexer.top_k=20",
                  CLSA_MIX_Q4_K_M, 1);
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    ck_assert_uint_eq(info.index_sites, 2);
    check_types(model, "attn_v", "64464466");
    check_types(model, "attn_q", "44444444");
    check_types(model, "ffn_down", "85585588"); /* rows of 288: 8_0 and 5_0 */
    ck_assert(has_tensor(model, "blk.5.indexer.q_proj.weight"));
    ck_assert(!has_tensor(model, "output.weight"));
    clsa_model_close(model);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *shape, *text;
    } cases[] = {
        {"llama", "does not begin with the name of a model"},
        {"llama-3.2-1b,", "'' is not KEY=VALUE"},
        {"llama-3.2-1b,block_count", "'block_count' is not KEY=VALUE"},
        {"llama-3.2-1b,=3", "'=3' is not KEY=VALUE"},
        {"llama-3.2-1b,vocab=0", "vocab=0': not a number of tokens"},
        {"llama-3.2-1b,vocab=99999999999", "not a number of tokens"},
        {"llama-3.2-1b,tied=2", "not 0 or 1"},
        {"llama-3.2-1b,feed_forward_length=1:x", "a list is N"},
        {"llama-3.2-1b,feed_forward_length=1*9999", "a list is N"},
        {"llama-3.2-1b,block_count=x", "llama.block_count"},
        {"llama-3.2-1b,attention.head_count=3", "attention.head_count"},
        {"llama-3.2-1b,softcap=3", "llama.softcap"},
        {"llama-3.2-1b,rope.scaling.type=other", "rope.scaling.type"},
    };
    clsa_model *model = NULL;
    clsa_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(clsa_model_random_like(&model, cases[i].shape,
                                             CLSA_TYPE_Q8_0, NULL,
                                             &error) != CLSA_OK,
                      "%s", cases[i].shape);
        ck_assert_msg(strstr(error.message, cases[i].text) != NULL, "%s",
                      error.message);
    }
    ck_assert_int_eq(clsa_model_random_like(&model, relative(0, ""),
                                            CLSA_TYPE_I8, NULL, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_write_random(relative(0, ",vocab=258"),
                                       "/tmp/check_like.none", NULL, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "259 to 457911 tokens"));
    ck_assert_int_eq(access("/tmp/check_like.none", F_OK), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("like");
    TCase *tests = tcase_create("like");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, relatives, 0, names());
    tcase_add_loop_test(tests, sessions, 0, names());
    tcase_add_loop_test(tests, files, 0, names());
    tcase_add_test(tests, mixes);
    tcase_add_test(tests, refused);
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_FORK_GETENV);
}
