/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture smollm3: layers of Llama, some of which are not rotated: every
 * fourth, or those that `rope.layer_pattern` leaves out, a key that only files
 * of clsa have.
 */
#include "src/arch/usual.h"

enum { EVERY = 4 };

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    bool rotated[CLSA_LAYER_LIMIT];
    CLSA_TRY(clsa_usual_open(net, keys, CLSA_USUAL_PAIRS));
    CLSA_TRY(clsa_keys_pattern(keys, "rope.layer_pattern", net->layer_count,
                               EVERY, rotated));
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (!rotated[i])
            net->layers[i].rope = CLSA_NO_ROPE;
    return clsa_keys_finish(keys);
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    return clsa_usual_find(net, f, CLSA_OPTIONAL, false);
}

const struct clsa_arch clsa_arch_smollm3 = {
    .name = "smollm3",
    .read = read,
    .find = find,
};
