/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models of random weights and sessions of random rows: the sizes are those
 * of the shape, values are sensible and the same for any number of threads,
 * decoding goes on from a filled session, and what cannot be is refused. Under
 * an emulator (CLSA_EMULATOR) sessions are a quarter as long, and fewer models
 * are made, as k-quants take long to pack.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <check.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clsa_bench.h"
#include "src/engine/model.h"
#include "tests/suite.h"

static const clsa_shape small = {.width = 256,
                                 .self_layers = 2,
                                 .cross_layers = 3,
                                 .heads = 8,
                                 .kv_heads = 2,
                                 .head_size = 32,
                                 .ffn = 512,
                                 .window = 40,
                                 .index_size = 32,
                                 .top_k = 64,
                                 .vocab = 1000};

static uint32_t divisor = 1;

static clsa_model *open_random(const clsa_shape *shape, clsa_type type,
                               uint32_t threads)
{
    clsa_model_options options;
    clsa_error error;
    clsa_model *model;
    clsa_model_options_init(&options);
    options.threads = threads;
    ck_assert_msg(clsa_model_random(&model, shape, type, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return model;
}

static clsa_session *open_filled(clsa_model *model, const char *attention,
                                 uint64_t tokens, uint64_t seed)
{
    clsa_session_options options;
    clsa_error error;
    clsa_session *session;
    clsa_session_options_init(&options);
    options.context = tokens + 64;
    options.attention = attention;
    ck_assert_int_eq(clsa_session_open(&session, model, &options, NULL),
                     CLSA_OK);
    ck_assert_msg(clsa_session_fill_random(session, tokens, seed, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    ck_assert_uint_eq(clsa_session_length(session), tokens);
    ck_assert_ptr_null(clsa_session_logits(session));
    return session;
}

static const float *decode(clsa_session *session, int32_t id)
{
    clsa_error error;
    ck_assert_msg(clsa_session_append(session, &id, 1, NULL, &error) == CLSA_OK,
                  "%s", error.message);
    return clsa_session_logits(session);
}

/* Root of the mean square; fails on anything that is not finite. */
static double rms(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        ck_assert(isfinite(x[i]));
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum / (double)n);
}

/* Stops at the call whose number counts down to 0. */
static int stop_at(void *user, uint64_t done, uint64_t total)
{
    int *calls = user;
    ck_assert(done > 0 && done <= total);
    return --*calls == 0;
}

START_TEST(stopped)
{
    clsa_model_options options;
    clsa_error error;
    clsa_model *model = NULL;
    int calls = 2;
    clsa_model_options_init(&options);
    options.on_progress = stop_at;
    options.user = &calls;
    ck_assert_int_eq(
        clsa_model_random(&model, &small, CLSA_TYPE_Q8_0, &options, &error),
        CLSA_ERR_STOPPED);
    ck_assert_ptr_null(model);
    calls = 1000;
    ck_assert_int_eq(
        clsa_model_random(&model, &small, CLSA_TYPE_Q8_0, &options, &error),
        CLSA_OK);
    clsa_session *session;
    ck_assert_int_eq(clsa_session_open(&session, model, NULL, NULL), CLSA_OK);
    calls = 1;
    ck_assert_int_eq(clsa_session_fill_random(session, 200, 1, &error),
                     CLSA_ERR_STOPPED);
    ck_assert_uint_eq(clsa_session_length(session), 0);
    calls = 2;
    ck_assert_int_eq(clsa_session_fill_random(session, 200, 1, &error),
                     CLSA_OK);
    ck_assert_uint_eq(clsa_session_length(session), 200);
    clsa_session_close(session);
    clsa_model_close(model);
}
END_TEST

START_TEST(sizes)
{
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 2);
    clsa_model_info info;
    uint64_t parameters = 0, bytes = 0;
    clsa_model_get_info(model, &info, sizeof info);
    ck_assert_uint_eq(info.layers, 5);
    ck_assert_uint_eq(info.self_layers, 2);
    ck_assert_uint_eq(info.width, 256);
    ck_assert_uint_eq(info.ffn, 512);
    ck_assert_uint_eq(info.vocab, 1000);
    ck_assert_uint_eq(info.heads, 8);
    ck_assert_uint_eq(info.kv_heads, 2);
    ck_assert_uint_eq(info.head_size, 32);
    ck_assert_uint_eq(info.window, 40);
    ck_assert_uint_eq(info.index_size, 32);
    ck_assert_uint_eq(info.top_k, 64);
    ck_assert_int_eq(info.bos, -1);
    /* two ends; layers of q, out and FFN; k and v of three blocks; indexer */
    uint64_t matrices = 2 * 1000 * 256 + 5 * (2 * 256 * 256 + 3 * 512 * 256) +
                        3 * 2 * 64 * 256 + 2 * 32 * 256;
    /* norms of layers, heads of q, heads of k, rows and output */
    uint64_t vectors = 5 * 2 * 256 + 5 * 32 + 3 * 32 + 256 + 256;
    ck_assert_uint_eq(info.parameters, matrices + vectors);
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_tensor_info tensor;
        clsa_model_tensor(model, i, &tensor, sizeof tensor);
        parameters += tensor.shape[0] * tensor.shape[1];
        bytes += tensor.size;
    }
    ck_assert_uint_eq(parameters, info.parameters);
    ck_assert_uint_eq(bytes, matrices / 32 * 34 + vectors * 4);
    clsa_model_close(model);
}
END_TEST

/* Nodes that hwloc is told of, with nothing to bind to: each takes its rows of
   the weights and its pages of the cache, and nothing changes. */
START_TEST(nodes)
{
    static const char *const policies[] = {"clsa", "dense"};
    static const char *const machines[] = {"numa:2 core:1 pu:1",
                                           "numa:3 core:2 pu:1"};
    const uint64_t tokens = 16 * 4096 / divisor + 100;
    for (size_t m = 0; m < 2; m++) {
        clsa_model *a = open_random(&small, CLSA_TYPE_Q8_0, 2), *b;
        setenv("HWLOC_SYNTHETIC", machines[m], 1);
        b = open_random(&small, CLSA_TYPE_Q8_0, m ? 5 : 2);
        unsetenv("HWLOC_SYNTHETIC");
#ifdef HAVE_HWLOC
        ck_assert_uint_eq(clsa_team_nodes(b->team), m ? 3 : 2);
#endif
        for (size_t i = 0; i < 2; i++) {
            clsa_session *x = open_filled(a, policies[i], tokens, 7);
            clsa_session *y = open_filled(b, policies[i], tokens, 7);
            for (int32_t id = 0; id < 3; id++)
                ck_assert_int_eq(memcmp(decode(x, id), decode(y, id),
                                        small.vocab * sizeof(float)),
                                 0);
            clsa_session_close(x);
            clsa_session_close(y);
        }
        clsa_model_close(a);
        clsa_model_close(b);
    }
}
END_TEST

static const clsa_type types[] = {
    CLSA_TYPE_F32,  CLSA_TYPE_F16,  CLSA_TYPE_BF16, CLSA_TYPE_Q8_0,
    CLSA_TYPE_Q4_0, CLSA_TYPE_Q4_1, CLSA_TYPE_Q4_K, CLSA_TYPE_Q6_K};

START_TEST(values)
{
    clsa_shape tied = small;
    tied.tied = 1;
    for (int i = 0; i < 2; i++) {
        if (divisor > 1 && i != _i % 2)
            continue;
        clsa_model *model = open_random(i ? &tied : &small, types[_i], 2);
        clsa_session *session = open_filled(model, "clsa", 300, 1);
        double size = rms(decode(session, 3), small.vocab);
        ck_assert_msg(size > 0.25 && size < 4, "rms of logits %g", size);
        clsa_session_close(session);
        clsa_model_close(model);
    }
}
END_TEST

/* The same bits with 1 and 2 threads. */
START_TEST(threads)
{
    clsa_model *one = open_random(&small, types[_i], 1);
    clsa_model *two = open_random(&small, types[_i], 2);
    ck_assert_uint_eq(clsa_model_fingerprint(one), clsa_model_fingerprint(two));
    const size_t tokens = 9000 / divisor;
    clsa_session *a = open_filled(one, "clsa", tokens, 7);
    clsa_session *b = open_filled(two, "clsa", tokens, 7);
    ck_assert_int_eq(memcmp(clsa_session_tokens(a), clsa_session_tokens(b),
                            tokens * sizeof(int32_t)),
                     0);
    for (int32_t id = 0; id < 10; id++)
        ck_assert_int_eq(
            memcmp(decode(a, id), decode(b, id), small.vocab * sizeof(float)),
            0);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(one);
    clsa_model_close(two);
}
END_TEST

static int selected_at(const clsa_session *session, uint32_t *rows)
{
    size_t count;
    const uint32_t *from;
    ck_assert_int_eq(clsa_session_rows(session, &from, &count), CLSA_OK);
    ck_assert_uint_eq(count, small.top_k);
    memcpy(rows, from, count * sizeof *rows);
    return (int)count;
}

/* Selections lie all over the cache, differ from token to token, and from
   seed to seed. */
START_TEST(selections)
{
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 2);
    const uint32_t tokens = 20000 / divisor;
    clsa_session *a = open_filled(model, "clsa", tokens, 1);
    clsa_session *b = open_filled(model, "clsa", tokens, 2);
    clsa_session_stats stats;
    uint32_t first[64], other[64];
    decode(a, 1);
    int count = selected_at(a, first);
    ck_assert_uint_lt(first[0], tokens / 4);
    ck_assert_uint_gt(first[count - 1], tokens - tokens / 4);
    decode(b, 1);
    selected_at(b, other);
    ck_assert_int_ne(memcmp(first, other, sizeof first), 0);
    decode(a, 2);
    clsa_session_get_stats(a, &stats, sizeof stats);
    ck_assert_uint_eq(stats.rows_read, small.top_k);
    ck_assert_uint_gt(stats.rows_changed, small.top_k / 4);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(model);
}
END_TEST

