/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libclsa for measurements and tests: models and sessions of random values, and
 * what a session takes and does. clsa bench is made of it.
 *
 * This header promises nothing: names, members and meanings follow the inside
 * of the library, and may change with any release. Programs that have another
 * use for a model need clsa.h alone. Its conventions hold here, too.
 */
#ifndef CLSA_BENCH_H
#define CLSA_BENCH_H

#include "clsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sizes of a network; symbols as in clsa_model_info and clsa(7). */
typedef struct clsa_shape {
    uint32_t width;        /**< d */
    uint32_t self_layers;  /**< S, 1..512 */
    uint32_t cross_layers; /**< C, 1..512 */
    uint32_t heads;        /**< h, of both decoders; a multiple of g */
    uint32_t kv_heads;     /**< g, of both decoders */
    uint32_t head_size;    /**< e, a multiple of 8, 8..512 */
    uint32_t ffn;          /**< f */
    uint32_t window;       /**< W */
    uint32_t index_size;   /**< e_i, a multiple of 8; 0: no indexer */
    uint32_t top_k;        /**< k; not used without an indexer */
    uint32_t vocab;
    uint32_t tied;        /**< 1: the embedding is the output matrix, too */
    uint64_t reserved[4]; /**< 0 */
} clsa_shape;

/** Make a model of random weights in memory, for measurements and tests: the
    tensors that a file of this shape would have, matrices of one type, the same
    values every time. Activations and logits are finite and of realistic
    magnitude; the output is meaningless. Takes a few seconds per billion
    weights: of types with few bits, except q4_0, whose blocks take long to
    find, rows from 512 on are blocks of the first ones in another order.
    The model has no tokenizer: clsa_tokenize and clsa_detokenize fail with
    CLSA_ERR_UNSUPPORTED, there are no token bytes and no special tokens. It
    has no metadata keys. `file_size` of its info is the memory of the weights,
    `context` is 1048576. Sessions are saved and loaded as with a file.
    @param model    receives the handle, to be closed by clsa_model_close
    @param shape    rows of matrices have to be whole blocks of the type
    @param type     a clsa_type that weights can have, not I8, or a clsa_mix
    @param options  NULL for the defaults
    @return CLSA_ERR_ARGUMENT (the message names the size), CLSA_ERR_MEMORY or
            CLSA_ERR_STOPPED */
CLSA_API clsa_status clsa_model_random(clsa_model **model,
                                       const clsa_shape *shape, int type,
                                       const clsa_model_options *options,
                                       clsa_error *error);

/** @return the name of ordinary model i whose sizes are known, such as
            "llama-3.2-1b"; NULL after the last */
CLSA_API const char *clsa_shape_name(size_t i);

/** The same of a model like an ordinary one: its architecture, sizes and keys,
    the tensors that its file has, and those of an index if keys of one are
    given. `context` of its info is the model's.
    @param shape    a name of clsa_shape_name, and then perhaps ",KEY=VALUE" any
                    number of times: a key of the file without the name of the
                    architecture, `vocab` (tokens) or `tied` (0 or 1). A list is
                    N:N*TIMES:...
    @param type     a clsa_type, or a clsa_mix; rows that do not divide into its
                    blocks get another, as by clsa_quantize */
CLSA_API clsa_status clsa_model_random_like(clsa_model **model,
                                            const char *shape, int type,
                                            const clsa_model_options *options,
                                            clsa_error *error);

/** Write such a model to a file, with a tokenizer for any text in tokens of up
    to four letters. It is made in memory. The file is written as by
    clsa_quantize.
    @param options  type, threads, on_progress and user count; NULL: q8_0 */
CLSA_API clsa_status clsa_write_random(const char *shape, const char *path,
                                       const clsa_write_options *options,
                                       clsa_error *error);

