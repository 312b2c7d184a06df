/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clsa_serving: sampling, with everything that clients of servers ask for,
 * log-probabilities, and many sequences at once: prompts read beside decoding,
 * snapshots. A part of clsa.h, which includes it and has the conventions.
 */
#ifndef CLSA_SERVING_H
#define CLSA_SERVING_H

#include "clsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- sampling */

/** Chooses the next token from logits; has its own random state. */
typedef struct clsa_sampler clsa_sampler;

/** How to sample; fill with clsa_sampler_options_init first. */
typedef struct clsa_sampler_options {
    float temperature;    /**< 0..100; 0: the most likely token (default 0.8) */
    uint32_t top_k;       /**< keep the k most likely; 0: all (default 40) */
    float top_p;          /**< 0..1, nucleus; 1: off (default 0.95) */
    float min_p;          /**< 0..1, share of the best; 0: off (default 0.05) */
    float repeat_penalty; /**< 0.001..1000; 1: off (default 1) */
    uint32_t repeat_last; /**< tokens the penalty looks back at (default 64) */
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
    @return CLSA_ERR_ARGUMENT if the session has no logits */
CLSA_API clsa_status clsa_sampler_sample(clsa_sampler *sampler,
                                         const clsa_session *session,
                                         int32_t *id, clsa_error *error);

/** A number that is added to the logit of a token. */
typedef struct clsa_logit_bias {
    int32_t id;
    float bias; /**< any number; -infinity: never */
} clsa_logit_bias;

/** What a sampler does beside clsa_sampler_options; fill with
    clsa_sampler_filters_init first, which turns everything off. The penalties
    for presence and frequency look back at repeat_last tokens of
    clsa_sampler_options. */
typedef struct clsa_sampler_filters {
    float presence_penalty;  /**< -100..100, taken from the logit of a token
                                  that came; 0: off */
    float frequency_penalty; /**< -100..100, the same times how often */
    float typical_p;         /**< 0..1, locally typical sampling; 1: off */
    float xtc_probability;   /**< 0..1, how often the top choices are left
                                  out; 0: off */
    float xtc_threshold;     /**< 0..1, probability of a top choice (0.1) */
    float dry_multiplier;    /**< 0..100, against repeated sequences; 0: off */
    float dry_base;          /**< 1..100 (default 1.75) */
    uint32_t dry_allowed;    /**< length of a repeat that is free (default 2) */
    uint32_t dry_last;       /**< tokens to look for repeats in; 0: all */
    /** Tokens that no repeat goes across; copied. */
    const int32_t *dry_breakers;
    size_t dry_breaker_count;
    const clsa_logit_bias *biases; /**< [bias_count], copied */
    size_t bias_count;
    uint64_t reserved[6]; /**< 0 */
} clsa_sampler_filters;

CLSA_API void clsa_sampler_filters_init(clsa_sampler_filters *filters);

/** Let a sampler filter so from the next token on.
    @return CLSA_ERR_ARGUMENT for a value out of range, CLSA_ERR_UNSUPPORTED,
            CLSA_ERR_MEMORY; the sampler is as it was */
CLSA_API clsa_status clsa_sampler_set_filters(
    clsa_sampler *sampler, const clsa_sampler_filters *filters,
    clsa_error *error);

/** What a token is chosen from; all zero, except what is set. */
typedef struct clsa_choice {
    const float *logits;     /**< [vocab] of the model */
    const int32_t *tokens;   /**< [count] what came before, for penalties */
    size_t count;            /**< may be 0 */
    const uint32_t *allowed; /**< one bit per token, 32 in a number, the lowest
                                  first: 0 is never chosen; NULL: all are */
    uint64_t reserved[4];    /**< 0 */
} clsa_choice;

/** Choose a token from any logits: biases, allowed tokens, penalties (repeat,
    presence, frequency, DRY), top-k, temperature, typical, top-p, min-p, XTC,
    and one draw, in this order. Samplers may be used in different threads at
    the same time, and while the model computes.
    @param id  receives the token
    @return CLSA_ERR_ARGUMENT if no token is allowed, or a bias is for no token
            of the model; CLSA_ERR_FORMAT if all logits are NaN;
   CLSA_ERR_MEMORY; CLSA_ERR_UNSUPPORTED (a reserved member is not 0) */
CLSA_API clsa_status clsa_sampler_choose(clsa_sampler *sampler,
                                         const clsa_model *model,
                                         const clsa_choice *choice, int32_t *id,
                                         clsa_error *error);

/** A token and the natural logarithm of its probability. */
typedef struct clsa_logprob {
    int32_t id;
    float logprob;
} clsa_logprob;

/** Log-probabilities as the model gives them, before any filter.
    @param logits  [vocab] of the model
    @param given   tokens to be looked up, [count], each id < vocab; receives
                   their log-probabilities
    @param best    receives the most likely tokens in descending order, of equal
                   ones the lower id first; [best_count], at most vocab
    @return CLSA_ERR_ARGUMENT for an id that is no token, or more best ones than
            there are tokens; CLSA_ERR_FORMAT if all logits are NaN */
CLSA_API clsa_status clsa_logprobs(const clsa_model *model, const float *logits,
                                   clsa_logprob *given, size_t count,
                                   clsa_logprob *best, size_t best_count,
                                   clsa_error *error);

/* ------------------------------------------------------ sequences together */

/** Tokens for one session of clsa_batch_read. */
typedef struct clsa_batch_item {
    clsa_session *session;
    const int32_t *ids; /**< [count], each < vocab */
    size_t count;       /**< 1 or more */
    clsa_want want;     /**< CLSA_WANT_LAST or CLSA_WANT_NONE */
} clsa_batch_item;

/** Read tokens into several sessions of one model: pieces of prompts, and the
    last tokens of others, side by side. Every session gets the same bits as
    from clsa_session_append of its tokens alone: steps are shared where this
    holds, so that weights are read once for all.
    @param items  `count` items, 1..64; each session may be there once
    @return as clsa_session_append. CLSA_ERR_FULL, CLSA_ERR_ARGUMENT: no session
            has changed. CLSA_ERR_MEMORY, CLSA_ERR_STOPPED: those whose
            clsa_session_length tells so have read some or all of theirs */
CLSA_API clsa_status clsa_batch_read(const clsa_batch_item *items, size_t count,
                                     clsa_error *error);

/** What of the memory limit of a model is taken: by its sessions, snapshots and
    scratch. Not while the model computes in another thread.
    @param limit  receives the bytes that may be taken; may be NULL
    @param taken  receives those that are; may be NULL */
CLSA_API void clsa_model_memory(const clsa_model *model, uint64_t *limit,
                                uint64_t *taken);

/** Bytes that the caches of a session take when it has `length` tokens, whole
    pages of 4,096. */
CLSA_API uint64_t clsa_session_cache_bytes(const clsa_session *session,
                                           uint64_t length);

/* --------------------------------------------------------------- snapshots */

/** The state of a session at a moment, as much as going on from there needs:
    the ids, the last W - 1 rows of each window, states of retention, the last
    logits, and the pages of the caches, which are shared with the session. */
typedef struct clsa_snapshot clsa_snapshot;

/** Take a snapshot. It may outlive its session, but not the model; it is
    charged to the memory limit of the model.
    @param snapshot  receives the handle, to be released by clsa_snapshot_free
    @return CLSA_ERR_MEMORY, or CLSA_ERR_UNSUPPORTED with the policy h2o, whose
            session cannot share its state */
CLSA_API clsa_status clsa_snapshot_take(clsa_snapshot **snapshot,
                                        const clsa_session *session,
                                        clsa_error *error);
CLSA_API void clsa_snapshot_free(clsa_snapshot *snapshot);

/** Tokens of a snapshot. */
CLSA_API uint64_t clsa_snapshot_length(const clsa_snapshot *snapshot);

/** Bytes that it takes alone: pages that others use too are not counted. */
CLSA_API uint64_t clsa_snapshot_bytes(const clsa_snapshot *snapshot);

/** Let a session have the state of a snapshot in place of its own. Nothing is
    mapped or zeroed: rows of windows are copied, pages are shared. A session of
    any context that holds the tokens, with the same model and types, will do;
    the policy stays the session's.
    @return CLSA_ERR_MISMATCH for another model or other types, CLSA_ERR_FULL if
            the tokens do not fit, CLSA_ERR_UNSUPPORTED with the policy h2o: the
            session is as it was; CLSA_ERR_MEMORY: it is empty */
CLSA_API clsa_status clsa_session_restore(clsa_session *session,
                                          const clsa_snapshot *snapshot,
                                          clsa_error *error);

/** Write a snapshot as the file of a session, without restoring it: takes no
    memory of the limit. clsa_session_read and clsa_session_load read it.
    @param like   a session that the snapshot could be restored in, which stays
                  as it is: the file is one of its policy
    @param write  as with clsa_session_write
    @return as clsa_session_write; CLSA_ERR_MISMATCH, CLSA_ERR_FULL and
            CLSA_ERR_UNSUPPORTED as clsa_session_restore */
CLSA_API clsa_status clsa_snapshot_write(const clsa_snapshot *snapshot,
                                         const clsa_session *like,
                                         clsa_write_fn write, void *user,
                                         clsa_error *error);

#ifdef __cplusplus
}
#endif

#endif /* CLSA_SERVING_H */
