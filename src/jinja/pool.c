/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks; large requests get one of their own. */
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/jinja/pool.h"

#define ALIGN alignof(max_align_t)
#define BLOCK ((size_t)16 << 10)

struct clsa_pool_block {
    struct clsa_pool_block *next;
    alignas(max_align_t) unsigned char data[];
};

static enum clsa_pool_result add_block(struct clsa_pool *pool, size_t size)
{
    if (size > pool->limit || pool->taken > pool->limit - size)
        return CLSA_POOL_LIMIT;
    struct clsa_pool_block *block =
        clsa_mem_calloc(1, sizeof(struct clsa_pool_block) + size);
    if (!block)
        return CLSA_POOL_REFUSED;
    block->next = pool->blocks;
    pool->blocks = block;
    pool->used = 0;
    pool->size = size;
    pool->taken += size;
    return CLSA_POOL_DONE;
}

/* A block of its own, after the newest one, which stays in use. */
static enum clsa_pool_result take_large(struct clsa_pool *pool, size_t size,
                                        void **memory)
{
    struct clsa_pool_block *newest = pool->blocks;
    const size_t used = pool->used, room = pool->size;
    enum clsa_pool_result result = add_block(pool, size);
    if (result != CLSA_POOL_DONE)
        return result;
    struct clsa_pool_block *own = pool->blocks;
    *memory = own->data;
    pool->used = pool->size;
    if (newest) {
        own->next = newest->next;
        newest->next = own;
        pool->blocks = newest;
        pool->used = used;
        pool->size = room;
    }
    return CLSA_POOL_DONE;
}

enum clsa_pool_result clsa_pool_take(struct clsa_pool *pool, size_t size,
                                     void **memory)
{
    if (size > SIZE_MAX / 2)
        return CLSA_POOL_LIMIT;
    size = clsa_round_up(size ? size : 1, ALIGN);
    if (size > BLOCK / 4)
        return take_large(pool, size, memory);
    if (!pool->blocks || size > pool->size - pool->used) {
        enum clsa_pool_result result = add_block(pool, BLOCK);
        if (result != CLSA_POOL_DONE)
            return result;
    }
    *memory = pool->blocks->data + pool->used;
    pool->used += size;
    return CLSA_POOL_DONE;
}

void clsa_pool_free(struct clsa_pool *pool)
{
    while (pool->blocks) {
        struct clsa_pool_block *next = pool->blocks->next;
        clsa_mem_free(pool->blocks);
        pool->blocks = next;
    }
    pool->used = pool->size = pool->taken = 0;
}
