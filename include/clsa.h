/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libclsa: inference for YOCO decoder-decoder models with Cross-Layer Sparse
 * Attention (CLSA) on CPUs.
 *
 * Papers: "You Only Cache Once" (arXiv 2405.05254), "You Only Index Once:
 * Cross-Layer Sparse Attention with Shared Routing" (arXiv 2606.06467).
 * clsa(7) explains the concepts, libclsa(3) shows the order of calls.
 *
 * Conventions, for every function of this header:
 *
 * - Functions that can fail return a clsa_status; CLSA_OK is 0. If the last
 *   parameter is a clsa_error pointer, it may be NULL. Otherwise a failing call
 *   fills it with the status and one line of text (no newline): what failed,
 *   where, and what to do. A call that succeeds leaves it alone; a call that
 *   fails leaves its outputs alone.
 * - The library never prints, never exits and never aborts on input.
 * - Structs may grow at their end from release to release. A function that
 *   fills a struct takes the caller's sizeof: it writes no more than that, and
 *   sets members to 0 that the library does not know. A size below the size in
 *   release 0.1.0 is CLSA_ERR_ARGUMENT. Structs that the caller fills have
 *   reserved members, set to 0 by the init function; any other value is
 *   CLSA_ERR_UNSUPPORTED.
 * - Strings are UTF-8 and belong to the library unless said otherwise.
 * - Sizes are in bytes, positions and lengths in tokens, both from 0.
 * - A NULL handle is accepted by the close functions only.
 * - Threads: different models may be used from different threads at the same
 *   time. Calls on one model and on all sessions made from it must not run
 *   concurrently, because they share the model's thread team; the functions
 *   that only read a model (info, tokens, tokenizer) and clsa_session_cancel
 *   may run at any time. The team is an OpenMP region of the calling thread,
 *   which is pinned during a call and gets its CPUs back; a process that has
 *   called the library must not fork and go on with it. See libclsa(3).
 */
#ifndef CLSA_H
#define CLSA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CLSA_API __attribute__((visibility("default")))
#else
#define CLSA_API
#endif

#define CLSA_VERSION_MAJOR 0
#define CLSA_VERSION_MINOR 1
#define CLSA_VERSION_PATCH 0

/** Version of this header as one number, to be compared: 100 for 0.1.0. */
#define CLSA_VERSION                                                           \
    (CLSA_VERSION_MAJOR * 10000 + CLSA_VERSION_MINOR * 100 + CLSA_VERSION_PATCH)

/** Version of the library that runs, "MAJOR.MINOR.PATCH"; static storage. */
CLSA_API const char *clsa_version(void);

/** The same as a number like CLSA_VERSION. */
CLSA_API uint32_t clsa_version_number(void);

/* ------------------------------------------------------------------ errors */

/** Result of a call. The values are stable. */
typedef enum clsa_status {
    CLSA_OK = 0,
    CLSA_ERR_ARGUMENT = 1,    /**< a parameter is out of its stated range */
    CLSA_ERR_MEMORY = 2,      /**< an allocation was refused */
    CLSA_ERR_IO = 3,          /**< the system refused a file operation */
    CLSA_ERR_FORMAT = 4,      /**< a file is malformed */
    CLSA_ERR_UNSUPPORTED = 5, /**< well-formed, but not what this can do */
    CLSA_ERR_MISMATCH = 6,    /**< a session file belongs to something else */
    CLSA_ERR_FULL = 7,        /**< the context has no room for the tokens */
    CLSA_ERR_STOPPED = 8      /**< a callback or a cancel asked to stop */
} clsa_status;

/** Filled by failing calls; see the conventions on top. */
typedef struct clsa_error {
    clsa_status status;
    char message[508]; /**< one line, NUL-terminated, valid UTF-8 */
} clsa_error;

/** Short English name of a status, for example "out of memory". */
CLSA_API const char *clsa_status_name(clsa_status status);

/* ------------------------------------------------------------------- types */

