/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onednn: the inside of the backend, shared by its files:
 *
 *   backend_onednn.c     memory, activations, products
 *   onednn_weights.c     weights in the form that oneDNN reads
 *   onednn_tiles.c       products of bf16 in our own tiles, if the CPU has some
 *   prefill_attention.c  attention of prompts in tiles
 */
#ifndef CLSA_ENGINE_ONEDNN_H
#define CLSA_ENGINE_ONEDNN_H

#include <stdatomic.h>

#include "src/engine/backend_onednn.h"
#include "src/engine/step.h"

#define CLSA_TILE_ROWS 64 /* rows of W in a tile */

/* Tokens multiplied at once: least << 0..SHAPES-1, more than least for int8
   only. A whole number of the 6 rows that the code of oneDNN for AVX2 in f32
   takes together, also in each half: what is left over has other bits there. */
enum { CLSA_GEMM_LEAST = 64, CLSA_GEMM_LEAST_F32 = 96, CLSA_GEMM_SHAPES = 4 };
enum { CLSA_GEMM_MOST = CLSA_GEMM_LEAST << (CLSA_GEMM_SHAPES - 1) };

/* Different numbers of columns of W that a model may have. */
enum { CLSA_GEMM_DEPTHS = 16 };

/* A number of columns of W, with a product for each number of tokens. */
struct clsa_depth {
    size_t k, bytes; /* of a tile of W in oneDNN's form */
    struct clsa_gemm *gemm[CLSA_GEMM_SHAPES];
};

/* Scales and corrections of a tile, for int8. */
struct clsa_tile_rows {
    float scale[CLSA_TILE_ROWS];
    int32_t minus[CLSA_TILE_ROWS]; /* what 128 in place of 0 adds to the row */
};

/* A matrix and its tiles: NULL if the budget has no room for them. */
struct clsa_pack {
    const struct clsa_matrix *w;
    struct clsa_tile_rows *rows;
    unsigned char *tiles;
};

/* Memory of a thread. */
struct clsa_workspace {
    float *row;           /* [most k] */
    unsigned char *plain; /* [TILE_ROWS][most k] values */
    unsigned char *tile;  /* one tile in oneDNN's form */
    struct clsa_tile_rows rows;
    void *out;        /* [MOST][TILE_ROWS] floats or int32 */
    float *gate, *up; /* [MOST][TILE_ROWS] */
    float *part;      /* [CLSA_TILE_X][CLSA_TILES_CHUNK] for tiles */
};

/* Products in tiles: rows of W that go together, values of them that are
   converted together, values that are read of a row at a time. */
enum { CLSA_TILES_GROUP = 4, CLSA_TILES_DEPTH = 2048, CLSA_TILES_CHUNK = 256 };

_Static_assert(CLSA_TILE_ROWS == CLSA_TILE_W, "simd.h");

struct clsa_onednn {
    struct clsa_backend backend; /* first: a backend is one of these */
    enum clsa_gemm_type type;
    bool tiles;   /* products of bf16 by simd/, not by oneDNN */
    size_t least; /* tokens of the smallest product */
    const struct clsa_simd *simd;
    unsigned threads;
    struct clsa_budget *budget; /* of the model's memory */
    size_t n, kept_limit, kept; /* kept: bytes of converted weights */
    size_t most_k, most_bytes;  /* of any depth */
    float limit;                /* largest |w| of int8 */
    struct clsa_depth depth[CLSA_GEMM_DEPTHS];
    struct clsa_pack *packs;
    size_t pack_count, packed;         /* of them looked at */
    bool outputs;                      /* matrices of the outputs are listed */
    struct clsa_workspace *workspaces; /* [threads] */
    struct clsa_prefill_attention *attention;
    unsigned char *input; /* [n][k] activations, n filled up to least */
    float *scale;         /* [n] of the tokens */
    void *block;          /* input, scale and the workspaces' memory */
    size_t block_bytes;
    atomic_bool failed;
};

