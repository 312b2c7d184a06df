/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architecture llama: Llama 2 and 3, Mistral, SmolLM2 and what else has their
 * layers. Rows of Q and K lie in the order for pairs (2i, 2i + 1). Biases are
 * optional; `rope_freqs` holds the scaling of Llama 3.
 */
#include "src/arch/usual.h"

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    CLSA_TRY(clsa_usual_open(net, keys, CLSA_USUAL_PAIRS));
    return clsa_keys_finish(keys);
}

static clsa_status find(struct clsa_network *net, struct clsa_finder *f)
{
    return clsa_usual_find(net, f, CLSA_OPTIONAL, false);
}

const struct clsa_arch clsa_arch_llama = {
    .name = "llama",
    .read = read,
    .find = find,
};
