/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of mixes: types by place, as llama.cpp has them in its files. */
#include <stdio.h>
#include <string.h>

#include "src/convert/mix.h"
#include "tests/suite.h"

#define LAYERS 16 /* as in Llama-3.2-1B, 32 query heads to 8 KV heads */

static const struct {
    const char *role;
    uint64_t rows;
} roles[] = {{"attn_q", 2048},      {"attn_k", 512},    {"attn_v", 512},
             {"attn_output", 2048}, {"ffn_gate", 8192}, {"ffn_up", 8192},
             {"ffn_down", 2048},    {"attn_qkv", 3072}};

#define ROLES (sizeof roles / sizeof *roles)

/* A layer has either Q, K and V, or all in one. */
static void add_layers(struct clsa_tensor_plan *plan, bool fused)
{
    for (int i = 0; i < LAYERS; i++)
        for (size_t k = 0; k < ROLES; k++) {
            if (fused ? k < 3 : k == ROLES - 1)
                continue;
            struct clsa_planned_tensor *t = clsa_tensor_plan_add(plan);
            ck_assert_ptr_nonnull(t);
            snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", i,
                     roles[k].role);
            t->rows = roles[k].rows;
        }
}

static struct clsa_planned_tensor *add(struct clsa_tensor_plan *plan,
                                       const char *name)
{
    struct clsa_planned_tensor *t = clsa_tensor_plan_add(plan);
    ck_assert_ptr_nonnull(t);
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

/* The types of a role by layer, as their letters: 2 to 6 of k-quants. */
static const char *by_layer(const struct clsa_tensor_plan *plan, int mix,
                            const char *role)
{
    static char text[LAYERS + 1];
    for (int i = 0; i < LAYERS; i++) {
        char name[64];
        size_t k = 0;
        snprintf(name, sizeof name, "blk.%d.%s.weight", i, role);
        while (strcmp(plan->tensors[k].name, name) != 0)
            k++;
        const char *type =
            clsa_type_name(clsa_mix_type(mix, plan, &plan->tensors[k]));
        text[i] = type[0] == 'i' ? 'i' : type[1];
    }
    return text;
}

static void check_roles(const struct clsa_tensor_plan *plan)
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
        ck_assert_msg(strcmp(by_layer(plan, expected[i].mix, expected[i].role),
                             expected[i].types) == 0,
                      "mix %d, %s: expected %s, got %s", expected[i].mix,
                      expected[i].role, expected[i].types,
                      by_layer(plan, expected[i].mix, expected[i].role));
}

START_TEST(test_layers)
{
    struct clsa_tensor_plan plan = {.tensors = NULL};
    add_layers(&plan, false);
    check_roles(&plan);
    /* fewer than four query heads to a KV head */
    for (size_t i = 0; i < plan.count; i++)
        if (strstr(plan.tensors[i].name, "attn_q"))
            plan.tensors[i].rows = 1024;
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_Q2_K, "attn_v"),
                     "3333333333333333");
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_IQ4_XS, "attn_v"),
                     "iiiiiiiiiiiiiiii");
    clsa_tensor_plan_free(&plan);
}
END_TEST

START_TEST(test_fused)
{
    struct clsa_tensor_plan plan = {.tensors = NULL};
    add_layers(&plan, true);
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_Q4_K_M, "attn_qkv"),
                     "5555555555555555");
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_Q5_K_M, "attn_qkv"),
                     "6666666666666666");
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_Q3_K_M, "attn_qkv"),
                     "4444444444444444");
    ck_assert_str_eq(by_layer(&plan, CLSA_MIX_Q4_K_S, "attn_qkv"),
                     "4444444444444444");
    clsa_tensor_plan_free(&plan);
}
END_TEST

/* The embedding, as long as it is the output matrix as well. */
START_TEST(test_output)
{
    struct clsa_tensor_plan plan = {.tensors = NULL};
    add(&plan, "token_embd.weight");
    ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q4_K_M, &plan, plan.tensors),
                     CLSA_TYPE_Q6_K);
    add(&plan, "output.weight");
    ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q4_K_M, &plan, plan.tensors),
                     CLSA_TYPE_Q4_K);
    ck_assert_int_eq(clsa_mix_type(CLSA_MIX_Q2_K, &plan, plan.tensors + 1),
                     CLSA_TYPE_Q6_K);
    ck_assert_uint_eq(clsa_mix_file_number(CLSA_MIX_Q4_K_M), 15);
    ck_assert(!clsa_mix_known(CLSA_TYPE_Q4_K));
    clsa_tensor_plan_free(&plan);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mix");
    TCase *tests = tcase_create("mix");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, test_layers);
    tcase_add_test(tests, test_fused);
    tcase_add_test(tests, test_output);
    return suite_run(suite, CK_FORK_GETENV);
}
