/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend: who multiplies activations by weights. `native` are the kernels of
 * simd/, which read weights in the format of the file; `onednn` multiplies
 * blocks of tokens (backend_onednn.h). A forward pass has one up to the last
 * store and one from there on, chosen for a whole append (append.c), so that
 * blocks of a prompt do not show in the bits.
 *
 * All threads of a team call `multiply`, `multiply_add`, `gated` and `attend`
 * with the same arguments, between loops; each is a loop or a few.
 */
#ifndef CLSA_ENGINE_BACKEND_H
#define CLSA_ENGINE_BACKEND_H

#include "simd/gemm.h"
#include "src/base/loop.h"
#include "src/model/network.h"

struct clsa_session;

/* Tokens of one append from which on oneDNN takes them. */
#define CLSA_GEMM_TOKENS_MIN 32

/* The option `prefill`. */
enum clsa_prefill {
    CLSA_PREFILL_F32 = CLSA_GEMM_F32,
    CLSA_PREFILL_BF16 = CLSA_GEMM_BF16,
    CLSA_PREFILL_INT8 = CLSA_GEMM_INT8,
    CLSA_PREFILL_NATIVE
};

/* "f32", "bf16", "int8", "own". */
const char *clsa_prefill_name(enum clsa_prefill prefill);

/* The session's choice: one of these names, "native" for own, "auto" or NULL
   for what is best for the weights and the CPU. */
clsa_status clsa_prefill_choose(struct clsa_session *session, const char *name,
                                clsa_error *error);

/*
 * Make ready what the choice needs for prompt blocks of the session, and for
 * the weights after the last store too with `outputs`. May allocate and convert
 * weights. If the system has come to forbid the code of oneDNN, "auto" goes on
 * with the native kernels.
 */
clsa_status clsa_prefill_reserve(struct clsa_session *session, bool outputs,
                                 clsa_error *error);

struct clsa_pass;

/* y = W x: y[t][i] at y + t * ld. */
struct clsa_product {
    const struct clsa_matrix *matrix;
    float *y;
    size_t ld;
};

struct clsa_backend {
    const struct clsa_simd *simd;

    bool fine;   /* native: activations of blocks have two planes */
    bool onednn; /* prepares whole tokens only, not ranges of their values */

    /*
     * Values [begin, end) of token t of x become what products read; whole
     * blocks of CLSA_BLOCK values. `blocks`: a matrix that reads them is in a
     * block format (clsa_wants_blocks). Any thread, each its tokens.
     */
    void (*prepare)(struct clsa_backend *b, const struct clsa_act *x, size_t t,
                    size_t begin, size_t end, bool blocks);

    /* Products of all tokens of x, up to CLSA_LOOP_PARTS of them. */
    void (*multiply)(struct clsa_backend *b, const struct clsa_worker *w,
                     const struct clsa_product *products, unsigned count,
                     const struct clsa_act *x);

    /* sum += W x, `y` of the product being scratch; sum as y. */
    void (*multiply_add)(struct clsa_backend *b, const struct clsa_worker *w,
                         const struct clsa_product *product,
                         const struct clsa_act *x, float *sum);

    /* inner = silu(gate x) * up x, prepared for `down`. */
    void (*gated)(struct clsa_backend *b, const struct clsa_pass *p,
                  const struct clsa_layer *layer, const struct clsa_act *x,
                  const struct clsa_act *inner);

    /*
     * scratch->attn_out = attention of the tokens of a prompt block, or of
     * outputs that no policy selects for, to all that they see of the layer's
     * store, prepared for the output projection. False: not for this layer or
     * these tokens, nothing was done.
     */
    bool (*attend)(struct clsa_backend *b, const struct clsa_pass *p);
};

/* The kernels of simd/. fine: a network's (network.h). */
struct clsa_backend clsa_backend_native(const struct clsa_simd *simd,
                                        bool fine);

/* y = f(gate + bias) * (up + bias) of n values of an FFN from `row` on; changes
   gate and up. */
static inline void clsa_apply_gate(const struct clsa_simd *simd,
                                   const struct clsa_layer *layer, size_t row,
                                   size_t n, float *y, float *gate, float *up)
{
    if (layer->gate_bias)
        simd->add(gate, layer->gate_bias + row, n);
    if (layer->up_bias)
        simd->add(up, layer->up_bias + row, n);
    if (layer->gate_kind == CLSA_GATE_GELU)
        simd->gelu_mul(y, gate, up, n);
    else
        simd->silu_mul(y, gate, up, n);
}

/* Whether W reads activations quantized in blocks. */
static inline bool clsa_wants_blocks(const struct clsa_matrix *m)
{
    return clsa_format_block(m->format) > 1;
}

#endif /* CLSA_ENGINE_BACKEND_H */
