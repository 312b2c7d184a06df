/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architectures gemma2 and gemma3: windows in most layers, four norms in each,
 * GELU, embeddings times sqrt(d). gemma2 bounds scores and logits; gemma3 norms
 * the heads of Q and K, and its layers with windows are rotated by a base of
 * their own, without scaling.
 */
#include <math.h>

#include "src/arch/gemma.h"

enum { ROPE_FULL, ROPE_SLIDING, ROPES };

/* Every n-th layer sees all rows. */
enum { GEMMA2_EVERY = 2, GEMMA3_EVERY = 6 };

/* The largest model of each has another scale of scores, which files do not
   say: they are known by their layers. */
enum { GEMMA2_LARGEST = 46, GEMMA3_LARGEST = 62 };

clsa_status clsa_gemma_read_ends(struct clsa_network *net,
                                 const struct clsa_arch_keys *keys)
{
    float scores = 0;
    CLSA_TRY(clsa_keys_float(keys, "attn_logit_softcapping", false, 0, 1e9,
                             &scores));
    CLSA_TRY(clsa_keys_float(keys, "final_logit_softcapping", false, 0, 1e9,
                             &net->logit_softcap));
    net->embedding_scale = sqrtf((float)net->hidden);
    for (uint32_t i = 0; i < net->layer_count; i++) {
        net->layers[i].gate_kind = CLSA_GATE_GELU;
        net->layers[i].softcap = scores;
    }
    return CLSA_OK;
}

static clsa_status set_scale(struct clsa_network *net,
                             const struct clsa_arch_keys *keys,
                             const struct clsa_usual *u, uint32_t largest)
{
    float scale = net->layers[0].scale;
    if (u->layers == largest)
        scale = 1.0f / sqrtf((float)u->hidden / (float)u->heads.heads);
    CLSA_TRY(
        clsa_keys_float(keys, "attention.scale", false, 1e-9, 1e9, &scale));
    for (uint32_t i = 0; i < net->layer_count; i++)
        net->layers[i].scale = scale;
    return CLSA_OK;
}

/* Windows, with a rope of their own if there is one. */
static clsa_status set_windows(struct clsa_network *net,
                               const struct clsa_arch_keys *keys,
                               const struct clsa_usual *u, uint32_t every,
                               bool own_rope)
{
    bool sliding[CLSA_LAYER_LIMIT];
    CLSA_TRY(clsa_keys_pattern(keys, "attention.sliding_window_pattern",
                               u->layers, every, sliding));
    if (u->window)
        clsa_usual_slide(net, u->window, sliding);
    for (uint32_t i = 0; own_rope && i < net->layer_count; i++)
        if (sliding[i])
            net->layers[i].rope = ROPE_SLIDING;
    return CLSA_OK;
}

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys, uint32_t every,
                        uint32_t largest, bool own_rope)
{
    struct clsa_usual u = {.ropes = ROPES};
    CLSA_TRY(clsa_usual_read(&u, keys));
    CLSA_TRY(clsa_usual_plan(net, &u, keys->error));
    CLSA_TRY(set_scale(net, keys, &u, largest));
    CLSA_TRY(clsa_gemma_read_ends(net, keys));
    struct clsa_rope *rope = &net->ropes[ROPE_SLIDING];
    rope->base = own_rope ? 10000 : 0;
    rope->pairs = u.rope.pairs;
    if (own_rope)
        CLSA_TRY(clsa_keys_float(keys, "rope.freq_base_swa", false, 1, 1e30,
                                 &rope->base));
    CLSA_TRY(set_windows(net, keys, &u, every, own_rope));
    return clsa_keys_finish(keys);
}

static clsa_status read_gemma2(struct clsa_network *net,
                               const struct clsa_arch_keys *keys)
{
    return read(net, keys, GEMMA2_EVERY, GEMMA2_LARGEST, false);
}

static clsa_status read_gemma3(struct clsa_network *net,
                               const struct clsa_arch_keys *keys)
{
    return read(net, keys, GEMMA3_EVERY, GEMMA3_LARGEST, true);
}

clsa_status clsa_gemma_find_norms(struct clsa_finder *f, uint32_t i, size_t d,
                                  struct clsa_layer *l)
{
    CLSA_TRY(clsa_find_vector(f, i, "post_attention_norm", CLSA_REQUIRED, d,
                              &l->attn_post_norm));
    return clsa_find_vector(f, i, "post_ffw_norm", CLSA_REQUIRED, d,
                            &l->ffn_post_norm);
}

static clsa_status find_layers(struct clsa_network *net, struct clsa_finder *f,
                               bool norms)
{
    const size_t d = net->hidden;
    CLSA_TRY(clsa_usual_find(net, f, CLSA_OPTIONAL, norms));
    for (uint32_t i = 0; i < net->layer_count; i++)
        CLSA_TRY(clsa_gemma_find_norms(f, i, d, &net->layers[i]));
    return clsa_find_rope(f, NULL, &net->ropes[ROPE_SLIDING]);
}

static clsa_status find_gemma2(struct clsa_network *net, struct clsa_finder *f)
{
    return find_layers(net, f, false);
}

static clsa_status find_gemma3(struct clsa_network *net, struct clsa_finder *f)
{
    return find_layers(net, f, true);
}

const struct clsa_arch clsa_arch_gemma2 = {
    .name = "gemma2",
    .read = read_gemma2,
    .find = find_gemma2,
};

const struct clsa_arch clsa_arch_gemma3 = {
    .name = "gemma3",
    .read = read_gemma3,
    .find = find_gemma3,
};