static inline struct clsa_onednn *clsa_onednn_of(struct clsa_backend *b)
{
    return (struct clsa_onednn *)(void *)b;
}

/* clsa_gemm_open for each thread of a team by itself; NULL: CLSA_ERR_MEMORY. */
struct clsa_gemm *clsa_onednn_gemm(enum clsa_gemm_type type, size_t m, size_t n,
                                   size_t k, enum clsa_gemm_order order,
                                   unsigned threads, clsa_error *error);

/* -------------------------------------------------------- onednn_weights.c */

/* Products for all numbers of columns that matrices of the network have. */
clsa_status clsa_onednn_open_depths(struct clsa_onednn *o,
                                    const struct clsa_network *net,
                                    clsa_error *error);
void clsa_onednn_close_depths(struct clsa_onednn *o);
const struct clsa_depth *clsa_onednn_depth(const struct clsa_onednn *o,
                                           size_t k);

/* The matrices up to the last store, and with `outputs` the others, in the
   order in which they get room in the budget. */
clsa_status clsa_onednn_list(struct clsa_onednn *o,
                             const struct clsa_network *net, bool outputs,
                             clsa_error *error);

/* Converts the listed matrices that there is room for. */
void clsa_onednn_convert(struct clsa_onednn *o, struct clsa_team *team);
void clsa_onednn_close_packs(struct clsa_onednn *o);

/* The tile of W that begins at a row: a kept one, or the thread's own, which is
   converted anew unless it is `there`, the number of the one made last. */
void clsa_onednn_tile(struct clsa_onednn *o, unsigned worker,
                      const struct clsa_matrix *w, size_t row, size_t there,
                      const unsigned char **tile,
                      const struct clsa_tile_rows **rows);

/* The kept tiles of a matrix; NULL: there are none. */
const unsigned char *clsa_onednn_kept(const struct clsa_onednn *o,
                                      const struct clsa_matrix *w);

static inline size_t clsa_onednn_tiles_of(const struct clsa_matrix *w)
{
    return (w->rows + CLSA_TILE_ROWS - 1) / CLSA_TILE_ROWS;
}

/* ---------------------------------------------------------- onednn_tiles.c */

/* Whether all products of the network can be made in tiles. */
bool clsa_tiles_fit(const struct clsa_network *net);

/* Values k0 .. k0 + n - 1 of the rows of a tile of W, into their place. */
void clsa_tiles_convert(const struct clsa_onednn *o, unsigned worker,
                        const struct clsa_matrix *w, size_t tile, size_t k0,
                        size_t n, unsigned char *to);

/* Functions of the backend. */
void clsa_tiles_prepare(struct clsa_backend *b, const struct clsa_act *x,
                        size_t t, size_t begin, size_t end, bool blocks);
void clsa_tiles_multiply(struct clsa_backend *b, const struct clsa_worker *w,
                         const struct clsa_product *products, unsigned count,
                         const struct clsa_act *x);
void clsa_tiles_multiply_add(struct clsa_backend *b,
                             const struct clsa_worker *w,
                             const struct clsa_product *product,
                             const struct clsa_act *x, float *sum);
void clsa_tiles_gated(struct clsa_backend *b, const struct clsa_pass *p,
                      const struct clsa_layer *layer, const struct clsa_act *x,
                      const struct clsa_act *inner);

/* ----------------------------------------------------- prefill_attention.c */

/* Products and memory of all threads, from the budget of the model; *attention
   is NULL for a model whose prompts need none. */
clsa_status
clsa_prefill_attention_open(struct clsa_prefill_attention **attention,
                            struct clsa_model *model, enum clsa_gemm_type type,
                            clsa_error *error);
void clsa_prefill_attention_close(struct clsa_prefill_attention *attention);
size_t
clsa_prefill_attention_bytes(const struct clsa_prefill_attention *attention);

/* `attend` of the backend. */
bool clsa_prefill_attend(struct clsa_backend *b, const struct clsa_pass *p);

#endif /* CLSA_ENGINE_ONEDNN_H */
