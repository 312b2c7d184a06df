/* SPDX-License-Identifier: Apache-2.0 */
/* The radix tree: an edge has one token or more, siblings differ in their
   first one. */
#include <stdlib.h>
#include <string.h>

#include "src/serve/cache.h"

struct node {
    struct node *parent, *child, *next; /* next: of the same parent */
    int32_t *ids;                       /* [count] of the edge to it */
    size_t count;
    size_t depth;  /* tokens from the root */
    uint64_t key;  /* of a root */
    uint64_t used; /* when, by the clock of the cache */
    void *value;
    uint64_t bytes;
};

struct serve_cache {
    void (*release)(void *value);
    struct node top; /* its children are the roots of the keys */
    uint64_t clock, bytes, tokens;
    size_t count;
};

struct serve_cache *serve_cache_open(void (*release)(void *value))
{
    struct serve_cache *cache = calloc(1, sizeof *cache);
    if (cache)
        cache->release = release;
    return cache;
}

/* ------------------------------------------------------------------- nodes */

static struct node *add_child(struct node *parent, const int32_t *ids,
                              size_t count)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->ids = malloc((count ? count : 1) * sizeof *n->ids);
    if (!n->ids) {
        free(n);
        return NULL;
    }
    if (count > 0)
        memcpy(n->ids, ids, count * sizeof *n->ids);
    n->count = count;
    n->depth = parent->depth + count;
    n->parent = parent;
    n->next = parent->child;
    parent->child = n;
    return n;
}

static void unlink_child(struct node *n)
{
    struct node **at = &n->parent->child;
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
}

static void free_node(struct node *n)
{
    free(n->ids);
    free(n);
}

/* Takes away nodes that are of no use any more, upward; roots too. */
static void prune(struct node *n)
{
    while (n->parent && !n->value && !n->child) {
        struct node *parent = n->parent;
        unlink_child(n);
        free_node(n);
        n = parent;
    }
}

static struct node *find_root(const struct serve_cache *cache, uint64_t key)
{
    struct node *n = cache->top.child;
    while (n && n->key != key)
        n = n->next;
    return n;
}

static struct node *find_child(const struct node *n, int32_t id)
{
    struct node *child = n->child;
    while (child && child->ids[0] != id)
        child = child->next;
    return child;
}

static size_t common(const int32_t *a, const int32_t *b, size_t most)
{
    size_t n = 0;
    while (n < most && a[n] == b[n])
        n++;
    return n;
}

/* Follows a text down from a root: the last node whose edge it has as a whole;
 *more tokens of the edge below it fit too. */
static struct node *descend(struct node *n, const int32_t *ids, size_t count,
                            size_t *more)
{
    *more = 0;
    while (n->depth < count) {
        struct node *child = find_child(n, ids[n->depth]);
        if (!child)
            return n;
        const size_t left = count - n->depth;
        const size_t same = common(child->ids, ids + n->depth,
                                   left < child->count ? left : child->count);
        if (same < child->count) {
            *more = same;
            return n;
        }
        n = child;
    }
    return n;
}

/* Cuts the edge to a node after `at` tokens; the node above the cut, or NULL.
 */
static struct node *split(struct node *n, size_t at)
{
    struct node *upper = add_child(n->parent, n->ids, at);
    if (!upper)
        return NULL;
    unlink_child(n);
    n->parent = upper;
    n->next = NULL;
    upper->child = n;
    n->count -= at;
    memmove(n->ids, n->ids + at, n->count * sizeof *n->ids);
    return upper;
}

