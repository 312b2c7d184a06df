/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen of texts, against plain loops: queries are the product of the
 * inputs seen, attention is the softmax over the rows of the cache; and a text
 * leaves the same behind with an observer as without.
 */
#include <math.h>
#include <string.h>

#include "clsa_bench.h"
#include "src/train/reading.h"
#include "tests/suite.h"

#define TOKENS  70
#define QUERIES 5

/* Rotates neighbors; has norms of queries. */
static const char *const shapes[] = {
    "llama-3.2-1b,block_count=3,embedding_length=32,feed_forward_length=64,"
    "attention.head_count=4,attention.head_count_kv=2,vocab=100,"
    "attention.key_length=8,attention.value_length=8,rope.dimension_count=8",
    "qwen3-4b,block_count=2,embedding_length=32,feed_forward_length=64,"
    "attention.head_count=4,attention.head_count_kv=2,vocab=100,"
    "attention.key_length=16,attention.value_length=16,rope.dimension_count=16",
};
static const uint32_t positions[QUERIES] = {0, 1, 33, 50, TOKENS - 1};

static int32_t ids[TOKENS];

static clsa_model *open_model(const char *shape, unsigned threads)
{
    clsa_model *model;
    clsa_error error = {.message = ""};
    clsa_model_options options;
    clsa_model_options_init(&options);
    options.threads = threads;
    options.simd = getenv("CLSA_SIMD");
    ck_assert_msg(clsa_model_random_like(&model, shape, CLSA_TYPE_F32, &options,
                                         &error) == CLSA_OK,
                  "%s", error.message);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 37 + 11) % 100;
    return model;
}

/* A reading of the text in F32, prompts through `prefill`. */
static void read_text(struct clsa_reading *r, clsa_model *model,
                      const char *prefill, const clsa_append_options *how)
{
    bool inputs[CLSA_LAYER_LIMIT];
    clsa_error error = {.message = ""};
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.prefill = prefill;
    options.prefill_block = 32;
    memset(inputs, 1, sizeof inputs);
    const struct clsa_reading_want want = {positions, QUERIES, inputs};
    ck_assert_msg(clsa_reading_open(r, model, TOKENS, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    ck_assert_msg(clsa_reading_read(r, ids, TOKENS, &want, how, &error) ==
                      CLSA_OK,
                  "%s", error.message);
}

/* The query at position 0, which no angle rotates, is made of the input. */
static void check_queries(const struct clsa_reading *r, uint32_t layer)
{
    const struct clsa_layer *l = &r->model->net.layers[layer];
    const size_t d = r->model->net.hidden, e = l->heads.head_dim;
    const float *w = l->q.data, *x = r->input[layer];
    for (size_t h = 0; h < l->heads.heads; h++) {
        double q[CLSA_HEAD_DIM_LIMIT], squares = 0, norm = 1;
        for (size_t i = 0; i < e; i++) {
            q[i] = 0;
            for (size_t j = 0; j < d; j++)
                q[i] += (double)w[(h * e + i) * d + j] * (double)x[j];
            squares += q[i] * q[i];
        }
        if (l->q_norm)
            norm = 1 / sqrt(squares / (double)e + (double)r->model->net.eps);
        for (size_t i = 0; i < e; i++) {
            const size_t at = r->model->net.ropes[l->rope].adjacent
                                  ? i / 2 + i % 2 * e / 2
                                  : i;
            const double weight = l->q_norm ? (double)l->q_norm[i] : 1;
            ck_assert_double_eq_tol((double)r->q[layer][h * e + at],
                                    q[i] * norm * weight * (double)l->scale,
                                    2e-5);
        }
    }
}

/* Softmax weights of query j, mean over heads, by plain loops. */
static void attend(const struct clsa_reading *r, uint32_t layer, size_t j,
                   double *weights)
{
    const struct clsa_layer *l = &r->model->net.layers[layer];
    const struct clsa_cache *cache = &r->session->stores.store[l->store].cache;
    const size_t e = l->heads.head_dim, n = r->position[j] + (size_t)1;
    memset(weights, 0, TOKENS * sizeof *weights);
    for (size_t h = 0; h < l->heads.heads; h++) {
        const float *q = r->q[layer] + (j * l->heads.heads + h) * e;
        double score[TOKENS], sum = 0;
        for (size_t s = 0; s < n; s++) {
            const float *k =
                (const float *)(const void *)clsa_cache_row(cache, s) +
                h / l->heads.group * e;
            score[s] = 0;
            for (size_t i = 0; i < e; i++)
                score[s] += (double)q[i] * (double)k[i];
            sum += score[s] = exp(score[s]);
        }
        for (size_t s = 0; s < n; s++)
            weights[s] += score[s] / sum / (double)l->heads.heads;
    }
}

static void check_attention(struct clsa_reading *r, uint32_t layer)
{
    float got[QUERIES][TOKENS];
    double want[TOKENS];
    for (size_t i = 0; i < QUERIES * TOKENS; i++)
        got[i / TOKENS][i % TOKENS] = 1;
    clsa_reading_attend(r, layer, 0, 2, 0.5f, got[0], TOKENS);
    clsa_reading_attend(r, layer, 2, QUERIES - 2, 0.5f, got[2], TOKENS);
    for (size_t j = 0; j < QUERIES; j++) {
        attend(r, layer, j, want);
        for (size_t s = 0; s < TOKENS; s++)
            ck_assert_double_eq_tol((double)got[j][s], 1 + want[s] / 2, 1e-6);
    }
}

START_TEST(seen)
{
    static const char *const prefills[] = {"native", "f32"};
    clsa_model *model = open_model(shapes[_i % 2], 2);
    struct clsa_reading r;
    read_text(&r, model, prefills[_i / 2], NULL);
    for (uint32_t i = 0; i < model->net.layer_count; i++) {
        ck_assert(clsa_reading_sees(&r, i));
        check_queries(&r, i);
        check_attention(&r, i);
    }
    clsa_reading_close(&r);
    clsa_model_close(model);
}
END_TEST

/* K, V and logits are those of a session that nobody looks at. */
START_TEST(same_as_unseen)
{
    clsa_model *model = open_model(shapes[0], 2);
    uint8_t mask[TOKENS] = {[20] = 1, [TOKENS - 1] = 1};
    const clsa_append_options how = {.want = CLSA_WANT_MASK, .mask = mask};
    clsa_session *session;
    struct clsa_reading r;
    read_text(&r, model, "native", &how);
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.attention = "dense";
    options.context = TOKENS;
    options.prefill = "native";
    ck_assert_int_eq(clsa_session_open(&session, model, &options, NULL),
                     CLSA_OK);
    ck_assert_int_eq(clsa_session_append(session, ids, TOKENS, &how, NULL),
                     CLSA_OK);
    ck_assert_mem_eq(clsa_session_logits(session),
                     clsa_session_logits(r.session), 100 * sizeof(float));
    for (uint32_t i = 0; i < session->stores.count; i++) {
        const struct clsa_cache *cache = &session->stores.store[i].cache;
        ck_assert_mem_eq(clsa_cache_row(cache, 0),
                         clsa_cache_row(&r.session->stores.store[i].cache, 0),
                         TOKENS * cache->layout.row_bytes);
    }
    clsa_session_close(session);
    clsa_reading_close(&r);
    clsa_model_close(model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("train");
    TCase *tcase = tcase_create("readings");
    tcase_add_loop_test(tcase, seen, 0, 4);
    tcase_add_test(tcase, same_as_unseen);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite(), CK_NOFORK);
}
