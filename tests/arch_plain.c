/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture plain, for the tests alone: an ordinary transformer with norms
 * of q and k, and a cache for each layer. With `attention.sliding_window` even
 * layers have windows instead; the last `attention.shared_kv_layers` layers
 * have no K and V and read the last cache that another layer writes. Two of
 * the things that real models do to the usual plan.
 */
#include "src/arch/usual.h"

/* Store i becomes a window. */
static void make_window(struct clsa_network *net, uint32_t i, uint32_t rows)
{
    net->stores[i].kind = CLSA_STORE_WINDOW;
    net->stores[i].window = rows;
}

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    struct clsa_usual u = {.layers = 0};
    uint32_t shared = 0, window = 0;
    CLSA_TRY(clsa_usual_read(&u, keys));
    CLSA_TRY(clsa_keys_size(keys, "attention.shared_kv_layers", false,
                            u.layers / 2, &shared));
    CLSA_TRY(
        clsa_keys_size(keys, "attention.sliding_window", false, 4096, &window));
    CLSA_TRY(clsa_usual_plan(net, &u, keys->error));
    net->store_count = u.layers - shared;
    for (uint32_t i = 0; window && i < net->store_count; i += 2)
        make_window(net, i, window);
    for (uint32_t i = net->store_count; i < u.layers; i++) {
        net->layers[i].writes = false;
        net->layers[i].store = (net->store_count - 2) | 1;
    }
    return CLSA_OK;
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    CLSA_TRY(clsa_usual_find_ends(f, net));
    for (uint32_t i = 0; i < net->layer_count; i++) {
        struct clsa_layer *l = &net->layers[i];
        CLSA_TRY(clsa_usual_find_attention(f, i, net->hidden, l));
        CLSA_TRY(clsa_usual_find_qk_norm(f, i, CLSA_REQUIRED, l));
        CLSA_TRY(clsa_usual_find_ffn(f, i, net->hidden, l));
    }
    return clsa_find_rope(f, NULL, &net->ropes[0]);
}

const struct clsa_arch clsa_arch_plain = {
    .name = "plain",
    .read = read,
    .find = find,
};
