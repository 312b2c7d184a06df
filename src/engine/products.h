/* SPDX-License-Identifier: Apache-2.0 */
/*
 * products: y = W x for blocks of tokens through oneDNN (simd/gemm.h), in
 * float, bfloat16 or int8, whatever type W is stored in. Behind the door of
 * linear.h; append.c decides who takes this way.
 *
 * W is cut into tiles of CLSA_PRODUCT_ROWS rows, which are brought into the
 * form that oneDNN reads: once for matrices that the budget of the model has
 * room for, the others a tile at a time whenever they are multiplied. The
 * activations of a step have one form, too, made by clsa_product_form.
 *
 *   f32, bf16  values rounded to the type, sums in float. Always the product
 *              of 64 columns and 64 rows, the last ones filled up, so that a
 *              sum does not depend on the block or the threads.
 *   int8       W with a scale per row, x with a scale per column, exact sums
 *              of integers: any tile gives the same bits.
 */
#ifndef CLSA_ENGINE_PRODUCTS_H
#define CLSA_ENGINE_PRODUCTS_H

#include "simd/gemm.h"
#include "src/base/team.h"
#include "src/model/model.h"

#define CLSA_PRODUCT_ROWS 64

/* Tokens of one append from which on they take this way. */
#define CLSA_PRODUCT_LEAST 32

/* How prompts are multiplied. */
enum clsa_path {
    CLSA_PATH_F32 = CLSA_GEMM_F32,
    CLSA_PATH_BF16 = CLSA_GEMM_BF16,
    CLSA_PATH_INT8 = CLSA_GEMM_INT8,
    CLSA_PATH_OWN /* the kernels of simd/, as decoding does */
};

const char *clsa_path_name(enum clsa_path path);

/* The path of a name, "auto" or NULL for the best one of the model. */
clsa_status clsa_path_parse(enum clsa_path *path, const char *name,
                            const struct clsa_model *model, clsa_error *error);

struct clsa_products;

/*
 * Make model->products ready for steps of up to n columns on a path, and W of
 * the cross-decoder too where `cross` says so. May allocate and convert
 * weights; does nothing for CLSA_PATH_OWN, or when all is there.
 */
clsa_status clsa_products_reserve(struct clsa_model *model, enum clsa_path path,
                                  size_t n, bool cross, clsa_error *error);
void clsa_products_close(struct clsa_products *products);

/* clsa_gemm_open for each thread of a team by itself; NULL: CLSA_ERR_MEMORY. */
struct clsa_gemm *clsa_product_open(enum clsa_gemm_type type, size_t m,
                                    size_t n, size_t k,
                                    enum clsa_gemm_order order,
                                    unsigned threads, clsa_error *error);

/* Attention of the self-decoder on this path; NULL: own kernels. */
struct clsa_tiles *clsa_products_tiles(const struct clsa_products *products);

/* Bytes of all that it holds; 0 for NULL. */
size_t clsa_products_bytes(const struct clsa_products *products);

/* Column c of x becomes what products read. Any thread, each its columns. */
void clsa_product_form(const struct clsa_act *x, size_t c);

/*
 * y[c * ldy + i] = W x, or y + W x with `add`, for all rows and columns. All
 * threads call it; there is a barrier before it and one has to follow. oneDNN
 * may fail for want of memory: clsa_products_failed tells, y is garbage then.
 */
void clsa_product(const struct clsa_worker *worker, const struct clsa_matrix *w,
                  const struct clsa_act *x, float *y, size_t ldy, bool add);

/*
 * y = silu(gate x) * up x, the same for both; gate and up have one shape. Each
 * tile is made of both products while they are in the cache.
 */
void clsa_product_gated(const struct clsa_worker *worker,
                        const struct clsa_matrix *gate,
                        const struct clsa_matrix *up, const struct clsa_act *x,
                        float *y, size_t ldy);

/* A product has failed elsewhere. */
void clsa_products_fail(struct clsa_products *products);

/* Whether a product has failed since the last call. */
bool clsa_products_failed(struct clsa_products *products);

#endif /* CLSA_ENGINE_PRODUCTS_H */
