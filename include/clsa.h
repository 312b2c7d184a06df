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
 * - Functions that can fail return a clsa_status, CLSA_OK being 0. Where the
 *   last parameter is a clsa_error pointer it may be NULL; otherwise it is
 *   filled on failure with the status and one line of text (no newline) that
 *   says what failed, where, and what to do about it. It is untouched on
 *   success. Output parameters are untouched on failure.
 * - The library never prints, never exits and never aborts on input.
 * - Strings are UTF-8 and belong to the library unless said otherwise.
 * - Sizes are in bytes, positions and lengths in tokens, both from 0.
 * - A NULL handle is accepted by the close functions only.
 * - Threads: different models may be used from different threads at the same
 *   time. Calls on one model and on all sessions made from it must not run
 *   concurrently, because they share the model's thread team; the functions
 *   that only read a model (info, tokens, tokenizer) may run at any time.
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

/** Version of the library that runs, "MAJOR.MINOR.PATCH"; static storage. */
CLSA_API const char *clsa_version(void);

/* ------------------------------------------------------------------ errors */

/** What a call came to. The values are stable. */
typedef enum clsa_status {
    CLSA_OK = 0,
    CLSA_ERR_ARGUMENT = 1,    /**< a parameter is out of its stated range */
    CLSA_ERR_MEMORY = 2,      /**< an allocation was refused */
    CLSA_ERR_IO = 3,          /**< the system refused a file operation */
    CLSA_ERR_FORMAT = 4,      /**< a file is malformed */
    CLSA_ERR_UNSUPPORTED = 5, /**< well-formed, but not what this can do */
    CLSA_ERR_MISMATCH = 6,    /**< a session file belongs to something else */
    CLSA_ERR_FULL = 7,        /**< the context has no room for the tokens */
    CLSA_ERR_STOPPED = 8      /**< the progress callback asked to stop */
} clsa_status;

/** Filled by failing calls; see the conventions on top. */
typedef struct clsa_error {
    clsa_status status;
    char message[508]; /**< one line, NUL-terminated, valid UTF-8 */
} clsa_error;

/** Short English name of a status, for example "out of memory". */
CLSA_API const char *clsa_status_name(clsa_status status);

/* ------------------------------------------------------------------- types */

/** Storage types of tensors and cache rows; the numbers are those of GGUF. */
typedef enum clsa_type {
    CLSA_TYPE_F32 = 0,
    CLSA_TYPE_F16 = 1,
    CLSA_TYPE_Q4_0 = 2,  /**< 32 values: f16 scale, 16 bytes of nibbles */
    CLSA_TYPE_Q8_0 = 8,  /**< 32 values: f16 scale, 32 int8 */
    CLSA_TYPE_Q4_K = 12, /**< 256 values in 144 bytes, parts of 32 */
    CLSA_TYPE_Q6_K = 14, /**< 256 values in 210 bytes, parts of 16 */
    CLSA_TYPE_I8 = 24,   /**< int8 with one f32 scale per row (index keys) */
    CLSA_TYPE_BF16 = 30
} clsa_type;

/** Lower-case name ("q8_0"), or NULL for a number that is no clsa_type. */
CLSA_API const char *clsa_type_name(clsa_type type);

/** Type of a name in any case. @return CLSA_ERR_ARGUMENT for unknown names. */
CLSA_API clsa_status clsa_type_parse(const char *name, clsa_type *type,
                                     clsa_error *error);

/* --------------------------------------------------------------- processor */

/** Names of the SIMD levels that this build has and this CPU can run, from the
    slowest ("ref", scalar) to the fastest.
    @return NULL-terminated array in static storage */
CLSA_API const char *const *clsa_simd_levels(void);

/** Physical cores that this process may use, by its affinity and its cgroup;
    at least 1. So many threads a model has by default. */
CLSA_API uint32_t clsa_core_count(void);

/* ------------------------------------------------------------------- model */

/** A model file mapped into memory, its tokenizer and its thread team. */
typedef struct clsa_model clsa_model;