/** Storage types of tensors and cache rows; numbered as in GGUF. */
typedef enum clsa_type {
    CLSA_TYPE_F32 = 0,
    CLSA_TYPE_F16 = 1,
    CLSA_TYPE_Q4_0 = 2,    /**< 32 values: f16 scale, 16 bytes of nibbles */
    CLSA_TYPE_Q4_1 = 3,    /**< 32 values in 20 bytes, with a minimum */
    CLSA_TYPE_Q5_0 = 6,    /**< 32 values in 22 bytes */
    CLSA_TYPE_Q5_1 = 7,    /**< 32 values in 24 bytes, with a minimum */
    CLSA_TYPE_Q8_0 = 8,    /**< 32 values: f16 scale, 32 int8 */
    CLSA_TYPE_Q2_K = 10,   /**< 256 values in 84 bytes, parts of 16 */
    CLSA_TYPE_Q3_K = 11,   /**< 256 values in 110 bytes, parts of 16 */
    CLSA_TYPE_Q4_K = 12,   /**< 256 values in 144 bytes, parts of 32 */
    CLSA_TYPE_Q5_K = 13,   /**< 256 values in 176 bytes, parts of 32 */
    CLSA_TYPE_Q6_K = 14,   /**< 256 values in 210 bytes, parts of 16 */
    CLSA_TYPE_IQ4_NL = 20, /**< 32 values in 18 bytes, 16 uneven levels */
    CLSA_TYPE_IQ4_XS = 23, /**< 256 values in 136 bytes, the same levels */
    CLSA_TYPE_I8 = 24,     /**< int8 with one f32 scale per row (index keys) */
    CLSA_TYPE_BF16 = 30
} clsa_type;

/** Lower-case name ("q8_0"), or NULL for an unknown number. */
CLSA_API const char *clsa_type_name(clsa_type type);

/** Bytes of a row of `count` values, whole blocks, in a type; I8 with its
    scale. 0 for an unknown number. */
CLSA_API uint64_t clsa_type_row_bytes(clsa_type type, uint64_t count);

/** Type of a name in any case. @return CLSA_ERR_ARGUMENT for unknown names. */
CLSA_API clsa_status clsa_type_parse(const char *name, clsa_type *type,
                                     clsa_error *error);

/* --------------------------------------------------------------- processor */

/** Names of the SIMD levels that this build has and this CPU can run, from the
    slowest ("ref", scalar) to the fastest.
    @return NULL-terminated array in static storage */
CLSA_API const char *const *clsa_simd_levels(void);

/** Physical cores that this process may use, by its affinity and its cpuset;
    at least 1. */
CLSA_API uint32_t clsa_core_count(void);

/** The default number of threads: these cores, or as many as the CPU quota of
    the control group keeps busy if that is less; at least 1. */
CLSA_API uint32_t clsa_default_threads(void);

/** The default memory limit in bytes: the memory of the machine, or the limit
    of the control group if that is less. */
CLSA_API uint64_t clsa_default_memory(void);

/* ------------------------------------------------------------------- model */

/** A model file mapped into memory, its tokenizer and its thread team. */
typedef struct clsa_model clsa_model;

/** How to open a model; fill with clsa_model_options_init first. */
typedef struct clsa_model_options {
    uint32_t threads; /**< 1..1024; 0: clsa_default_threads. More than there
                           are CPUs take turns, which is slower */
    const char *simd; /**< a name of clsa_simd_levels; NULL: CLSA_SIMD of
                           the environment, else the best */
    const char *numa; /**< memory nodes: "auto" (also NULL), those that the
                           process may use; "off": no placement and no
                           pinning; or a list such as "0,2-3" */
    /** Called while clsa_model_random and clsa_session_fill_random of
        clsa_bench.h work, with the weights or tokens made so far; anything but
        0 stops them with CLSA_ERR_STOPPED. May be NULL. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
    /** Bytes that the model and its sessions may take, besides the mapped
        file: tokenizer, random weights, caches, windows, working sets and
        scratch. Anything beyond is refused with CLSA_ERR_MEMORY; a session is
        refused when it is opened if its full context would not fit.
        0: clsa_default_memory. */
    uint64_t memory_limit;
    /** Bytes for weights that are converted for prompts (clsa_session_options:
        prefill). Weights beyond it are converted again for every block of
        tokens. 0: none are kept. */
    uint64_t prefill_memory;
    /** Side file of indexes (clsa-gguf(5)), in place of the indexes of the
        model file. NULL: x.clsa.gguf beside x.gguf if it is there; "none":
        none. One that belongs to another model is refused with
        CLSA_ERR_MISMATCH. */
    const char *index;
    uint64_t reserved[5]; /**< 0 */
} clsa_model_options;

