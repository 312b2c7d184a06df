/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of mixes: types by place, as llama.cpp has them in its files. */
#include <stdio.h>
#include <string.h>

#include "src/model/mix.h"
#include "tests/suite.h"

enum { MOST = 80, NAME = 40 };

static const struct {
    const char *role;
    uint64_t rows; /* of Llama-3.2-1B, 32 query heads to 8 KV heads */
} roles[] = {{"attn_q", 2048},      {"attn_k", 512},    {"attn_v", 512},
             {"attn_output", 2048}, {"ffn_gate", 8192}, {"ffn_up", 8192},
             {"ffn_down", 2048},    {"attn_qkv", 3072}};

enum { ROLES = sizeof roles / sizeof *roles };

/* A list, and the names that it points to. */
struct model {
    struct clsa_mix_list list;
    int layers;
    struct clsa_mix_matrix at[MOST * ROLES];
    char names[MOST * ROLES][NAME];
};

static void add(struct model *m, const char *name, uint64_t rows)
{
    const size_t i = m->list.count++;
    snprintf(m->names[i], NAME, "%s", name);
    m->at[i] = (struct clsa_mix_matrix){m->names[i], rows};
    m->list.at = m->at;
}

/* A layer has either Q, K and V, or all in one. */
static void add_layers(struct model *m, int layers, bool fused)
{
    char name[NAME];
    m->layers = layers;
    for (int i = 0; i < layers; i++)
        for (size_t k = 0; k < ROLES; k++) {
            if (fused ? k < 3 : k == ROLES - 1)
                continue;
            snprintf(name, sizeof name, "blk.%d.%s.weight", i, roles[k].role);
            add(m, name, roles[k].rows);
        }
}

/* The types of a role by layer, as their letters: 2 to 6 of k-quants. */
static const char *by_layer(const struct model *m, int mix, const char *role)
{
    static char text[MOST + 1];
    char name[NAME];
    for (int i = 0; i < m->layers; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, role);
        const char *type = clsa_type_name(clsa_mix_type(mix, &m->list, name));
        text[i] = type[0] == 'i' ? 'i' : type[1];
    }
    text[m->layers] = 0;
    return text;
}

static void check_roles(const struct model *m)
{
    static const struct {
        int mix;
        const char *role, *types;
    } expected[] = {
        {CLSA_MIX_Q4_K_M, "attn_v", "6644644644644666"},
        {CLSA_MIX_Q4_K_M, "ffn_down", "6644644644644666"},
        {CLSA_MIX_Q4_K_M, "attn_q", "4444444444444444"},
        {CLSA_MIX_Q4_K_M, "attn_output", "4444444444444444"},
        {CLSA_MIX_Q5_K_M, "ffn_down", "6655655655655666"},
        {CLSA_MIX_Q4_K_S, "attn_v", "5555444444444444"},
        {CLSA_MIX_Q4_K_S, "ffn_down", "5544444444444444"},
        {CLSA_MIX_Q5_K_S, "attn_v", "5555555555555555"},
        {CLSA_MIX_Q3_K_S, "ffn_down", "3333333333333333"},
        {CLSA_MIX_Q3_K_M, "attn_v", "5544444444444444"},
        {CLSA_MIX_Q3_K_M, "ffn_down", "5444444444444444"},
        {CLSA_MIX_Q3_K_M, "attn_output", "4444444444444444"},
        {CLSA_MIX_Q3_K_L, "attn_output", "5555555555555555"},
        {CLSA_MIX_Q3_K_L, "ffn_up", "3333333333333333"},
        {CLSA_MIX_Q2_K, "attn_v", "4444444444444444"},
        {CLSA_MIX_Q2_K, "ffn_down", "3333333333333333"},
        {CLSA_MIX_Q2_K, "attn_k", "2222222222222222"},
        {CLSA_MIX_IQ4_XS, "attn_v", "5555555555555555"},
        {CLSA_MIX_IQ4_XS, "ffn_down", "55iiiiiiiiiiiiii"},
        {CLSA_MIX_IQ4_NL, "ffn_gate", "iiiiiiiiiiiiiiii"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(strcmp(by_layer(m, expected[i].mix, expected[i].role),
                             expected[i].types) == 0,
                      "mix %d, %s: expected %s, got %s", expected[i].mix,
                      expected[i].role, expected[i].types,
                      by_layer(m, expected[i].mix, expected[i].role));
}

START_TEST(test_layers)
{
    static struct model m;
    add_layers(&m, 16, false);
    check_roles(&m);
    /* fewer than four query heads to a KV head */
    for (size_t i = 0; i < m.list.count; i++)
        if (strstr(m.at[i].name, "attn_q"))
            m.at[i].rows = 1024;
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q2_K, "attn_v"), "3333333333333333");
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_IQ4_XS, "attn_v"),
                     "iiiiiiiiiiiiiiii");
}
END_TEST

