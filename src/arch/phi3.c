/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture phi3: Q, K and V are one tensor, gate and up another, gate
 * first. LongRoPE (arXiv 2402.13753): one list of factors for sessions whose
 * context is not above the original one, another for longer ones.
 */
#include "src/arch/usual.h"

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    CLSA_TRY(clsa_usual_open(net, keys, CLSA_USUAL_LONGROPE));
    net->ropes[0].long_from = net->ropes[0].original;
    return clsa_keys_finish(keys);
}

static clsa_status find_layer(struct clsa_finder *f, uint32_t i, size_t d,
                              struct clsa_layer *l)
{
    const size_t e = l->heads.head_dim, n = l->ffn;
    const size_t he = l->heads.heads * e, ge = l->heads.kv_heads * e;
    struct clsa_matrix *const qkv[] = {&l->q, &l->k, &l->v, NULL};
    struct clsa_matrix *const gated[] = {&l->gate, &l->up, NULL};
    l->q.rows = he;
    l->k.rows = l->v.rows = ge;
    l->gate.rows = l->up.rows = n;
    CLSA_TRY(
        clsa_find_vector(f, i, "attn_norm", CLSA_REQUIRED, d, &l->attn_norm));
    CLSA_TRY(clsa_find_fused(f, i, "attn_qkv", he + 2 * ge, d, qkv));
    CLSA_TRY(clsa_find_matrix(f, i, "attn_output", CLSA_REQUIRED, d, he,
                              &l->attn_out));
    CLSA_TRY(
        clsa_find_vector(f, i, "ffn_norm", CLSA_REQUIRED, d, &l->ffn_norm));
    CLSA_TRY(clsa_find_fused(f, i, "ffn_up", 2 * n, d, gated));
    return clsa_find_matrix(f, i, "ffn_down", CLSA_REQUIRED, d, n, &l->down);
}

static clsa_status find_factors(struct clsa_finder *f, struct clsa_rope *rope)
{
    const float *brief = NULL, *wide = NULL;
    CLSA_TRY(clsa_find_factors(f, "rope_factors_short", CLSA_OPTIONAL, rope,
                               &brief));
    if (!brief && !f->make)
        return clsa_find_rope(f, NULL, rope);
    CLSA_TRY(clsa_find_factors(f, "rope_factors_long",
                               f->make ? CLSA_OPTIONAL : CLSA_REQUIRED, rope,
                               &wide));
    if (f->make)
        return CLSA_OK;
    if (rope->long_from == 0)
        return clsa_fail(f->error, CLSA_ERR_FORMAT,
                         "%s: key 'phi3.rope.scaling.original_context_length' "
                         "is missing, which the factors of its rotation need",
                         f->gguf->path);
    CLSA_TRY(clsa_rope_set(rope, brief, f->error));
    return clsa_rope_set_long(rope, wide, f->error);
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    CLSA_TRY(clsa_usual_find_ends(f, net));
    for (uint32_t i = 0; i < net->layer_count; i++)
        CLSA_TRY(find_layer(f, i, net->hidden, &net->layers[i]));
    return find_factors(f, &net->ropes[0]);
}

const struct clsa_arch clsa_arch_phi3 = {
    .name = "phi3",
    .read = read,
    .find = find,
};
