/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompts through oneDNN against those through the own kernels: near them in
 * f32, bf16 and int8, and each the same bits for any number of threads, size
 * of blocks, and memory for converted weights. int8 products are exact where
 * all values are extreme. What this build or CPU lacks is
 * skipped, and all of it without oneDNN.
 */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_bench.h"
#include "simd/gemm.h"
#include "tests/suite.h"

enum { TOKENS = 700, WANTED = 200 };

static const char *const paths[] = {"f32", "bf16", "int8"};
static int32_t ids[TOKENS];

static clsa_model *open_model(uint32_t threads, uint64_t memory, clsa_type type)
{
    const clsa_shape shape = {.width = 96,
                              .self_layers = 2,
                              .cross_layers = 2,
                              .heads = 3,
                              .kv_heads = 1,
                              .head_size = 32,
                              .ffn = 160,
                              .window = 70,
                              .index_size = 32,
                              .top_k = 50,
                              .vocab = 2100, /* several tiles a group */
                              .tied = 1};
    clsa_model_options options;
    clsa_model *model;
    clsa_model_options_init(&options);
    options.threads = threads;
    options.prefill_memory = memory;
    ck_assert_int_eq(clsa_model_random(&model, &shape, type, &options, NULL),
                     CLSA_OK);
    return model;
}

static clsa_session *open_session(clsa_model *model, const char *prefill,
                                  uint32_t block)
{
    clsa_session_options options;
    clsa_session *s;
    clsa_session_options_init(&options);
    options.context = TOKENS + 10;
    options.attention = "dense"; /* near ones may select other rows */
    options.kv_type = options.index_type = CLSA_TYPE_F32;
    options.prefill = prefill;
    options.prefill_block = block;
    ck_assert_int_eq(clsa_session_open(&s, model, &options, NULL), CLSA_OK);
    return s;
}

struct seen {
    float *logits;
    size_t count, vocab;
};

static void keep(void *user, uint64_t position, const float *logits)
{
    struct seen *seen = user;
    (void)position;
    memcpy(seen->logits + seen->count++ * seen->vocab, logits,
           seen->vocab * sizeof *logits);
}

/* Logits of the last WANTED tokens of a prompt, to be freed. */
static float *read_prompt(clsa_model *model, const char *prefill,
                          uint32_t block, size_t *count)
{
    uint8_t mask[TOKENS] = {0};
    clsa_model_info info;
    clsa_session *s = open_session(model, prefill, block);
    clsa_model_get_info(model, &info, sizeof info);
    struct seen seen = {malloc(WANTED * info.vocab * sizeof(float)), 0,
                        info.vocab};
    clsa_append_options how = {
        .want = CLSA_WANT_MASK, .mask = mask, .on_logits = keep, .user = &seen};
    memset(mask + TOKENS - WANTED, 1, WANTED);
    ck_assert_int_eq(clsa_session_append(s, ids, TOKENS, &how, NULL), CLSA_OK);
    ck_assert_uint_eq(seen.count, WANTED);
    *count = WANTED * info.vocab;
    clsa_session_close(s);
    return seen.logits;
}

static double distance(const float *a, const float *b, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference +=
            ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / size);
}

/* Whether there are products of a type, for a test, which says so if not. */
static bool is_there(const char *test, const char *prefill)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(paths[i], prefill) == 0 &&
            clsa_gemm_fast((enum clsa_gemm_type)i))
            return true;
    printf(
        "SKIP check_products %s %s: not in this build, or slow on this CPU\n",
        test, prefill);
    return false;
}

/* A test of one type after the other: it is skipped if there is none of them.
 */
static void need_one(unsigned count)
{
    suite_skipped += count == 0;
}

START_TEST(near_own)
{
    static const double bounds[] = {1e-4, 0.05, 0.1};
    static const clsa_type types[] = {CLSA_TYPE_F32, CLSA_TYPE_Q8_0};
    unsigned count = 0;
    for (int i = 0; i < 3; i++) {
        if (!is_there("near_own", paths[i]))
            continue;
        count++;
        for (int t = 0; t < 2; t++) {
            clsa_model *model = open_model(2, CLSA_PREFILL_MEMORY, types[t]);
            size_t n;
            float *own = read_prompt(model, "own", 256, &n);
            float *other = read_prompt(model, paths[i], 256, &n);
            double apart = distance(other, own, n);
            printf("%s, %s weights: %.2g from own\n", paths[i],
                   clsa_type_name(types[t]), apart);
            ck_assert(apart > 0);
            /* own kernels quantize activations for weights in blocks */
            ck_assert_double_lt(apart, t == 0 ? bounds[i] : 0.1);
            free(own);
            free(other);
            clsa_model_close(model);
        }
    }
    need_one(count);
}
END_TEST

