/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the mixes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/types.h"
#include "src/model/mix.h"

/* Mixes have the numbers of general.file_type from here on. */
#define FIRST 1000

static const struct mix {
    clsa_mix mix;
    clsa_type type; /* of most matrices */
} mixes[] = {
    {CLSA_MIX_Q2_K, CLSA_TYPE_Q2_K},     {CLSA_MIX_Q3_K_S, CLSA_TYPE_Q3_K},
    {CLSA_MIX_Q3_K_M, CLSA_TYPE_Q3_K},   {CLSA_MIX_Q3_K_L, CLSA_TYPE_Q3_K},
    {CLSA_MIX_Q4_K_S, CLSA_TYPE_Q4_K},   {CLSA_MIX_Q4_K_M, CLSA_TYPE_Q4_K},
    {CLSA_MIX_Q5_K_S, CLSA_TYPE_Q5_K},   {CLSA_MIX_Q5_K_M, CLSA_TYPE_Q5_K},
    {CLSA_MIX_IQ4_NL, CLSA_TYPE_IQ4_NL}, {CLSA_MIX_IQ4_XS, CLSA_TYPE_IQ4_XS},
};

static const struct mix *find(int mix)
{
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
        if ((int)mixes[i].mix == mix)
            return &mixes[i];
    return NULL;
}

bool clsa_mix_known(int mix)
{
    return find(mix) != NULL;
}

uint32_t clsa_mix_file_number(int mix)
{
    return (uint32_t)(mix - FIRST);
}

/* ------------------------------------------------------------------- places */

/* The layer and role of blk.LAYER.ROLE.weight; false: another name. */
static bool place_of(const char *name, long *layer, char role[32])
{
    char *end;
    if (strncmp(name, "blk.", 4) != 0)
        return false;
    *layer = strtol(name + 4, &end, 10);
    const char *dot = *end == '.' ? strstr(end + 1, ".weight") : NULL;
    if (!dot || dot[strlen(".weight")] != '\0' || dot - end > 31)
        return false;
    snprintf(role, 32, "%.*s", (int)(dot - end - 1), end + 1);
    return true;
}

/* Where a layer stands. */
struct rank {
    long at, of; /* layers with values before it, and all of them */
    long layer, layers;
};

static bool is_value(const char *role)
{
    return strcmp(role, "attn_v") == 0 || strcmp(role, "attn_qkv") == 0;
}

static struct rank rank_of(const struct clsa_mix_list *list, long layer)
{
    struct rank r = {.layer = layer};
    for (size_t i = 0; i < list->count; i++) {
        char role[32];
        long other;
        if (!place_of(list->at[i].name, &other, role))
            continue;
        if (r.layers <= other)
            r.layers = other + 1;
        if (!is_value(role))
            continue;
        r.of++;
        r.at += other < layer;
    }
    return r;
}

static uint64_t rows_of(const struct clsa_mix_list *list, long layer,
                        const char *role)
{
    char name[80];
    snprintf(name, sizeof name, "blk.%ld.%s.weight", layer, role);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].name, name) == 0)
            return list->at[i].rows;
    return 0;
}

/* Query heads to a KV head. */
static bool many_share(const struct clsa_mix_list *list, long layer)
{
    const uint64_t k = rows_of(list, layer, "attn_k");
    return k != 0 && rows_of(list, layer, "attn_q") / k >= 4;
}

/* The first and the last eighth, and every third between them. */
static bool more_bits(long at, long of)
{
    return at < of / 8 || at >= 7 * of / 8 || (at - of / 8) % 3 == 2;
}

/* -------------------------------------------------------------------- rules */

static clsa_type of_values(int mix, const struct rank *r, bool shared,
                           clsa_type type)
{
    switch (mix) {
    case CLSA_MIX_Q2_K:
        return shared ? CLSA_TYPE_Q4_K : CLSA_TYPE_Q3_K;
    case CLSA_MIX_Q3_K_M:
        return r->at < 2 ? CLSA_TYPE_Q5_K : CLSA_TYPE_Q4_K;
    case CLSA_MIX_Q3_K_L:
        return CLSA_TYPE_Q5_K;
    case CLSA_MIX_Q4_K_S:
        return r->at < 4 ? CLSA_TYPE_Q5_K : type;
    case CLSA_MIX_Q4_K_M:
    case CLSA_MIX_Q5_K_M:
        return more_bits(r->at, r->of) ? CLSA_TYPE_Q6_K : type;
    case CLSA_MIX_IQ4_NL:
    case CLSA_MIX_IQ4_XS:
        return shared ? CLSA_TYPE_Q5_K : type;
    default:
        return type;
    }
}

