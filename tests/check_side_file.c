/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing side files: anchors and indexes added to one another, keys and
 * tensors that stay, files that the loader takes, and files of others, which
 * are refused and left alone.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "clsa_train.h"
#include "src/engine/session.h"
#include "src/train/side_file.h"
#include "tests/suite.h"

enum { D = 64, DIM = 16, LAYERS = 5 };

#define MODEL "side-model.gguf"
#define SIDE  "side-file.gguf"
#define SHAPE                                                                  \
    "llama-3.2-1b,block_count=5,vocab=400,embedding_length=64"                 \
    ",feed_forward_length=96,attention.head_count=4"                           \
    ",attention.head_count_kv=2,attention.key_length=16"                       \
    ",attention.value_length=16,rope.dimension_count=16"                       \
    ",context_length=256"

static clsa_model *model;
static float values[DIM * D];

static void check_beside(const char *path, const char *want)
{
    char *name = clsa_index_beside(path);
    ck_assert_str_eq(name, want);
    clsa_free(name);
}

/* The name of the side file that is looked for. */
START_TEST(names)
{
    check_beside("x.gguf", "x.clsa.gguf");
    check_beside("a/x", "a/x.clsa.gguf");
    check_beside("a/x-00001-of-00003.gguf", "a/x.clsa.gguf");
    check_beside("-00001-of-00003.gguf", "-00001-of-00003.clsa.gguf");
    check_beside("x-0001-of-00003.gguf", "x-0001-of-00003.clsa.gguf");
    check_beside("x-00001.of-00003.gguf", "x-00001.of-00003.clsa.gguf");
}
END_TEST

static void open_model(void)
{
    clsa_error error = {.message = ""};
    clsa_write_options write;
    clsa_write_options_init(&write);
    write.type = CLSA_TYPE_F32;
    ck_assert_msg(clsa_write_random(SHAPE, MODEL, &write, &error) == CLSA_OK,
                  "%s", error.message);
    ck_assert_msg(clsa_model_open(&model, MODEL, NULL, &error) == CLSA_OK, "%s",
                  error.message);
    unlink(SIDE);
    for (size_t i = 0; i < DIM * D; i++)
        values[i] = (float)(i % 7) - 3;
}

static void close_model(void)
{
    clsa_model_close(model);
    unlink(MODEL);
    unlink(SIDE);
}

static void put(struct clsa_keys *keys, const char *name, uint32_t value)
{
    char key[CLSA_SIDE_KEY];
    clsa_side_key(model, name, key);
    clsa_keys_u32(keys, key, value);
}

static void put_layers(struct clsa_keys *keys, const char *name, uint32_t a,
                       uint32_t b)
{
    const uint32_t layers[] = {a, b};
    char key[CLSA_SIDE_KEY];
    clsa_side_key(model, name, key);
    clsa_side_layers(keys, key, layers, 2);
}

static clsa_status write_change(struct clsa_side_change *change,
                                clsa_error *error)
{
    const clsa_status status = clsa_side_write(model, SIDE, change, error);
    clsa_bytes_free(&change->keys.bytes);
    return status;
}

static void write_anchors(uint32_t a, uint32_t b)
{
    struct clsa_side_change change = {.tensors = NULL};
    clsa_error error = {.message = ""};
    put_layers(&change.keys, "anchor_layers", a, b);
    put(&change.keys, "indexer.top_k", 40);
    put(&change.keys, "indexer.sink_rows", 4);
    put(&change.keys, "indexer.recent_rows", 10);
    put(&change.keys, "indexer.first_window", 32);
    clsa_keys_text(&change.keys, "clsa.note", "kept", 4);
    ck_assert_msg(write_change(&change, &error) == CLSA_OK, "%s",
                  error.message);
}

static void write_index(uint32_t a, uint32_t b)
{
    struct clsa_side_tensor tensors[4];
    struct clsa_side_change change = {
        .tensors = tensors, .tensor_count = 4, .new_index = true};
    clsa_error error = {.message = ""};
    for (uint32_t i = 0; i < 4; i++) {
        tensors[i] = (struct clsa_side_tensor){
            .dims = 2, .rows = DIM, .cols = D, .values = values};
        snprintf(tensors[i].name, sizeof tensors[i].name,
                 "blk.%u.indexer.%s_proj.weight", i < 2 ? a : b,
                 i % 2 ? "k" : "q");
    }
    put_layers(&change.keys, "indexer.layers", a, b);
    put(&change.keys, "indexer.key_length", DIM);
    put(&change.keys, "indexer.top_k", 24);
    put(&change.keys, "indexer.sink_rows", 4);
    put(&change.keys, "indexer.recent_rows", 6);
    ck_assert_msg(write_change(&change, &error) == CLSA_OK, "%s",
                  error.message);
}