/** prefill_memory of clsa_model_options_init: 512 MiB. */
#define CLSA_PREFILL_MEMORY (UINT64_C(512) << 20)

CLSA_API void clsa_model_options_init(clsa_model_options *options);

/** Map a GGUF v3 file of architecture `yoco` and check all of it.
    @param model    receives the handle, to be closed by clsa_model_close
    @param path     file name; the file must not change while it is open
    @param options  NULL for the defaults
    @return CLSA_ERR_IO, CLSA_ERR_FORMAT, CLSA_ERR_UNSUPPORTED,
            CLSA_ERR_ARGUMENT (options) or CLSA_ERR_MEMORY; the message names
            the file and the key or tensor */
CLSA_API clsa_status clsa_model_open(clsa_model **model, const char *path,
                                     const clsa_model_options *options,
                                     clsa_error *error);

/** Open the text part of a model alone: its vocabulary and chat template, for
    clsa_tokenize and the other functions of texts. Weights are not read, the
    architecture does not matter, and no threads are started; a session of such
    a model is refused with CLSA_ERR_UNSUPPORTED. Dimensions of its
    clsa_model_info are 0, except vocab.
    @param model  receives the handle, to be closed by clsa_model_close
    @param path   a GGUF file, with or without tensors, or a folder with
                  tokenizer.json
    @return as clsa_model_open */
CLSA_API clsa_status clsa_model_open_vocab(clsa_model **model, const char *path,
                                           clsa_error *error);

/** Close a model. All its sessions must have been closed before. */
CLSA_API void clsa_model_close(clsa_model *model);

/** Dimensions of a model. Symbols as in the papers and clsa(7). */
typedef struct clsa_model_info {
    const char *name;     /**< general.name, or "" */
    const char *simd;     /**< level of the kernels in use */
    uint32_t threads;     /**< size of the thread team */
    uint32_t layers;      /**< L: all layers */
    uint32_t self_layers; /**< S: self-decoder layers */
    uint32_t width;       /**< d: hidden size */
    uint32_t ffn;         /**< f: FFN size */
    uint32_t vocab;       /**< tokens in the vocabulary */
    uint32_t heads;       /**< h: query heads of the cross-decoder */
    uint32_t kv_heads;    /**< g: KV heads of the shared cache */
    uint32_t head_size;   /**< e: head size of the cross-decoder */
    uint32_t window;      /**< W: rows of the self-decoder's windows */
    uint32_t index_size;  /**< e_i: index head size; 0: no indexer */
    uint32_t top_k;       /**< k: rows selected by default; 0: no indexer */
    uint64_t context;     /**< tokens the model was trained for */
    uint64_t parameters;  /**< number of weights */
    uint64_t file_size;   /**< bytes */
    uint64_t placed_size; /**< bytes of matrices copied at opening, their rows
                               on the NUMA nodes of the threads that multiply
                               them; 0: there is one node */
    int32_t bos, eos;     /**< token ids, -1: none */
    int add_bos;          /**< 1: a text starts with bos */
    const char *chat_template; /**< tokenizer.chat_template, or NULL */
    const char *attention;     /**< policy of sessions that name none */
    const char *notice;        /**< one line about what the system refused
                                    (pinning, placement), or "" */
    uint32_t prompt_layers;    /**< layers that a prompt token runs whose logits
                                    nobody wants, of the last one K and V only;
                                    1 to layers */
    uint32_t caches;           /**< stores with a row for each token, from which
                                    policies select */
    uint32_t anchors;       /**< layers that policy "anchors" has by default */
    uint32_t index_sites;   /**< layers with an index; 0: none */
    uint32_t index_heads;   /**< H: heads of an index query; 0: no index */
    const char *index_file; /**< side file of the indexes, or "" */
} clsa_model_info;

