/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: work items that the threads of a region share, and the end of all of
 * them. Every thread runs the same loops in the same order:
 *
 *   struct clsa_loop loop = clsa_loop(worker, n);
 *   while (clsa_loop_next(&loop))
 *       for (size_t i = loop.begin; i < loop.end; i++)
 *           ...
 *
 * After the loop all items of all threads are done, and seen by all. A loop
 * may have several parts: items of several kinds, or of several matrices.
 *
 * Each thread has a share of each part: contiguous, and the same from loop to
 * loop for the same n, so that its memory can lie near. It takes its share in
 * chunks. A thread that is done takes chunks from the ends of the shares of
 * others, and a loop is over as soon as its items are, whoever did them: a
 * thread that has lost its CPU may find loops over when it comes to them, and
 * passes them by. Therefore
 *
 * - what an item leaves may not depend on the thread, other than in memory of
 *   the thread's own;
 * - all that a thread reads outside of items, in between, is the same from the
 *   last loop that wrote it until the end of the region: numbers of items
 *   first of all. Inside of an item it may read what earlier loops wrote;
 * - nothing is written outside of items, but memory of the thread's own.
 */
#ifndef CLSA_BASE_LOOP_H
#define CLSA_BASE_LOOP_H

#include "src/base/team.h"

/* The most parts of a loop. */
#define CLSA_LOOP_PARTS 6

/* Items of a part that lie on a memory node, with the context of the part. */
typedef size_t clsa_items_on_node(const void *context, unsigned node,
                                  unsigned nodes);

struct clsa_loop {
    /* What to do after clsa_loop_next: items begin..end - 1 of a part. In a
       part that is spread over nodes they are numbered on the node. */
    unsigned part, node;
    size_t begin, end;

    /* Private. */
    const struct clsa_worker *w;
    unsigned parts, owner; /* owner: whose share is worked at */
    struct {
        size_t n;
        clsa_items_on_node *on_node;
        const void *context;
    } items[CLSA_LOOP_PARTS];
    size_t at, stop; /* taken of the owner's share of all parts */
    uint64_t number, did;
    bool begun, own_taken, steals, all_taken, over;
};

/* A loop without parts yet. */
static inline struct clsa_loop clsa_loop_open(const struct clsa_worker *w)
{
    return (struct clsa_loop){.w = w};
}

/* One more part, of n items, before the first call of clsa_loop_next. */
static inline void clsa_loop_add(struct clsa_loop *loop, size_t n)
{
    loop->items[loop->parts++].n = n;
}

/* The same for items in memory of several nodes: a thread's share is of its own
   node. With one node this is clsa_loop_add. */
void clsa_loop_spread(struct clsa_loop *loop, clsa_items_on_node *on_node,
                      const void *context);

/* A loop of one part. */
static inline struct clsa_loop clsa_loop(const struct clsa_worker *w, size_t n)
{
    struct clsa_loop loop = clsa_loop_open(w);
    clsa_loop_add(&loop, n);
    return loop;
}

/* The next items for this thread; false when all are done, by all. */
bool clsa_loop_next(struct clsa_loop *loop);

/* Items of memory in pages of `each` items, page p on node p % nodes: how many
   of n lie on a node, and the number of the i-th of them among all. */
static inline size_t clsa_pages_on_node(size_t n, size_t each, unsigned node,
                                        unsigned nodes)
{
    const size_t full = n / each, mine = full / nodes + (node < full % nodes);
    return mine * each + (full % nodes == node ? n % each : 0);
}

static inline size_t clsa_pages_item(size_t i, size_t each, unsigned node,
                                     unsigned nodes)
{
    return (i / each * nodes + node) * each + i % each;
}

#endif /* CLSA_BASE_LOOP_H */