static clsa_type of_ffn_down(int mix, const struct rank *r, clsa_type type)
{
    switch (mix) {
    case CLSA_MIX_Q2_K:
        return CLSA_TYPE_Q3_K;
    case CLSA_MIX_Q3_K_M:
        return r->layer < r->layers / 16 ? CLSA_TYPE_Q5_K : CLSA_TYPE_Q4_K;
    case CLSA_MIX_Q3_K_L:
        return CLSA_TYPE_Q5_K;
    case CLSA_MIX_Q4_K_S:
    case CLSA_MIX_IQ4_NL:
    case CLSA_MIX_IQ4_XS:
        return r->layer < r->layers / 8 ? CLSA_TYPE_Q5_K : type;
    case CLSA_MIX_Q4_K_M:
    case CLSA_MIX_Q5_K_M:
        return more_bits(r->layer, r->layers) ? CLSA_TYPE_Q6_K : type;
    default:
        return type;
    }
}

static clsa_type of_attn_output(int mix, clsa_type type)
{
    switch (mix) {
    case CLSA_MIX_Q2_K:
        return CLSA_TYPE_Q3_K;
    case CLSA_MIX_Q3_K_M:
        return CLSA_TYPE_Q4_K;
    case CLSA_MIX_Q3_K_L:
        return CLSA_TYPE_Q5_K;
    default:
        return type;
    }
}

/* Q, K and V in one. */
static clsa_type of_fused(int mix, clsa_type type)
{
    switch (mix) {
    case CLSA_MIX_Q3_K_M:
    case CLSA_MIX_Q3_K_L:
        return CLSA_TYPE_Q4_K;
    case CLSA_MIX_Q4_K_M:
        return CLSA_TYPE_Q5_K;
    case CLSA_MIX_Q5_K_M:
        return CLSA_TYPE_Q6_K;
    default:
        return type;
    }
}

static bool has(const struct clsa_mix_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].name, name) == 0)
            return true;
    return false;
}

/* The matrix that logits are computed with; and, where that is the embedding,
   the embeddings of single layers. */
static bool is_output(const struct clsa_mix_list *list, const char *name)
{
    static const char output[] = "output.weight";
    if (strcmp(name, output) == 0)
        return true;
    return (strcmp(name, "token_embd.weight") == 0 ||
            strcmp(name, "per_layer_token_embd.weight") == 0) &&
           !has(list, output);
}

/* Values of models of 80 layers whose query heads share KV heads are small
   beside the rest. */
static clsa_type of_few_values(const struct rank *r, bool shared,
                               clsa_type type)
{
    const bool few = type == CLSA_TYPE_Q3_K || type == CLSA_TYPE_Q4_K;
    return few && shared && r->layers == 80 ? CLSA_TYPE_Q5_K : type;
}

clsa_type clsa_mix_type(int mix, const struct clsa_mix_list *list,
                        const char *name)
{
    const clsa_type type = find(mix)->type;
    char role[32];
    long layer;
    if (is_output(list, name))
        return CLSA_TYPE_Q6_K;
    if (!place_of(name, &layer, role))
        return type;
    const struct rank r = rank_of(list, layer);
    const bool shared = many_share(list, layer);
    if (strcmp(role, "attn_v") == 0)
        return of_few_values(&r, shared, of_values(mix, &r, shared, type));
    if (strcmp(role, "ffn_down") == 0)
        return of_ffn_down(mix, &r, type);
    if (strcmp(role, "attn_output") == 0)
        return of_attn_output(mix, type);
    return strcmp(role, "attn_qkv") == 0 ? of_fused(mix, type) : type;
}

bool clsa_mix_keeps(const char *name)
{
    return strcmp(name, "per_layer_model_proj.weight") == 0;
}

/* ---------------------------------------------------------------- fallbacks */

static struct clsa_format_size size_of(clsa_type type)
{
    enum clsa_format format = CLSA_F32;
    clsa_type_format((uint32_t)type, &format);
    return clsa_format_size(format);
}

/* Blocks of 32 instead of 256, as llama.cpp has it. */
static clsa_type smaller_blocks(clsa_type type)
{
    switch (type) {
    case CLSA_TYPE_Q4_K:
        return CLSA_TYPE_Q5_0;
    case CLSA_TYPE_Q5_K:
        return CLSA_TYPE_Q5_1;
    case CLSA_TYPE_Q6_K:
        return CLSA_TYPE_Q8_0;
    default:
        return CLSA_TYPE_IQ4_NL;
    }
}

clsa_type clsa_mix_fitting(clsa_type type, uint64_t cols)
{
    if (size_of(type).values == CLSA_K_BLOCK && cols % CLSA_K_BLOCK != 0)
        type = smaller_blocks(type);
    return cols % size_of(type).values != 0 ? CLSA_TYPE_F16 : type;
}
