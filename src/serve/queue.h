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
    bool queued; /* in a queue, or taken and still to come */
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

/* All entries in order, for serve_queue_next. */
struct serve_link *serve_queue_take(struct serve_queue *queue);

/* The next of the entries that were taken, or NULL. From now on it may be put
   again, while the others wait for their turn: a writer never changes links
   that the reader still follows. */
struct serve_link *serve_queue_next(struct serve_queue *queue,
                                    struct serve_link **taken);

/* Wake the reader with nothing. */
void serve_queue_wake(struct serve_queue *queue);

/* Wait until the reader is woken, or for so many ms; -1: for ever. */
void serve_queue_wait(struct serve_queue *queue, int ms);

#endif /* CLSA_SERVE_QUEUE_H */
