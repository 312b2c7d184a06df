/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiles: sliding-window attention of the tokens of a block through oneDNN, the
 * way of products.h. A thread takes up to QUERIES queries of neighbouring
 * tokens that share a KV head, and goes through the keys that any of them sees
 * in tiles: scores by one product, online softmax, values by another. All it
 * touches meanwhile stays in its L2.
 *
 * Tiles begin at multiples of CLSA_TILE_KEYS positions, and a product always
 * has the same shape: what a token gets does not depend on its block or the
 * threads. In bf16 where the weights' products are not in f32 and the CPU has
 * tiles of bf16 (simd/gemm.h), else in f32.
 */
#ifndef CLSA_ENGINE_TILES_H
#define CLSA_ENGINE_TILES_H

#include "simd/gemm.h"
#include "src/engine/step.h"

struct clsa_tiles;

/* Memory of all threads, taken from the budget of the model; *tiles is NULL
   where there is nothing to attend to: a model with retention. */
clsa_status clsa_tiles_open(struct clsa_tiles **tiles, struct clsa_model *model,
                            enum clsa_gemm_type type, clsa_error *error);
void clsa_tiles_close(struct clsa_tiles *tiles);
size_t clsa_tiles_bytes(const struct clsa_tiles *tiles);

/*
 * scratch->mix.x = attention of all columns to their windows; scratch->q is
 * normed and rotated on the way. All threads call it; ends with a barrier.
 * @return false: oneDNN had no memory, and mix.x is garbage
 */
bool clsa_tiles_attend(struct clsa_tiles *tiles, struct clsa_step *step,
                       const struct clsa_worker *w, uint32_t layer,
                       const float *q_norm, bool rotate);

#endif /* CLSA_ENGINE_TILES_H */