/* Blocks of any size, any threads, weights kept or converted each time. */
START_TEST(same_bits)
{
    static const uint32_t blocks[] = {1, 33, 64, 200, 512, 700};
    unsigned count = 0;
    for (int i = 0; i < 3; i++) {
        if (!is_there("same_bits", paths[i]))
            continue;
        count++;
        clsa_model *model = open_model(1, 0, CLSA_TYPE_F32);
        size_t n;
        float *first = read_prompt(model, paths[i], 256, &n);
        for (uint32_t threads = 1; threads <= 3; threads++) {
            clsa_model *m =
                open_model(threads, threads == 3 ? 100000 : CLSA_PREFILL_MEMORY,
                           CLSA_TYPE_F32);
            for (size_t b = 0; b < 6; b++) {
                float *logits = read_prompt(m, paths[i], blocks[b], &n);
                ck_assert_int_eq(memcmp(first, logits, n * sizeof *first), 0);
                free(logits);
            }
            clsa_model_close(m);
        }
        free(first);
        clsa_model_close(model);
    }
    need_one(count);
}
END_TEST

/* Few tokens go as decoding does, and a session goes back to what it was. */
START_TEST(few_and_back)
{
    if (!is_there("few_and_back", "int8")) {
        need_one(0);
        return;
    }
    clsa_model *model = open_model(2, CLSA_PREFILL_MEMORY, CLSA_TYPE_Q8_0);
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    clsa_session *a = open_session(model, "own", 256);
    clsa_session *b = open_session(model, "int8", 256);
    clsa_session_stats stats;
    size_t bytes = info.vocab * sizeof(float);
    ck_assert_int_eq(clsa_session_append(a, ids, 31, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_append(b, ids, 31, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(
        memcmp(clsa_session_logits(a), clsa_session_logits(b), bytes), 0);
    clsa_session_get_stats(b, &stats, sizeof stats);
    ck_assert_str_eq(stats.prefill, "int8");
    clsa_session_close(a);
    clsa_session_close(b);
    a = open_session(model, "int8", 256);
    b = open_session(model, "int8", 256);
    ck_assert_int_eq(clsa_session_append(a, ids, 650, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_truncate(a, 400, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_append(a, ids, 1, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_append(b, ids, 400, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(clsa_session_append(b, ids, 1, NULL, NULL), CLSA_OK);
    ck_assert_int_eq(
        memcmp(clsa_session_logits(a), clsa_session_logits(b), bytes), 0);
    clsa_session_close(a);
    clsa_session_close(b);
    clsa_model_close(model);
}
END_TEST

/* Weights of either sign at their limit, activations 0 and 255: pairs of
   products that 16 bits hold only within the limit. */
START_TEST(extremes)
{
    enum { M = 64, N = 64, K = 200 };
    if (!is_there("extremes", "int8")) {
        need_one(0);
        return;
    }
    struct clsa_gemm *g =
        clsa_gemm_open(CLSA_GEMM_INT8, M, N, K, CLSA_GEMM_ROWS, 1, 1);
    ck_assert(g != NULL);
    const int limit = clsa_gemm_limit(g);
    ck_assert(limit == 127 || limit == 64);
    unsigned char *packed = malloc(clsa_gemm_bytes(g));
    static unsigned char x[M * K];
    static signed char w[N * K];
    static int32_t y[M * N];
    uint32_t random = 1;
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < M * K; i++, random = random * 1664525u + 1u)
            x[i] = kind < 2 ? 255 : (random >> 16 & 1) ? 255 : 0;
        for (int i = 0; i < N * K; i++, random = random * 1664525u + 1u)
            w[i] = (signed char)(kind == 0            ? limit
                                 : kind == 1          ? -limit
                                 : (random >> 16 & 1) ? limit
                                                      : -limit);
        ck_assert_int_eq(clsa_gemm_pack(g, 0, packed, w), 0);
        ck_assert_int_eq(clsa_gemm_run(g, 0, y, x, packed), 0);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                int32_t sum = 0;
                for (int k = 0; k < K; k++)
                    sum += x[m * K + k] * w[n * K + k];
                ck_assert_int_eq(y[m * N + n], sum);
            }
    }
    free(packed);
    clsa_gemm_close(g);
}
END_TEST

int main(void)
{
    uint32_t random = 1;
    for (int i = 0; i < TOKENS; i++) {
        random = random * 1103515245u + 12345u;
        ids[i] = (int32_t)((random >> 8) % 300);
    }
    Suite *suite = suite_create("products");
    TCase *tc = tcase_create("prompts");
    tcase_set_timeout(tc, 900);
    tcase_add_test(tc, near_own);
    tcase_add_test(tc, same_bits);
    tcase_add_test(tc, few_and_back);
    tcase_add_test(tc, extremes);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_NOFORK);
}