/** @param size  sizeof *info
    @return CLSA_ERR_ARGUMENT if it is too small */
CLSA_API clsa_status clsa_model_get_info(const clsa_model *model,
                                         clsa_model_info *info, size_t size);

/** Hash of the whole file (XXH3); reads all of it at the first call. */
CLSA_API uint64_t clsa_model_fingerprint(clsa_model *model);

/** One tensor of the file. */
typedef struct clsa_tensor_info {
    const char *name;
    clsa_type type;
    uint32_t dims;     /**< 1 or 2 */
    uint64_t shape[2]; /**< [out][in]; [n][1] for one dimension */
    uint64_t size;     /**< bytes in the file */
    uint64_t offset;   /**< bytes from the start of its file */
    uint32_t part;     /**< number of its file, 1 for the first or only one */
} clsa_tensor_info;

/** Number of tensors of the file. */
CLSA_API size_t clsa_model_tensor_count(const clsa_model *model);

/** Tensor `i` < clsa_model_tensor_count in the order of the file.
    @param size  sizeof *info
    @return CLSA_ERR_ARGUMENT if there is no such tensor, or `size` is too
            small */
CLSA_API clsa_status clsa_model_tensor(const clsa_model *model, size_t i,
                                       clsa_tensor_info *info, size_t size);

/** 1 if tensor `i` has only zeros, which an incomplete download leaves, else 0.
    Reads the tensor up to its first other byte. */
CLSA_API int clsa_model_tensor_is_zero(const clsa_model *model, size_t i);

/** Number of metadata keys of the file. */
CLSA_API size_t clsa_model_metadata_count(const clsa_model *model);

/** Metadata key `i` < clsa_model_metadata_count and its value as text.
    @param key       receives the key
    @param value     receives at most `capacity` bytes, NUL included; long
                     values and arrays are cut short with "..."
    @return CLSA_ERR_ARGUMENT if there is no such key */
CLSA_API clsa_status clsa_model_metadata(const clsa_model *model, size_t i,
                                         const char **key, char *value,
                                         size_t capacity);

/* ----------------------------------------------------------------- session */

/** What a session's option `attention` may be, for example "clsa", "clsa:K",
    "dense" and "window:N"; capitals stand for numbers, which clsa(7) explains.
    @return NULL-terminated array in static storage */
CLSA_API const char *const *clsa_attention_policies(void);

/** The state of one sequence: tokens, windows, shared cache, last logits. */
typedef struct clsa_session clsa_session;

/** How to open a session; fill with clsa_session_options_init first. */
typedef struct clsa_session_options {
    uint64_t context;       /**< tokens that fit; 0: the model's context */
    clsa_type kv_type;      /**< shared cache: F32, F16, BF16 (default), Q8_0 */
    clsa_type index_type;   /**< index keys: F32, BF16, I8 (default) */
    const char *attention;  /**< policy, as clsa_attention_policies lists them;
                                 NULL: "clsa" with an indexer, else "dense" */
    uint32_t prefill_block; /**< tokens read at once, 1..4096; 0: 512 */
    /** Who multiplies in appends of 32 tokens or more, and in the
        cross-decoder if 32 or more positions are wanted:
        "native" (also "own"): the kernels of decoding. A token gives the same
        bits alone and in a prompt.
        "f32", "bf16", "int8": oneDNN, with weights and activations of that
        type; int8 with a scale per row and per token. Decoding gives other
        logits, by rounding or quantization.
        "auto" (also NULL): f32 for weights of 32 bits; bf16, or f32 if the CPU
        has no bf16, for all others; int8 for types of 8 bits or fewer of the
        architecture yoco; "native" if nothing else is faster: without oneDNN,
        without AVX2, or if the system forbids the code that oneDNN makes
        (clsa_session_notice).
        Threads, prefill_block and neighbors change no bit. */
    const char *prefill;
    /** How models with a cache per layer read tokens whose logits nobody wants:
        "dense" (also NULL): all rows; "policy": each token reads the rows that
        the policy chooses for it. */
    const char *prompt_attention;
    uint64_t reserved[6]; /**< 0 */
} clsa_session_options;

