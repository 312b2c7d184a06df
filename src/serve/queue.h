/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: requests from some threads to one, which is woken through an eventfd.
 * Entries are links inside of what is queued: putting cannot fail.
 */
#ifndef CLSA_SERVE_QUEUE_H
#define CLSA_SERVE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

struct serve_link {
    struct serve_link *next;
    bool queued; /* in a queue now */
};

struct serve_queue {
    pthread_mutex_t lock;
    struct serve_link *first, **last;
    int event; /* readable after something was put, or woken */
};

bool serve_queue_open(struct serve_queue *queue);
void serve_queue_close(struct serve_queue *queue);

/* Put an entry at the end, unless it is in the queue. Returns whether it was
   put. */
bool serve_queue_put(struct serve_queue *queue, struct serve_link *link);

/* All entries in order, linked by `next`; none of them is queued any more. */
struct serve_link *serve_queue_take(struct serve_queue *queue);

/* Wake the reader with nothing. */
void serve_queue_wake(struct serve_queue *queue);

/* Wait until the reader is woken, or for so many ms; -1: for ever. */
void serve_queue_wait(struct serve_queue *queue, int ms);

#endif /* CLSA_SERVE_QUEUE_H */