/* The model with the side file, and a session of a policy. */
static void load(clsa_model **with, clsa_session **session, const char *policy)
{
    clsa_error error = {.message = ""};
    clsa_model_options how;
    clsa_session_options options;
    clsa_model_options_init(&how);
    clsa_session_options_init(&options);
    how.index = SIDE;
    options.attention = policy;
    ck_assert_msg(clsa_model_open(with, MODEL, &how, &error) == CLSA_OK, "%s",
                  error.message);
    ck_assert_msg(clsa_session_open(session, *with, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
}

static void unload(clsa_model *with, clsa_session *session)
{
    clsa_session_close(session);
    clsa_model_close(with);
}

static uint64_t number(const char *name)
{
    struct clsa_gguf *side;
    uint64_t value = 0;
    char key[CLSA_SIDE_KEY];
    clsa_side_key(model, name, key);
    ck_assert_int_eq(clsa_gguf_open(&side, SIDE, NULL), CLSA_OK);
    clsa_gguf_uint(side, key, false, 0, UINT64_MAX, &value, NULL);
    clsa_gguf_close(side);
    return value;
}

/* A file of anchors alone: its K is the default of `anchors`, there is no
   index, and windows of the first layers change nothing. */
START_TEST(anchors_alone)
{
    clsa_model *with;
    clsa_session *session;
    clsa_model_info info;
    bool has = true;
    open_model();
    write_anchors(1, 3);
    ck_assert_int_eq(clsa_side_has_index(model, SIDE, &has, NULL), CLSA_OK);
    ck_assert(!has);
    load(&with, &session, "anchors");
    clsa_model_get_info(with, &info, sizeof info);
    ck_assert_uint_eq(info.anchors, 2);
    ck_assert_uint_eq(info.index_sites, 0);
    ck_assert_str_eq(info.attention, "dense");
    ck_assert_uint_eq(session->policy.rows, 40);
    ck_assert_uint_eq(session->policy.first_rows, 0);
    ck_assert_int_eq(clsa_session_set_attention(session, "clsa", NULL),
                     CLSA_ERR_UNSUPPORTED);
    unload(with, session);
    close_model();
}
END_TEST

/* An index after anchors, whose list and window stay, then other anchors, which
   leave the tensors as they are. */
START_TEST(one_after_the_other)
{
    clsa_model *with;
    clsa_session *session;
    bool has = false;
    open_model();
    write_anchors(1, 3);
    write_index(2, 4);
    load(&with, &session, "clsa");
    ck_assert_uint_eq(session->policy.rows, 24);
    ck_assert_uint_eq(session->policy.first_rows, 4 + 32);
    ck_assert_uint_eq(with->net.indexes.anchors[1], 3);
    ck_assert_uint_eq(with->net.first_site, 2);
    unload(with, session);
    write_anchors(2, 3);
    ck_assert_int_eq(clsa_side_has_index(model, SIDE, &has, NULL), CLSA_OK);
    ck_assert(has);
    load(&with, &session, "clsa");
    ck_assert_uint_eq(with->net.indexes.anchors[0], 2);
    const struct clsa_gguf_tensor *k =
        clsa_gguf_tensor(with->side, "blk.4.indexer.k_proj.weight");
    ck_assert_ptr_nonnull(k);
    ck_assert_mem_eq(k->data, values, sizeof values);
    ck_assert_ptr_nonnull(clsa_gguf_key(with->side, "clsa.note"));
    unload(with, session);
    write_index(1, 2);
    load(&with, &session, "clsa");
    ck_assert_uint_eq(with->side->tensor_count, 4);
    ck_assert_uint_eq(with->net.first_site, 1);
    ck_assert_uint_eq(number("indexer.first_window"), 32);
    unload(with, session);
    close_model();
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void refused(clsa_status status, const char *says)
{
    struct clsa_side_change change = {.tensors = NULL};
    clsa_error error = {.message = ""};
    put_layers(&change.keys, "anchor_layers", 1, 2);
    ck_assert_int_eq(write_change(&change, &error), status);
    ck_assert_msg(strstr(error.message, says), "%s", error.message);
}

/* What is there and is no side file of this model stays as it is. */
START_TEST(files_of_others)
{
    char text[16] = "";
    open_model();
    write_text(SIDE, "a letter");
    refused(CLSA_ERR_FORMAT, SIDE);
    FILE *file = fopen(SIDE, "rb");
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, file), 8);
    ck_assert_str_eq(text, "a letter");
    fclose(file);
    unlink(SIDE);
    ck_assert_int_eq(link(MODEL, SIDE), 0);
    refused(CLSA_ERR_FORMAT, "is not the index of a model");
    unlink(SIDE);
    write_anchors(1, 3);
    struct clsa_layer *anchor = &model->net.layers[3];
    const float *norm = anchor->attn_norm;
    anchor->attn_norm = model->net.layers[1].ffn_norm;
    float other[D] = {1, 2, 3};
    anchor->attn_norm = other;
    refused(CLSA_ERR_MISMATCH, "is the index of another model");
    anchor->attn_norm = norm;
    ck_assert_int_eq(access(SIDE, F_OK), 0);
    close_model();
}
END_TEST

/* Models whose index is in their file have no side file. */
START_TEST(other_architecture)
{
    const clsa_shape shape = {.width = 64,
                              .self_layers = 1,
                              .cross_layers = 1,
                              .heads = 2,
                              .kv_heads = 1,
                              .head_size = 32,
                              .ffn = 64,
                              .window = 16,
                              .vocab = 64};
    ck_assert_int_eq(
        clsa_model_random(&model, &shape, CLSA_TYPE_F32, NULL, NULL), CLSA_OK);
    refused(CLSA_ERR_UNSUPPORTED, "have no side file");
    clsa_model_close(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("side file");
    TCase *tests = tcase_create("side file");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, names);
    tcase_add_test(tests, anchors_alone);
    tcase_add_test(tests, one_after_the_other);
    tcase_add_test(tests, files_of_others);
    tcase_add_test(tests, other_architecture);
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_NOFORK);
}
