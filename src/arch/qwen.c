/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Architectures qwen2 (Qwen2 and 2.5: Q, K and V have biases) and qwen3 (the
 * heads of Q and K are normed). Rotation in halves, with YaRN if the file says
 * so.
 */
#include "src/arch/usual.h"

static clsa_status read(struct clsa_network *net,
                        const struct clsa_arch_keys *keys)
{
    CLSA_TRY(clsa_usual_open(net, keys, CLSA_USUAL_HALVES));
    return clsa_keys_finish(keys);
}

static clsa_status find_qwen2(struct clsa_network *net, struct clsa_finder *f)
{
    return clsa_usual_find(net, f, CLSA_REQUIRED, false);
}

static clsa_status find_qwen3(struct clsa_network *net, struct clsa_finder *f)
{
    return clsa_usual_find(net, f, CLSA_OPTIONAL, true);
}

const struct clsa_arch clsa_arch_qwen2 = {
    .name = "qwen2",
    .read = read,
    .find = find_qwen2,
};

const struct clsa_arch clsa_arch_qwen3 = {
    .name = "qwen3",
    .read = read,
    .find = find_qwen3,
};