CLSA_API void clsa_session_options_init(clsa_session_options *options);

/** Open an empty session. Memory for the windows and the working set is taken
    now, memory for the shared cache page by page as tokens come.
    @param session  receives the handle, to be closed by clsa_session_close
    @param model    must outlive the session
    @return CLSA_ERR_ARGUMENT, CLSA_ERR_UNSUPPORTED (a policy that needs an
            indexer the model lacks) or CLSA_ERR_MEMORY */
CLSA_API clsa_status clsa_session_open(clsa_session **session,
                                       clsa_model *model,
                                       const clsa_session_options *options,
                                       clsa_error *error);
CLSA_API void clsa_session_close(clsa_session *session);

/** Which logits an append computes; see clsa_append_options. */
typedef enum clsa_want {
    CLSA_WANT_LAST = 0, /**< the logits after the last token */
    CLSA_WANT_NONE = 1, /**< none: the tokens are only read */
    CLSA_WANT_MASK = 2  /**< logits after each token whose mask is not 0 */
} clsa_want;

/** Details of an append; all zero, as clsa_append_options_init fills it, is the
    default. */
typedef struct clsa_append_options {
    clsa_want want;
    const uint8_t *mask; /**< CLSA_WANT_MASK: one byte per token */
    /** Called with the logits after each wanted token, in order of position.
        `logits` [vocab] is valid during the call. May be NULL. */
    void (*on_logits)(void *user, uint64_t position, const float *logits);
    /** Called between blocks, and groups of wanted tokens in a block, with the
        tokens read so far; anything but 0 stops with CLSA_ERR_STOPPED, and the
        blocks stay read. May be NULL. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
    /** Called with the state of each wanted token after the last norm, which
       the logits are products of, in order of position. `state` [width] is
       valid during the call. Without on_logits no logits are made then, and the
        session has none. May be NULL. */
    void (*on_state)(void *user, uint64_t position, const float *state);
    uint64_t reserved[5]; /**< 0 */
} clsa_append_options;

CLSA_API void clsa_append_options_init(clsa_append_options *options);

/** Read tokens. Prompt tokens run the self-decoder only and leave one row in
    the shared cache (the early exit of YOCO is exact); tokens whose logits are
    wanted run the cross-decoder as well.
    @param ids    `count` >= 1 ids, each < vocab
    @param how    NULL for the default
    @return CLSA_ERR_ARGUMENT, CLSA_ERR_UNSUPPORTED (a reserved member is not
            0), CLSA_ERR_FULL (nothing was read), CLSA_ERR_MEMORY or
            CLSA_ERR_STOPPED (whole blocks were read, see
            clsa_session_length) */
CLSA_API clsa_status clsa_session_append(clsa_session *session,
                                         const int32_t *ids, size_t count,
                                         const clsa_append_options *how,
                                         clsa_error *error);

/** Read one token into each of several sessions of one model in one step, in
    which the weights are read once for all. Sessions may differ in length,
    policy and k, and each may be there once.
    @param sessions  `count` sessions, 1..64
    @param ids       `count` ids
    @return as clsa_session_append; on failure no session has changed, except
            that CLSA_ERR_STOPPED leaves them without logits */
CLSA_API clsa_status clsa_batch_append(clsa_session *const *sessions,
                                       const int32_t *ids, size_t count,
                                       clsa_error *error);

/** Let the append that runs on the session, or else the next one, end with
    CLSA_ERR_STOPPED: after the layer that is being computed, or with policy h2o
    after the token. The session is then as before the block of tokens, or the
    batch, that it stopped in, and can go on. Any thread and any signal handler
    may call it while the session is open. */
CLSA_API void clsa_session_cancel(clsa_session *session);

/** Logits after the last wanted token, [vocab], valid until the next call on
    the session; NULL if there are none (nothing read, CLSA_WANT_NONE,
    truncated). */
CLSA_API const float *clsa_session_logits(const clsa_session *session);

