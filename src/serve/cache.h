/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: what was computed for texts, by their tokens: a radix tree for each
 * client key, with values (snapshots) at some of its nodes. A value is of use
 * for every text that begins with its tokens. Values are dropped by what it
 * would cost to compute them again, per byte, the oldest first; using one never
 * changes another. One thread.
 */
#ifndef CLSA_SERVE_CACHE_H
#define CLSA_SERVE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serve_cache;

/* `release` gets each value that is dropped. NULL: no memory. */
struct serve_cache *serve_cache_open(void (*release)(void *value));
void serve_cache_close(struct serve_cache *cache);

/* What is found for a text. */
struct serve_match {
    void *value;   /* of the longest beginning that has one, or NULL */
    size_t length; /* tokens of that */
    size_t common; /* tokens that the text has in common with some other */
};

/* Look up ids[0..count) of a key; values of at most `most` tokens, or with
   `whole` of all of them. */
struct serve_match serve_cache_find(struct serve_cache *cache, uint64_t key,
                                    const int32_t *ids, size_t count,
                                    size_t most, bool whole);

/* Whether there is a value for exactly these tokens. */
bool serve_cache_has(struct serve_cache *cache, uint64_t key,
                     const int32_t *ids, size_t count);

/* Keep a value for count >= 1 tokens, in place of one that is there. Without
   memory it is released; false then. */
bool serve_cache_put(struct serve_cache *cache, uint64_t key,
                     const int32_t *ids, size_t count, void *value,
                     uint64_t bytes);

/* Drop the value that is worth least; false: there is none. */
bool serve_cache_evict(struct serve_cache *cache);

/* Drop a value of a key; false: there is none. */
bool serve_cache_forget(struct serve_cache *cache, uint64_t key);

/* Sums over all values. */
uint64_t serve_cache_bytes(const struct serve_cache *cache);
uint64_t serve_cache_tokens(const struct serve_cache *cache);
size_t serve_cache_count(const struct serve_cache *cache);

#endif /* CLSA_SERVE_CACHE_H */