/* A filled session can be forked, truncated and batched like any other. */
START_TEST(goes_on)
{
    const uint64_t tokens = 5000 / divisor;
    clsa_model *model = open_random(&small, CLSA_TYPE_Q4_0, 2);
    clsa_session *a = open_filled(model, "dense", tokens, 1);
    clsa_session *b = open_filled(model, "dense", tokens, 1);
    clsa_session *both[2] = {a, NULL};
    int32_t ids[2] = {5, 5};
    ck_assert_int_eq(clsa_session_fork(b, &both[1], NULL), CLSA_OK);
    const float *alone = decode(b, 5);
    ck_assert_int_eq(clsa_batch_append(both, ids, 2, NULL), CLSA_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(memcmp(alone, clsa_session_logits(both[i]),
                                small.vocab * sizeof(float)),
                         0);
    ck_assert_int_eq(clsa_session_truncate(a, tokens, NULL), CLSA_OK);
    ck_assert_int_eq(memcmp(alone, decode(a, 5), small.vocab * sizeof(float)),
                     0);
    ck_assert_int_eq(clsa_session_truncate(a, 0, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_fill_random(a, tokens, 1, NULL), CLSA_OK);
    ck_assert_int_eq(memcmp(alone, decode(a, 5), small.vocab * sizeof(float)),
                     0);
    clsa_session_close(both[1]);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(model);
}
END_TEST

static void check_refused(clsa_shape shape, clsa_type type, const char *text)
{
    clsa_model *model = NULL;
    clsa_error error = {.status = CLSA_OK};
    ck_assert_int_eq(clsa_model_random(&model, &shape, type, NULL, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_null(model);
    ck_assert_int_eq(error.status, CLSA_ERR_ARGUMENT);
    ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
}

START_TEST(refused_shapes)
{
    const struct {
        size_t at;
        uint32_t value;
        const char *text;
    } cases[] = {
        {offsetof(clsa_shape, width), 0, "width"},
        {offsetof(clsa_shape, width), (1u << 24) + 1, "width"},
        {offsetof(clsa_shape, width), 100, "multiple of 32"},
        {offsetof(clsa_shape, self_layers), 0, "self_layers"},
        {offsetof(clsa_shape, cross_layers), 513, "cross_layers"},
        {offsetof(clsa_shape, heads), 3, "3 heads do not divide"},
        {offsetof(clsa_shape, heads), 1u << 24, "heads"},
        {offsetof(clsa_shape, kv_heads), 0, "kv_heads"},
        {offsetof(clsa_shape, head_size), 12, "head_size"},
        {offsetof(clsa_shape, head_size), 1024, "head_size"},
        {offsetof(clsa_shape, ffn), 0, "ffn"},
        {offsetof(clsa_shape, window), 0, "window"},
        {offsetof(clsa_shape, index_size), 20, "index_size"},
        {offsetof(clsa_shape, top_k), 0, "top_k"},
        {offsetof(clsa_shape, vocab), 0, "vocab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clsa_shape shape = small;
        memcpy((char *)&shape + cases[i].at, &cases[i].value,
               sizeof cases[i].value);
        check_refused(shape, CLSA_TYPE_Q8_0, cases[i].text);
    }
    clsa_shape k_quant = small;
    k_quant.ffn = 320;
    check_refused(k_quant, CLSA_TYPE_Q4_K, "multiple of 256");
    check_refused(small, CLSA_TYPE_I8, "q8_0");
}
END_TEST

/* Larger than any address space; refused before anything is touched. */
START_TEST(refused_memory)
{
    clsa_shape shape = small;
    clsa_model *model;
    shape.width = shape.ffn = shape.vocab = 1u << 24;
    ck_assert_int_eq(
        clsa_model_random(&model, &shape, CLSA_TYPE_F32, NULL, NULL),
        CLSA_ERR_MEMORY);
}
END_TEST

/* Rows of the last token that the one before it, in seen[*n], did not read;
   seen becomes those of the last. */
static uint64_t count_new(const clsa_session *session, uint32_t *seen,
                          size_t *n)
{
    size_t count, i = 0;
    uint64_t fresh = 0;
    const uint32_t *rows;
    ck_assert_int_eq(clsa_session_rows(session, &rows, &count), CLSA_OK);
    for (size_t j = 0; j < count; j++) {
        while (i < *n && seen[i] < rows[j])
            i++;
        fresh += i == *n || seen[i] != rows[j];
    }
    memcpy(seen, rows, count * sizeof *rows);
    *n = count;
    return fresh;
}

/* The rows that changed are told, of each session of a batch. */
START_TEST(changed)
{
    static const char *const policies[] = {"clsa", "window:30", "clsa:9"};
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 2);
    clsa_session *batch[3];
    clsa_session_stats stats;
    uint32_t seen[3][64];
    size_t n[3] = {0};
    for (size_t i = 0; i < 3; i++)
        batch[i] = open_filled(model, policies[i], 300, i);
    for (int32_t step = 0; step < 8; step++) {
        const int32_t next[] = {step, 2 * step, 3 * step};
        ck_assert_int_eq(clsa_batch_append(batch, next, 3, NULL), CLSA_OK);
        for (size_t i = 0; i < 3; i++) {
            clsa_session_get_stats(batch[i], &stats, sizeof stats);
            ck_assert_uint_eq(stats.rows_changed,
                              count_new(batch[i], seen[i], &n[i]));
            ck_assert_uint_eq(stats.rows_read, n[i]);
            ck_assert(i != 1 || stats.rows_changed == (step ? 1 : 30));
        }
    }
    for (size_t i = 0; i < 3; i++)
        clsa_session_close(batch[i]);
    clsa_model_close(model);
}
END_TEST

/* A session of a model with retention is filled and decodes, within a chunk and
   after some, for any number of threads; truncated to 0 it is a new one. */
START_TEST(retention)
{
    static const uint64_t lengths[] = {50, 64, 5000};
    const char *folder = getenv("CLSA_TEST_DATA");
    clsa_model_options options;
    clsa_model *model[2];
    clsa_model_info info;
    char path[1200];
    clsa_model_options_init(&options);
    snprintf(path, sizeof path, "%s/good-retention-indexer.gguf",
             folder ? folder : "tests/data");
    for (options.threads = 1; options.threads <= 2; options.threads++)
        ck_assert_int_eq(
            clsa_model_open(&model[options.threads - 1], path, &options, NULL),
            CLSA_OK);
    clsa_model_get_info(model[0], &info, sizeof info);
    for (size_t i = 0; i < 3; i++) {
        clsa_session *a = open_filled(model[0], NULL, lengths[i], 3);
        clsa_session *b = open_filled(model[1], NULL, lengths[i], 3);
        const size_t bytes = info.vocab * sizeof(float);
        for (int32_t n = 0; n < 60; n++) {
            decode(a, n % (int32_t)info.vocab);
            decode(b, n % (int32_t)info.vocab);
        }
        ck_assert(rms(clsa_session_logits(a), info.vocab) > 0);
        ck_assert_int_eq(
            memcmp(clsa_session_logits(a), clsa_session_logits(b), bytes), 0);
        clsa_session_close(b);
        ck_assert_int_eq(clsa_session_truncate(a, 0, NULL), CLSA_OK);
        ck_assert_int_eq(clsa_session_open(&b, model[0], NULL, NULL), CLSA_OK);
        ck_assert_int_eq(memcmp(decode(a, 1), decode(b, 1), bytes), 0);
        clsa_session_close(a);
        clsa_session_close(b);
    }
    clsa_model_close(model[0]);
    clsa_model_close(model[1]);
}
END_TEST

static double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* A profile times what a step does, adds up to its time, is off unless it is
   switched on, and does not show in the logits. */
START_TEST(profiled)
{
    static const char *const done[] = {"norm",     "qkv",    "scan",
                                       "gather",   "select", "attention",
                                       "attn_out", "ffn",    "logits"};
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 2);
    clsa_session *a = open_filled(model, "clsa", 2000, 1);
    clsa_session *b = open_filled(model, "clsa", 2000, 1);
    clsa_profile off, on;
    double sum = 0;
    decode(a, 1);
    ck_assert_int_eq(clsa_model_get_profile(model, &off, sizeof off), CLSA_OK);
    ck_assert_uint_eq(off.steps, 0);
    for (uint32_t i = 0; i < off.op_count; i++)
        ck_assert(off.ops[i].ms == 0);
    clsa_model_set_profile(model, 1);
    const double start = milliseconds();
    for (int i = 0; i < 5; i++)
        decode(b, 1 + i);
    const double took = milliseconds() - start;
    clsa_model_get_profile(model, &on, sizeof on);
    ck_assert_uint_eq(on.steps, 5);
    for (uint32_t i = 0; i < on.op_count; i++)
        sum += on.ops[i].ms;
    ck_assert_msg(sum > 0.5 * took && sum <= took, "%g of %g ms", sum, took);
    for (size_t j = 0; j < sizeof done / sizeof *done; j++) {
        uint32_t i = 0;
        while (i < on.op_count && strcmp(on.ops[i].name, done[j]) != 0)
            i++;
        ck_assert_msg(i < on.op_count && on.ops[i].ms > 0, "%s", done[j]);
    }
    clsa_model_set_profile(model, 0);
    for (int i = 1; i < 5; i++)
        decode(a, 1 + i);
    clsa_model_get_profile(model, &off, sizeof off);
    ck_assert_uint_eq(off.steps, 0);
    ck_assert_int_eq(memcmp(clsa_session_logits(a), clsa_session_logits(b),
                            small.vocab * sizeof(float)),
                     0);
    ck_assert_int_eq(clsa_model_get_profile(model, &off, 8), CLSA_ERR_ARGUMENT);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(model);
}
END_TEST

START_TEST(refused_fills)
{
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 1);
    clsa_session *session = open_filled(model, "clsa", 100, 1);
    clsa_error error;
    ck_assert_int_eq(clsa_session_fill_random(session, 1, 1, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "100 tokens"));
    ck_assert_int_eq(clsa_session_truncate(session, 0, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_fill_random(session, 0, 1, NULL),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(clsa_session_fill_random(session, 165, 1, NULL),
                     CLSA_ERR_FULL);
    ck_assert_uint_eq(clsa_session_length(session), 0);
    ck_assert_int_eq(clsa_session_fill_random(session, 164, 1, NULL), CLSA_OK);
    clsa_session_close(session);
    clsa_model_close(model);
}
END_TEST

START_TEST(no_tokenizer)
{
    clsa_model *model = open_random(&small, CLSA_TYPE_Q8_0, 1);
    clsa_detokenizer state = {0};
    clsa_error error;
    int32_t *ids;
    char *text;
    size_t n;
    ck_assert_int_eq(clsa_tokenize(model, "a", 1, 0, &ids, &n, &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "no tokenizer"));
    ck_assert_int_eq(clsa_detokenize(model, &state, 1, &text, &n, NULL),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_null(clsa_token_bytes(model, 1, &n));
    ck_assert_int_eq(clsa_token_is_special(model, 1), 0);
    ck_assert_uint_eq(clsa_model_metadata_count(model), 0);
    clsa_model_close(model);
}
END_TEST

int main(void)
{
    const char *emulator = getenv("CLSA_EMULATOR");
    if (emulator && *emulator) {
        divisor = 4;
        printf("under an emulator: sessions a quarter as long, types tied or "
               "not in turns, k-quants with 2 threads only\n");
    }
    Suite *suite = suite_create("random");
    TCase *tests = tcase_create("random");
    const int count = (int)(sizeof types / sizeof *types);
    const int quick = divisor > 1 ? count - 2 : count; /* no k-quants */
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, stopped);
    tcase_add_loop_test(tests, values, 0, count);
    tcase_add_loop_test(tests, threads, 0, quick);
    tcase_add_test(tests, nodes);
    tcase_add_test(tests, selections);
    tcase_add_test(tests, goes_on);
    tcase_add_test(tests, refused_shapes);
    tcase_add_test(tests, refused_memory);
    tcase_add_test(tests, changed);
    tcase_add_test(tests, retention);
    tcase_add_test(tests, profiled);
    tcase_add_test(tests, refused_fills);
    tcase_add_test(tests, no_tokenizer);
    suite_add_tcase(suite, tests);
    return suite_run(suite, CK_NOFORK);
}