/** One line about what the system refused, or "": memory that is written and
    executed, without which prompts use the native kernels. May change with an
    append; in static storage. */
CLSA_API const char *clsa_session_notice(const clsa_session *session);

/** Tokens read so far. */
CLSA_API uint64_t clsa_session_length(const clsa_session *session);

/** Tokens that fit. */
CLSA_API uint64_t clsa_session_context(const clsa_session *session);

/** The ids read so far, [clsa_session_length], valid until the next call. */
CLSA_API const int32_t *clsa_session_tokens(const clsa_session *session);

/** The shared-cache rows that the last wanted token read, ascending.
    @param rows   receives the list, valid until the next call on the session;
                  NULL: every row up to that token (policy "dense")
    @param count  receives their number, 0 with NULL
    @return CLSA_ERR_ARGUMENT if there are no logits */
CLSA_API clsa_status clsa_session_rows(const clsa_session *session,
                                       const uint32_t **rows, size_t *count);

/** The same for one layer, if the policy selects by the queries of layers;
    clsa_session_rows then gives the rows of the last selection.
    @param layer  of the cross-decoder, from 0
    @return CLSA_ERR_ARGUMENT if there is no such layer, or no logits */
CLSA_API clsa_status clsa_session_layer_rows(const clsa_session *session,
                                             uint32_t layer,
                                             const uint32_t **rows,
                                             size_t *count);

/** Change the policy for the tokens to come, as in clsa_session_options. A
    session can switch to or from h2o only while it is empty: h2o evicts rows
    that other policies need, and needs attention sums that they do not compute.
    Otherwise: CLSA_ERR_UNSUPPORTED. */
CLSA_API clsa_status clsa_session_set_attention(clsa_session *session,
                                                const char *attention,
                                                clsa_error *error);

/** Forget all tokens from position `length` on. If the windows no longer hold
    the rows before it, these tokens are read again from the kept ids; with
    gated retention all are, unless `length` is in the last chunk of 64.
    @param length  0..clsa_session_length; with h2o only 0 or that length, else
                   CLSA_ERR_UNSUPPORTED */
CLSA_API clsa_status clsa_session_truncate(clsa_session *session,
                                           uint64_t length, clsa_error *error);

/** A second session with the same state. Full pages of the shared cache are
    shared until one of the two writes to them. */
CLSA_API clsa_status clsa_session_fork(const clsa_session *session,
                                       clsa_session **fork, clsa_error *error);

/** Write the state to a file: beside `path` first, then renamed, so that
    `path` is always whole. A file that is there is replaced and its permissions
    are kept, a symbolic link is followed; other kinds of files are refused.
    The file has a checksum and the fingerprint of the model, the types and the
    policy. */
CLSA_API clsa_status clsa_session_save(const clsa_session *session,
                                       const char *path, clsa_error *error);

/** Open a session from a file of clsa_session_save.
    @param options  kv_type, index_type and attention must match the file, and
                    context must hold its tokens (0: the model's)
    @return CLSA_ERR_MISMATCH with the reason, or as clsa_session_open */
CLSA_API clsa_status clsa_session_load(clsa_session **session,
                                       clsa_model *model, const char *path,
                                       const clsa_session_options *options,
                                       clsa_error *error);

/** Takes `size` >= 1 bytes. @return 0; anything else: it failed */
typedef int (*clsa_write_fn)(void *user, const void *data, size_t size);

/** Gives up to `size` >= 1 bytes. @return their number, 0: the end, less: it
    failed */
typedef ptrdiff_t (*clsa_read_fn)(void *user, void *data, size_t size);

/** As clsa_session_save, but calls a function with the bytes of the file in
    order, in pieces of any size.
    @return CLSA_ERR_IO if it failed, or CLSA_ERR_MEMORY */
CLSA_API clsa_status clsa_session_write(const clsa_session *session,
                                        clsa_write_fn write, void *user,
                                        clsa_error *error);

/** As clsa_session_load, from a function that gives such bytes. None is read
    after the last one of the session.
    @return CLSA_ERR_IO if it failed, or as clsa_session_load */