/* The node of a text, made if it is missing. */
static struct node *make_node(struct serve_cache *cache, uint64_t key,
                              const int32_t *ids, size_t count)
{
    struct node *root = find_root(cache, key);
    size_t more;
    if (!root && (root = add_child(&cache->top, NULL, 0)))
        root->key = key;
    if (!root)
        return NULL;
    struct node *n = descend(root, ids, count, &more);
    if (more > 0) {
        struct node *upper = split(find_child(n, ids[n->depth]), more);
        if (!upper)
            return NULL;
        n = upper;
    }
    if (n->depth == count)
        return n;
    struct node *made = add_child(n, ids + n->depth, count - n->depth);
    if (!made)
        prune(n);
    return made;
}

/* ------------------------------------------------------------------ values */

static void drop(struct serve_cache *cache, struct node *n)
{
    cache->bytes -= n->bytes;
    cache->tokens -= n->depth;
    cache->count--;
    cache->release(n->value);
    n->value = NULL;
    n->bytes = 0;
}

struct serve_match serve_cache_find(struct serve_cache *cache, uint64_t key,
                                    const int32_t *ids, size_t count,
                                    size_t most, bool whole)
{
    struct serve_match match = {.value = NULL};
    struct node *n = find_root(cache, key);
    size_t more;
    if (!n)
        return match;
    n = descend(n, ids, count, &more);
    match.common = n->depth + more;
    while (n->parent &&
           (!n->value || (n->depth > most && !(whole && n->depth == count))))
        n = n->parent;
    if (!n->parent)
        return match;
    n->used = ++cache->clock;
    match.value = n->value;
    match.length = n->depth;
    return match;
}

bool serve_cache_has(struct serve_cache *cache, uint64_t key,
                     const int32_t *ids, size_t count)
{
    struct node *n = find_root(cache, key);
    size_t more = 0;
    if (n)
        n = descend(n, ids, count, &more);
    return n && more == 0 && n->depth == count && n->value;
}

bool serve_cache_put(struct serve_cache *cache, uint64_t key,
                     const int32_t *ids, size_t count, void *value,
                     uint64_t bytes)
{
    struct node *n = make_node(cache, key, ids, count);
    if (!n) {
        cache->release(value);
        return false;
    }
    if (n->value)
        drop(cache, n);
    n->value = value;
    n->bytes = bytes;
    n->used = ++cache->clock;
    cache->bytes += bytes;
    cache->tokens += n->depth;
    cache->count++;
    return true;
}

/* The next node of a walk over the tree. */
static struct node *next_node(struct node *n)
{
    if (n->child)
        return n->child;
    while (n->parent && !n->next)
        n = n->parent;
    return n->parent ? n->next : NULL;
}

bool serve_cache_forget(struct serve_cache *cache, uint64_t key)
{
    struct node *root = find_root(cache, key), *n = root;
    while (n && !n->value)
        n = n->child; /* what has no child has a value */
    if (!n)
        return false;
    drop(cache, n);
    prune(n);
    return true;
}

/* Tokens to be computed again per byte, less the longer nobody asked. */
static double worth(const struct serve_cache *cache, const struct node *n)
{
    const struct node *above = n->parent;
    while (above->parent && !above->value)
        above = above->parent;
    const double age = (double)(cache->clock - n->used) + 1;
    return (double)(n->depth - above->depth) / ((double)n->bytes + 1) / age;
}

bool serve_cache_evict(struct serve_cache *cache)
{
    struct node *least = NULL;
    double value = 0;
    for (struct node *n = &cache->top; n; n = next_node(n))
        if (n->value && (!least || worth(cache, n) < value)) {
            least = n;
            value = worth(cache, n);
        }
    if (!least)
        return false;
    drop(cache, least);
    prune(least);
    return true;
}

void serve_cache_close(struct serve_cache *cache)
{
    while (cache && serve_cache_evict(cache))
        ;
    free(cache);
}

uint64_t serve_cache_bytes(const struct serve_cache *cache)
{
    return cache->bytes;
}

uint64_t serve_cache_tokens(const struct serve_cache *cache)
{
    return cache->tokens;
}

size_t serve_cache_count(const struct serve_cache *cache)
{
    return cache->count;
}
