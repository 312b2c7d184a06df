/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem: memory of the library. Sizes are checked for overflow, large blocks
 * are aligned to huge pages and advised so. Nothing is allocated inside of a
 * decoding step.
 */
#ifndef CLSA_BASE_MEM_H
#define CLSA_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLSA_CACHE_LINE 64
#define CLSA_HUGE_PAGE  ((size_t)2 << 20)

/* a * b and a + b; false when the result does not fit. */
static inline bool clsa_size_mul(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}

static inline bool clsa_size_add(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

static inline size_t clsa_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Zeroed memory for n elements, or NULL. n or size may be 0: not NULL. To be
   released by clsa_mem_free. */
void *clsa_mem_calloc(size_t n, size_t size);

/* Grow an array to n elements, as realloc. The old one stays on failure. */
void *clsa_mem_resize(void *old, size_t n, size_t size);

/* A copy of `size` bytes, followed by a NUL. */
char *clsa_mem_dup(const char *text, size_t size);

void clsa_mem_free(void *memory);

/* Bytes of a page of the system. */
size_t clsa_mem_page(void);

/*
 * Zeroed memory in whole pages, for weights, caches and scratch:
 * aligned to 64 bytes, and from 2 MiB up to huge pages and advised to be made
 * of them. NULL when refused.
 */
void *clsa_mem_map(size_t size);
void clsa_mem_unmap(void *memory, size_t size);

/* An arena: arrays taken from one block in order, each at a cache line. While
   the block is NULL their bytes are counted only. */
struct clsa_arena {
    void *block;
    size_t used;
};

/* The next array, of n elements; NULL while bytes are counted. */
static inline void *clsa_arena_take(struct clsa_arena *arena, size_t n,
                                    size_t size)
{
    size_t at = arena->used;
    arena->used += clsa_round_up(n * size, CLSA_CACHE_LINE);
    return arena->block ? (unsigned char *)arena->block + at : NULL;
}

#endif /* CLSA_BASE_MEM_H */
