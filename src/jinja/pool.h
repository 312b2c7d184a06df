/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: memory of one template or of one rendering, released all at once. It
 * has a limit, so that a template cannot take the memory of the machine.
 */
#ifndef CLSA_JINJA_POOL_H
#define CLSA_JINJA_POOL_H

#include <stddef.h>

struct clsa_pool {
    struct clsa_pool_block *blocks;
    size_t used, size; /* of the newest block */
    size_t taken;      /* bytes of all blocks */
    size_t limit;      /* bytes at most */
};

enum clsa_pool_result { CLSA_POOL_DONE, CLSA_POOL_LIMIT, CLSA_POOL_REFUSED };

/* Zeroed memory, aligned for any value. */
enum clsa_pool_result clsa_pool_take(struct clsa_pool *pool, size_t size,
                                     void **memory);
void clsa_pool_free(struct clsa_pool *pool);

#endif /* CLSA_JINJA_POOL_H */
