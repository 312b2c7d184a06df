/* SPDX-License-Identifier: Apache-2.0 */
/* The list of architectures, alone in its file: the tests link another. */
#include "src/arch/arch.h"

extern const struct clsa_arch clsa_arch_yoco, clsa_arch_llama, clsa_arch_qwen2,
    clsa_arch_qwen3, clsa_arch_smollm3, clsa_arch_phi3, clsa_arch_gemma2,
    clsa_arch_gemma3, clsa_arch_gemma4;

const struct clsa_arch *const clsa_archs[] = {
    &clsa_arch_yoco,    &clsa_arch_llama,
    &clsa_arch_qwen2,   &clsa_arch_qwen3,
    &clsa_arch_smollm3, &clsa_arch_phi3,
    &clsa_arch_gemma2,  &clsa_arch_gemma3,
    &clsa_arch_gemma4,  NULL,
};