/** Fill an empty session with random tokens, and its shared cache, windows or
    state of retention with random rows. For measurements and tests of decoding
    after prompts that would take long to read. Index keys are random too, so
    every token selects other rows: the worst case for reuse from token to
    token.
    @param session  has read nothing, or has been truncated to 0
    @param tokens   1..context
    @param seed     same seed, same rows
    @return CLSA_ERR_ARGUMENT, CLSA_ERR_FULL, CLSA_ERR_MEMORY, or
            CLSA_ERR_STOPPED (the session is empty as before) */
CLSA_API clsa_status clsa_session_fill_random(clsa_session *session,
                                              uint64_t tokens, uint64_t seed,
                                              clsa_error *error);

/** A part of a step, and how long it took. */
typedef struct clsa_phase_time {
    const char *name; /**< "self", "index", "select", "gather", "cross",
                           "output" */
    double ms;
} clsa_phase_time;

#define CLSA_PHASES_MOST 16

/** What a session takes and what its last step did. */
typedef struct clsa_session_stats {
    uint64_t cache_bytes;   /**< shared cache: pages taken, index included */
    uint64_t window_bytes;  /**< windows, or the state of retention */
    uint64_t working_bytes; /**< working set */
    uint64_t scratch_bytes; /**< of the model, shared by its sessions */
    uint64_t prefill_bytes; /**< the same: for products of prompts */
    const char *prefill;    /**< the prefill backend in use: "own", "f32",
                                 "bf16" or "int8" */
    uint64_t rows_read;     /**< rows attended to by the last wanted token, on
                                 average over the layers that read caches */
    uint64_t rows_changed;  /**< rows newly copied into the working set; if
                                 each layer has a cache of its own, rows read
                                 in place, of all layers */
    uint32_t phase_count;   /**< of the last step, in order: */
    clsa_phase_time phases[CLSA_PHASES_MOST];
    uint64_t policy_bytes;    /**< what the policy keeps besides */
    uint64_t search_bytes;    /**< read to choose rows for the last token */
    double attend_ms;         /**< attention over the rows, a part of cross */
    double route_ms;          /**< choosing and copying the rows of this policy:
                                   parts of index, select and gather */
    uint64_t cache_row_bytes; /**< bytes per token in all caches */
    uint64_t index_row_bytes; /**< bytes per token in index keys and scales */
    const char *prompt_attention; /**< how tokens are read whose logits nobody
                                       wants: "dense" or "policy" */
    uint64_t outputs;     /**< tokens whose logits were wanted since the session
                               was opened, and */
    uint64_t output_rows; /**< the sum of their rows_read */
} clsa_session_stats;

/** Time the steps of a model by operation from now on, or stop that. Forgets
    what was timed before. Logits do not change. Not while another thread reads
    tokens into a session of the model.
    @param on  0: no clock is looked at, the state of a new model */
CLSA_API void clsa_model_set_profile(clsa_model *model, int on);

/** Where the time of steps went. */
typedef struct clsa_profile {
    uint64_t steps;    /**< since the profile was switched on */
    uint32_t op_count; /**< operations, in the order of the forward pass: */
    clsa_phase_time ops[CLSA_PHASES_MOST]; /**< the sum over all steps, on the
                            caller's thread: "embedding", "norm", "qkv",
                            "store", "index", "scan", "select", "gather",
                            "attention", "attn_out", "ffn", "input", "logits",
                            "barriers"; they add up to the time of the steps */
} clsa_profile;

/** @param size  sizeof *profile
    @return CLSA_ERR_ARGUMENT if it is too small */
CLSA_API clsa_status clsa_model_get_profile(const clsa_model *model,
                                            clsa_profile *profile, size_t size);

/** @param size  sizeof *stats
    @return CLSA_ERR_ARGUMENT if it is too small */
CLSA_API clsa_status clsa_session_get_stats(const clsa_session *session,
                                            clsa_session_stats *stats,
                                            size_t size);

#ifdef __cplusplus
}
#endif

#endif /* CLSA_BENCH_H */