CLSA_API clsa_status clsa_session_read(clsa_session **session,
                                       clsa_model *model, clsa_read_fn read,
                                       void *user,
                                       const clsa_session_options *options,
                                       clsa_error *error);

/* ------------------------------------------------------------- model files */

/** How a tensor was written; made by the library. */
typedef struct clsa_tensor_report {
    size_t size; /**< of this struct; later members are missing */
    const char *name;
    clsa_type wanted; /**< by the options */
    clsa_type type;   /**< as stored: another one if a row is not a multiple of
                           whole blocks of the type; clsa-quantize(1) */
    uint64_t values, bytes; /**< number of values, size in the file */
    double error; /**< root of sum of squared differences over sum of squared
                       values; 0 if copied */
} clsa_tensor_report;

/** The type of each matrix in the source. */
#define CLSA_WRITE_SAME (-1)

/** Mixes: a type for each matrix by its place, as llama.cpp chooses it for its
    mix of that name; clsa-quantize(1) has the rules. */
typedef enum clsa_mix {
    CLSA_MIX_Q2_K = 1010,
    CLSA_MIX_Q3_K_S = 1011,
    CLSA_MIX_Q3_K_M = 1012,
    CLSA_MIX_Q3_K_L = 1013,
    CLSA_MIX_Q4_K_S = 1014,
    CLSA_MIX_Q4_K_M = 1015,
    CLSA_MIX_Q5_K_S = 1016,
    CLSA_MIX_Q5_K_M = 1017,
    CLSA_MIX_IQ4_NL = 1025,
    CLSA_MIX_IQ4_XS = 1030
} clsa_mix;

/** How to write a model file; fill with clsa_write_options_init first. */
typedef struct clsa_write_options {
    int type; /**< of the matrices: a clsa_type, a clsa_mix, CLSA_WRITE_SAME
                   (default). Vectors are always f32; the indexer is q8_0 if
                   the type has fewer bits */
    /** Exceptions, "PATTERN=TYPE": a shell pattern for whole names of
        matrices; the first that matches counts. */
    const char *const *keep;
    size_t keep_count;
    uint32_t threads; /**< 1..1024; 0: one per physical core */
    /** Called after each tensor. May be NULL. */
    void (*on_tensor)(void *user, const clsa_tensor_report *report);
    /** Called with a line for the user about each tensor that is missing or
        unknown, and each assumption. May be NULL. */
    void (*on_note)(void *user, const char *text);
    /** Called with the values written so far; anything but 0 stops with
        CLSA_ERR_STOPPED. May be NULL. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
    uint64_t reserved[8]; /**< 0 */
} clsa_write_options;

CLSA_API void clsa_write_options_init(clsa_write_options *options);

/** Make a model file of a folder with config.json (or params.json), tensors in
    safetensors files and a tokenizer; clsa-convert(1) lists the layouts. The
    file is written beside `path`, checked by opening it, and renamed. `path` is
    replaced as by clsa_session_save. The bytes do not depend on the CPU or the
    number of threads.
    @param options  NULL for the defaults
    @return CLSA_ERR_IO, CLSA_ERR_FORMAT, CLSA_ERR_UNSUPPORTED,
            CLSA_ERR_ARGUMENT (options), CLSA_ERR_MEMORY or CLSA_ERR_STOPPED;
            `path` is as it was before */
CLSA_API clsa_status clsa_convert(const char *folder, const char *path,
                                  const clsa_write_options *options,
                                  clsa_error *error);

/** The same of a model file, for other types of its tensors. */
CLSA_API clsa_status clsa_quantize(const char *from, const char *path,
                                   const clsa_write_options *options,
                                   clsa_error *error);

/** Remove the unfinished files of calls that are writing now: clsa_convert,
    clsa_quantize, clsa_session_save. For a signal handler that ends the process
    at once: async-signal-safe. Calls that still run fail afterward. */
CLSA_API void clsa_abandon_writes(void);

#ifdef __cplusplus
}
#endif

#include "clsa_text.h"

#include "clsa_serving.h"

#endif /* CLSA_H */
