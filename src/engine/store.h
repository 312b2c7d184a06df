/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: what a session keeps of its tokens for later ones, by number as in
 * the plan of its network: windows, caches and states of retention. Forks,
 * truncation, session files and sums of memory go over all of them.
 *
 * Positions are shared between stores: a token is at one position in each.
 */
#ifndef CLSA_ENGINE_STORE_H
#define CLSA_ENGINE_STORE_H

#include "src/engine/cache.h"
#include "src/engine/retention.h"
#include "src/engine/window.h"

struct clsa_store {
    enum clsa_store_kind kind;
    union {
        struct clsa_window window;
        struct clsa_cache cache;
        struct clsa_state state;
    };
};

/* What the stores of a session have in common. */
struct clsa_store_options {
    const struct clsa_team *team; /* whose nodes hold cache pages */
    struct clsa_budget *budget;   /* of the model */
    clsa_type kv, index;          /* of caches */
    uint64_t context;             /* tokens that fit */
    uint32_t block;               /* tokens of one step, at most */
};

struct clsa_stores {
    const struct clsa_network *net;
    size_t count;
    struct clsa_store *store; /* [count] */
};

/* Empty stores of a network; caches take no page yet. */
clsa_status clsa_stores_open(struct clsa_stores *stores,
                             const struct clsa_network *net,
                             const struct clsa_store_options *options,
                             clsa_error *error);
void clsa_stores_close(struct clsa_stores *stores);

/* Make `count` more rows of all caches writable. Nothing changes on failure
   except for spare pages. */
clsa_status clsa_stores_reserve(struct clsa_stores *stores, uint64_t count,
                                clsa_error *error);

/* Let `to`, open and empty, have what `from` has; caches share their pages. */
void clsa_stores_copy(struct clsa_stores *to, const struct clsa_stores *from);

/* Let `count` tokens after the last ones be written to a store, or to all of
   them, other than caches (clsa_cache_reserve). */
void clsa_store_extend(struct clsa_store *store, size_t count);
void clsa_stores_extend(struct clsa_stores *stores, size_t count);

/* The rows of caches up to a position have been written. */
void clsa_stores_written(struct clsa_stores *stores, uint64_t position);

/*
 * Forget positions from `length` on. False if windows or states no longer hold
 * what precedes it: then the tokens from clsa_stores_end to `length` have to
 * be read again (a step of CLSA_STAGE_REFILL), and clsa_stores_refilled called.
 */
bool clsa_stores_truncate(struct clsa_stores *stores, uint64_t length);
void clsa_stores_refilled(struct clsa_stores *stores);

/* Whether clsa_stores_truncate would leave nothing to be read again. */
bool clsa_stores_reach(const struct clsa_stores *stores, uint64_t length);

/* Positions that windows and states hold; `length` of a model without. */
uint64_t clsa_stores_end(const struct clsa_stores *stores, uint64_t length);

/* Give up the cache pages before the one that the next row goes to. */
void clsa_stores_drop(struct clsa_stores *stores);

/* Caches have `length` rows, none of which is there. They are empty. */
void clsa_stores_skip(struct clsa_stores *stores, uint64_t length);

/* Bytes of windows and states; of cache pages held, shared ones included. */
uint64_t clsa_stores_window_bytes(const struct clsa_stores *stores);
uint64_t clsa_stores_cache_bytes(const struct clsa_stores *stores);

/* Bytes of the pages that the caches of `context` tokens take. */
uint64_t clsa_stores_page_bytes(const struct clsa_stores *stores,
                                uint64_t context);

/* Bytes that a token takes in all caches: K and V; index keys and scales. */
uint64_t clsa_stores_row_bytes(const struct clsa_stores *stores);
uint64_t clsa_stores_key_bytes(const struct clsa_stores *stores);

/* The cache that selections are made of; NULL: there is none. */
struct clsa_cache *clsa_stores_cache(const struct clsa_stores *stores);

#endif /* CLSA_ENGINE_STORE_H */