/* The layers of gemma-3-270m, whose public file has these types before its
   short rows change some of them. */
START_TEST(test_gemma)
{
    static struct model m;
    add_layers(&m, 18, false);
    add(&m, "token_embd.weight", 262144);
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q4_K_M, "attn_v"),
                     "664464464464464666");
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q4_K_M, "ffn_down"),
                     "664464464464464666");
    ck_assert_int_eq(
        clsa_mix_type(CLSA_MIX_Q4_K_M, &m.list, "token_embd.weight"),
        CLSA_TYPE_Q6_K);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q6_K, 640), CLSA_TYPE_Q8_0);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q4_K, 640), CLSA_TYPE_Q5_0);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q5_K, 640), CLSA_TYPE_Q5_1);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q3_K, 640), CLSA_TYPE_IQ4_NL);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q6_K, 1024), CLSA_TYPE_Q6_K);
    ck_assert_int_eq(clsa_mix_fitting(CLSA_TYPE_Q8_0, 40), CLSA_TYPE_F16);
}
END_TEST

/* 80 layers with few KV heads: no V has less than Q5_K. */
START_TEST(test_many_layers)
{
    static const struct {
        int mix;
        const char *first; /* types of the first ones */
    } expected[] = {
        {CLSA_MIX_Q4_K_M, "66666666665565565565"},
        {CLSA_MIX_Q4_K_S, "55555555555555555555"},
        {CLSA_MIX_Q3_K_S, "55555555555555555555"},
        {CLSA_MIX_Q3_K_M, "55555555555555555555"},
        {CLSA_MIX_Q2_K, "55555555555555555555"},
    };
    static struct model m;
    add_layers(&m, 80, false);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *types = by_layer(&m, expected[i].mix, "attn_v");
        ck_assert_msg(strncmp(types, expected[i].first, 20) == 0, "mix %d: %s",
                      expected[i].mix, types);
    }
    ck_assert_ptr_null(strchr(by_layer(&m, CLSA_MIX_Q4_K_M, "ffn_down"), '5'));
    for (size_t i = 0; i < m.list.count; i++) /* as many KV heads */
        if (strstr(m.at[i].name, "attn_q"))
            m.at[i].rows = 512;
    ck_assert_ptr_nonnull(strchr(by_layer(&m, CLSA_MIX_Q4_K_M, "attn_v"), '4'));
}
END_TEST

START_TEST(test_fused)
{
    static struct model m;
    add_layers(&m, 16, true);
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q4_K_M, "attn_qkv"),
                     "5555555555555555");
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q5_K_M, "attn_qkv"),
                     "6666666666666666");
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q3_K_M, "attn_qkv"),
                     "4444444444444444");
    ck_assert_str_eq(by_layer(&m, CLSA_MIX_Q4_K_S, "attn_qkv"),
                     "4444444444444444");
}
END_TEST

/* The embedding, as long as it is the output matrix as well, and the embeddings
   of single layers with it; their projection stays as it is. */
START_TEST(test_output)
{
    static const char *const embeddings[] = {"token_embd.weight",
                                             "per_layer_token_embd.weight"};
    static struct model m;
    for (size_t i = 0; i < 2; i++)
        add(&m, embeddings[i], 8);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q4_K_M, &m.list, embeddings[i]),
                         CLSA_TYPE_Q6_K);
    add(&m, "output.weight", 8);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q4_K_M, &m.list, embeddings[i]),
                         CLSA_TYPE_Q4_K);
    ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q2_K, &m.list, "output.weight"),
                     CLSA_TYPE_Q6_K);
    ck_assert(clsa_mix_keeps("per_layer_model_proj.weight"));
    ck_assert(!clsa_mix_keeps("output.weight"));
    ck_assert_uint_eq(clsa_mix_file_number(CLSA_MIX_Q4_K_M), 15);
    ck_assert(!clsa_mix_known(CLSA_TYPE_Q4_K));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mix");
    TCase *tests = tcase_create("mix");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, test_layers);
    tcase_add_test(tests, test_gemma);
    tcase_add_test(tests, test_many_layers);
    tcase_add_test(tests, test_fused);
    tcase_add_test(tests, test_output);
    return suite_run(suite, CK_FORK_GETENV);
}