/** How to open a model; fill with clsa_model_options_init first. */
typedef struct clsa_model_options {
    uint32_t threads; /**< 1..1024; 0: one per physical core. More than
                           there are CPUs take turns, which is slower */
    const char *simd; /**< a name of clsa_simd_levels; NULL: CLSA_SIMD of
                           the environment, else the best */
    const char *numa; /**< memory nodes: "auto" (also NULL), those that the
                           process may use; "off": no placement and no
                           pinning; or a list such as "0,2-3" */
    /** Called while clsa_model_random and clsa_session_fill_random work, with
        the weights or tokens made so far; anything but 0 stops them with
        CLSA_ERR_STOPPED. May be NULL. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
    /** Bytes that the model and its sessions may take, besides the mapped
        file: tokenizer, random weights, caches, windows, working sets and
        scratch. What does not fit is refused with CLSA_ERR_MEMORY, and a
        session already when its whole context does not. 0: the memory of the
        machine. */
    uint64_t memory_limit;
    /** Bytes that weights may take which were converted for the products of
        prompts (clsa_session_options: prefill); those that do not fit are
        converted again for every block of tokens. 0: none are kept. */
    uint64_t prefill_memory;
    uint64_t reserved[6]; /**< 0 */
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
    values every time. Activations and logits are finite and of the size that
    those of a trained model have; the tokens mean nothing. Takes seconds per
    thousand million weights, much longer for the types q4_k and q6_k.
    The model has no tokenizer: clsa_tokenize and clsa_detokenize fail with
    CLSA_ERR_UNSUPPORTED, there are no token bytes and no special tokens. It
    has no metadata keys. `file_size` of its info is the memory of the weights,
    `context` is 1048576. Sessions are saved and loaded as with a file.
    @param model    receives the handle, to be closed by clsa_model_close
    @param shape    rows of matrices have to be whole blocks of the type
    @param type     F32, F16, BF16, Q8_0, Q4_0, Q4_K or Q6_K
    @param options  NULL for the defaults
    @return CLSA_ERR_ARGUMENT (the message names the size), CLSA_ERR_MEMORY or
            CLSA_ERR_STOPPED */
CLSA_API clsa_status clsa_model_random(clsa_model **model,
                                       const clsa_shape *shape, clsa_type type,
                                       const clsa_model_options *options,
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
    const char *notice;        /**< one line about what the system refused
                                    (pinning, placement), or "" */
} clsa_model_info;

CLSA_API void clsa_model_get_info(const clsa_model *model,
                                  clsa_model_info *info);

/** Hash of the whole file (XXH3); reads all of it at the first call. */
CLSA_API uint64_t clsa_model_fingerprint(clsa_model *model);

/** One tensor of the file. */
typedef struct clsa_tensor_info {
    const char *name;
    clsa_type type;
    uint32_t dims;     /**< 1 or 2 */
    uint64_t shape[2]; /**< [out][in]; [n][1] for one dimension */
    uint64_t size;     /**< bytes in the file */
    uint64_t offset;   /**< bytes from the start of the file */
} clsa_tensor_info;

/** Number of tensors of the file. */
CLSA_API size_t clsa_model_tensor_count(const clsa_model *model);

/** Tensor `i` < clsa_model_tensor_count in the order of the file. */
CLSA_API void clsa_model_tensor(const clsa_model *model, size_t i,
                                clsa_tensor_info *info);

/** Number of metadata keys of the file. */
CLSA_API size_t clsa_model_metadata_count(const clsa_model *model);

/** Metadata key `i` < clsa_model_metadata_count and its value as text.
    @param key       receives the key
    @param value     receives at most `capacity` bytes, NUL included; long
                     values and arrays are cut short with "..."
    @return          bytes written without the NUL */
CLSA_API size_t clsa_model_metadata(const clsa_model *model, size_t i,
                                    const char **key, char *value,
                                    size_t capacity);

/* --------------------------------------------------------------- tokenizer */

/** Special tokens ("<|im_start|>") in the text are cut out as such. */
#define CLSA_TOKENIZE_SPECIAL 1u
/** Put the bos token in front where the model asks for it (add_bos). */
#define CLSA_TOKENIZE_BOS 2u

/** Cut a text into tokens (byte-level BPE).
    @param text      `size` bytes; invalid UTF-8 is tokenised byte by byte
    @param flags     CLSA_TOKENIZE_*
    @param ids       receives the ids; to be released by clsa_free
    @param count     receives their number
    @return CLSA_ERR_MEMORY, or CLSA_ERR_ARGUMENT where a byte has no token */
CLSA_API clsa_status clsa_tokenize(const clsa_model *model, const char *text,
                                   size_t size, unsigned flags, int32_t **ids,
                                   size_t *count, clsa_error *error);

/** Release memory that a function of this library gave out. */
CLSA_API void clsa_free(void *memory);

/** The bytes of a token, not always whole UTF-8 characters.
    @param size  receives their number
    @return NULL when `id` is no token of the model */
CLSA_API const char *clsa_token_bytes(const clsa_model *model, int32_t id,
                                      size_t *size);

/** 1 when `id` is a control token such as end of text, else 0. */
CLSA_API int clsa_token_is_special(const clsa_model *model, int32_t id);

/** State of a streaming detokenizer: bytes of an unfinished character. */
typedef struct clsa_detokenizer {
    unsigned char pending[8];
    uint32_t count;
} clsa_detokenizer;

/** Add a token to a stream of text and take out what is complete. Never gives
    half a UTF-8 character; bytes that cannot become valid UTF-8 come out as
    U+FFFD.
    @param state     {0} at the start of a text
    @param id        the token; -1 flushes at the end of the text
    @param text      receives the text, NUL-terminated; to be released by
                     clsa_free
    @param size      receives its size without the NUL; may be NULL */
CLSA_API clsa_status clsa_detokenize(const clsa_model *model,
                                     clsa_detokenizer *state, int32_t id,
                                     char **text, size_t *size,
                                     clsa_error *error);

/* ----------------------------------------------------------------- session */

/** The state of one sequence: tokens, windows, shared cache, last logits. */
typedef struct clsa_session clsa_session;

/** How to open a session; fill with clsa_session_options_init first. */
typedef struct clsa_session_options {
    uint64_t context;       /**< tokens that fit; 0: the model's context */
    clsa_type kv_type;      /**< shared cache: F32, F16, BF16 (default), Q8_0 */
    clsa_type index_type;   /**< index keys: F32, BF16, I8 (default) */
    const char *attention;  /**< policy: "clsa", "clsa:K", "dense", "window:N",
                                 "sink:N", "token:K", "reuse:K:M",
                                 "longformer:N:G", "bigbird:N:G:R",
                                 "blocks:K:B" or "h2o:K", see clsa(7); NULL:
                                 "clsa" with an indexer, else "dense" */
    uint32_t prefill_block; /**< tokens read at once, 1..4096; 0: default */
    /** Products of appends of 32 tokens or more, and of their cross-decoder
        where 32 or more positions are wanted:
        "own": the kernels of decoding. A token gives the same bits alone and in
        a prompt.
        "f32", "bf16", "int8": oneDNN, with weights and activations of that
        type; int8 with a scale per row and per token. Logits differ from those
        of decoding by rounding, or quantisation.
        "auto" (also NULL): the type of the weights, int8 for blocks of fewer
        bits; "own" where this is no gain: without oneDNN, without AVX2.
        Within each of them threads, prefill_block and neighbours change no
        bit. */
    const char *prefill;
    uint64_t reserved[7]; /**< 0 */
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

/** Which logits an append computes; see clsa_append. */
typedef enum clsa_want {
    CLSA_WANT_LAST = 0, /**< those after the last token */
    CLSA_WANT_NONE = 1, /**< none: the tokens are only read */
    CLSA_WANT_MASK = 2  /**< those after each token whose mask is not 0 */
} clsa_want;

/** Details of an append; all zero is the default. */
typedef struct clsa_append {
    clsa_want want;
    const uint8_t *mask; /**< CLSA_WANT_MASK: one byte per token */
    /** Called with the logits after each wanted token, in order of position.
        `logits` [vocab] is valid during the call. May be NULL. */
    void (*on_logits)(void *user, uint64_t position, const float *logits);
    /** Called between blocks, and groups of wanted tokens in a block, with the
        tokens read so far; anything but 0 stops with CLSA_ERR_STOPPED, and what
        was read stays read. May be NULL. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} clsa_append;

/** Read tokens. Prompt tokens run the self-decoder only and leave one row in
    the shared cache (the early exit of YOCO is exact); tokens whose logits are
    wanted run the cross-decoder as well.
    @param ids    `count` >= 1 ids, each < vocab
    @param how    NULL for the default
    @return CLSA_ERR_ARGUMENT, CLSA_ERR_FULL (nothing was read),
            CLSA_ERR_MEMORY or CLSA_ERR_STOPPED (whole blocks were read:
            clsa_session_length tells) */
CLSA_API clsa_status clsa_session_append(clsa_session *session,
                                         const int32_t *ids, size_t count,
                                         const clsa_append *how,
                                         clsa_error *error);

/** Read one token into each of several sessions of one model in one step, in
    which the weights are read once for all. Sessions may differ in length,
    policy and k; no session may be there twice.
    @param sessions  `count` sessions, 1..64
    @param ids       `count` ids
    @return as clsa_session_append; on failure no session has changed */
CLSA_API clsa_status clsa_batch_append(clsa_session *const *sessions,
                                       const int32_t *ids, size_t count,
                                       clsa_error *error);

/** Fill an empty session with random tokens, and with random rows in place of
    what reading them would leave in the shared cache, and in the windows or the
    state of retention. For measurements and tests of decoding at a depth whose
    prompt would take long to read. Index keys are random too, so that every
    token selects other rows: the worst case for reuse from token to token.
    @param session  has read nothing, or has been truncated to 0
    @param tokens   1..context
    @param seed     same seed, same rows
    @return CLSA_ERR_ARGUMENT, CLSA_ERR_FULL, CLSA_ERR_MEMORY, or
            CLSA_ERR_STOPPED (the session is empty as before) */
CLSA_API clsa_status clsa_session_fill_random(clsa_session *session,
                                              uint64_t tokens, uint64_t seed,
                                              clsa_error *error);

/** Logits after the last wanted token, [vocab], valid until the next call on
    the session; NULL when there are none (nothing read, CLSA_WANT_NONE,
    truncated). */
CLSA_API const float *clsa_session_logits(const clsa_session *session);

/** Tokens read so far. */
CLSA_API uint64_t clsa_session_length(const clsa_session *session);

/** Tokens that fit. */
CLSA_API uint64_t clsa_session_context(const clsa_session *session);

/** The ids read so far, [clsa_session_length], valid until the next call. */
CLSA_API const int32_t *clsa_session_tokens(const clsa_session *session);

/** The shared-cache rows that the last wanted token read, ascending.
    @param count  receives their number
    @return [count], valid until the next call on the session; NULL for the
            policy "dense" (every row) and when there are no logits */
CLSA_API const uint32_t *clsa_session_rows(const clsa_session *session,
                                           size_t *count);

/** The same for one layer, where a policy chooses by the queries of layers;
    clsa_session_rows gives those of the last one then.
    @param layer  of the cross-decoder, from 0
    @return as clsa_session_rows; NULL for a layer that is not there */
CLSA_API const uint32_t *clsa_session_layer_rows(const clsa_session *session,
                                                 uint32_t layer, size_t *count);

/** Change the policy for the tokens to come, as in clsa_session_options. h2o
    has dropped rows that others need and has seen attention that others have
    not computed: to and from it only an empty session changes, others fail with
    CLSA_ERR_UNSUPPORTED. */
CLSA_API clsa_status clsa_session_set_attention(clsa_session *session,
                                                const char *attention,
                                                clsa_error *error);

/** Forget all tokens from position `length` on. Where the windows no longer
    hold what precedes it, that much is read again from the kept ids; with gated
    retention that is everything, unless `length` is in the last chunk of 64.
    @param length  0..clsa_session_length; with h2o one of the two, or it fails
                   with CLSA_ERR_UNSUPPORTED */
CLSA_API clsa_status clsa_session_truncate(clsa_session *session,
                                           uint64_t length, clsa_error *error);

/** A second session with the same state. Full pages of the shared cache are
    shared until one of the two writes to them. */
CLSA_API clsa_status clsa_session_fork(const clsa_session *session,
                                       clsa_session **fork, clsa_error *error);

/** Write the state to a file: beside `path` first, then renamed, so that
    `path` is always whole. A file that is there is replaced and its permissions
    are kept, a symbolic link is followed; what is no regular file is refused.
    The file has a checksum and the fingerprint of the model, the types and the
    policy. */
CLSA_API clsa_status clsa_session_save(const clsa_session *session,
                                       const char *path, clsa_error *error);

/** Open a session from a file of clsa_session_save.
    @param options  kv_type, index_type and attention have to be those of the
                    file; context has to hold its tokens (0: the model's)
    @return CLSA_ERR_MISMATCH with the reason, or as clsa_session_open */
CLSA_API clsa_status clsa_session_load(clsa_session **session,
                                       clsa_model *model, const char *path,
                                       const clsa_session_options *options,
                                       clsa_error *error);

/** What a session takes and what its last step did. */
typedef struct clsa_session_stats {
    uint64_t cache_bytes;   /**< shared cache: pages taken, index included */
    uint64_t window_bytes;  /**< windows, or the state of retention */
    uint64_t working_bytes; /**< working set */
    uint64_t scratch_bytes; /**< of the model, shared by its sessions */
    uint64_t prefill_bytes; /**< the same: for products of prompts */
    const char *prefill;    /**< "own", "f32", "bf16" or "int8": what the
                                 option of this name came to */
    uint64_t rows_read;     /**< rows attended to by the last wanted token */
    uint64_t rows_changed;  /**< of them newly copied into the working set */
    double phase_ms[6];     /**< last step: self, index, select, gather,
                                 cross, head */
    uint64_t policy_bytes;  /**< what the policy keeps besides */
    uint64_t search_bytes;  /**< read to choose rows for the last token */
    double attend_ms;       /**< of cross: attention over the rows */
    double route_ms;        /**< of index, select and gather: what it takes to
                                 choose and copy the rows of this policy */
} clsa_session_stats;

CLSA_API void clsa_session_get_stats(const clsa_session *session,
                                     clsa_session_stats *stats);

/* ------------------------------------------------------------- model files */

/** What a tensor became. */
typedef struct clsa_written {
    const char *name;
    clsa_type wanted; /**< by the options */
    clsa_type type;   /**< as stored: rows that are no whole blocks fall back
                           to q8_0, or to f16 */
    uint64_t values, size; /**< number of values, bytes */
    double error; /**< root of sum of squared differences over sum of squared
                       values; 0 when copied */
} clsa_written;

/** The type of each matrix in the source. */
#define CLSA_WRITE_SAME (-1)

/** How to write a model file; fill with clsa_write_options_init first. */
typedef struct clsa_write_options {
    int type; /**< of the matrices: a clsa_type, CLSA_WRITE_SAME (default).
                   Vectors are always f32; the indexer is q8_0 where `type`
                   is a type of fewer bits */
    /** Exceptions, "PATTERN=TYPE": a shell pattern for whole names of
        matrices; the first that matches counts. */
    const char *const *keep;
    size_t keep_count;
    uint32_t threads; /**< 1..1024; 0: one per physical core */
    /** Called after each tensor. May be NULL. */
    void (*on_tensor)(void *user, const clsa_written *tensor);
    /** Called with what the user should know: each tensor that is missing or
        unknown, and what was assumed. One line. May be NULL. */
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

/* ----------------------------------------------------------------- sampler */

/** Chooses the next token from logits; has its own random state. */
typedef struct clsa_sampler clsa_sampler;

/** How to sample; fill with clsa_sampler_options_init first. */
typedef struct clsa_sampler_options {
    float temperature;    /**< >= 0; 0: the most likely token (default 0.8) */
    uint32_t top_k;       /**< keep the k most likely; 0: all (default 40) */
    float top_p;          /**< 0..1, nucleus; 1: off (default 0.95) */
    float min_p;          /**< 0..1, share of the best; 0: off (0.05) */
    float repeat_penalty; /**< > 0; 1: off (default 1) */
    uint32_t repeat_last; /**< tokens the penalty looks back at (64) */
    uint64_t seed;        /**< same seed and logits, same tokens */
    uint64_t reserved[4]; /**< 0 */
} clsa_sampler_options;

CLSA_API void clsa_sampler_options_init(clsa_sampler_options *options);

/** @return CLSA_ERR_ARGUMENT for a value out of range, CLSA_ERR_MEMORY */
CLSA_API clsa_status clsa_sampler_open(clsa_sampler **sampler,
                                       const clsa_sampler_options *options,
                                       clsa_error *error);
CLSA_API void clsa_sampler_close(clsa_sampler *sampler);

/** Choose the token that follows a session's tokens.
    @param id  receives the token; it is not appended
    @return CLSA_ERR_ARGUMENT when the session has no logits */
CLSA_API clsa_status clsa_sampler_sample(clsa_sampler *sampler,
                                         const clsa_session *session,
                                         int32_t *id, clsa_error *error);

#ifdef __cplusplus
}
#endif

#endif /* CLSA_H */
