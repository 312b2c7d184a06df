/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend_onednn: y = W x for blocks of tokens through oneDNN (simd/gemm.h), in
 * float, bfloat16 or int8, whatever type W is stored in.
 *
 *   f32, bf16  values rounded to the type, sums in float. Always the product
 *              of 64 tokens and 64 rows, the last ones filled up, so that a
 *              sum does not depend on the block or the threads.
 *   int8       W with a scale per row, x with a scale per token, exact sums
 *              of integers: any tile gives the same bits.
 */
#ifndef CLSA_ENGINE_BACKEND_ONEDNN_H
#define CLSA_ENGINE_BACKEND_ONEDNN_H

#include "src/engine/backend.h"

struct clsa_onednn;

/*
 * Make model->onednn ready for steps of up to n tokens, and for the weights
 * after the last store too with `outputs`. May allocate and convert weights;
 * does nothing for CLSA_PREFILL_NATIVE, or when all is there.
 */
clsa_status clsa_onednn_reserve(struct clsa_model *model,
                                enum clsa_prefill prefill, size_t n,
                                bool outputs, clsa_error *error);
void clsa_onednn_close(struct clsa_onednn *onednn);

struct clsa_backend *clsa_onednn_backend(struct clsa_onednn *onednn);

/* Bytes of all that it holds; 0 for NULL. */
size_t clsa_onednn_bytes(const struct clsa_onednn *onednn);

/* Whether oneDNN has failed, for want of memory, since the last call: what the
   steps since then have computed is garbage. */
bool clsa_onednn_failed(struct clsa_onednn *onednn);

#endif /* CLSA_ENGINE_BACKEND_ONEDNN_H */
