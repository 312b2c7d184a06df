/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from thread to thread. */
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "src/serve/queue.h"

bool serve_queue_open(struct serve_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return queue->event >= 0 && pthread_mutex_init(&queue->lock, NULL) == 0;
}

void serve_queue_close(struct serve_queue *queue)
{
    if (queue->event >= 0)
        close(queue->event);
    pthread_mutex_destroy(&queue->lock);
}

void serve_queue_wake(struct serve_queue *queue)
{
    const uint64_t one = 1;
    if (write(queue->event, &one, sizeof one) < 0)
        return; /* it is as high as it can be: readable */
}

bool serve_queue_put(struct serve_queue *queue, struct serve_link *link)
{
    pthread_mutex_lock(&queue->lock);
    const bool put = !link->queued;
    if (put) {
        link->queued = true;
        link->next = NULL;
        *queue->last = link;
        queue->last = &link->next;
    }
    pthread_mutex_unlock(&queue->lock);
    if (put)
        serve_queue_wake(queue);
    return put;
}

struct serve_link *serve_queue_take(struct serve_queue *queue)
{
    uint64_t count;
    if (read(queue->event, &count, sizeof count) < 0)
        count = 0;
    pthread_mutex_lock(&queue->lock);
    struct serve_link *first = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    pthread_mutex_unlock(&queue->lock);
    return first;
}

struct serve_link *serve_queue_next(struct serve_queue *queue,
                                    struct serve_link **taken)
{
    struct serve_link *link = *taken;
    if (!link)
        return NULL;
    pthread_mutex_lock(&queue->lock);
    *taken = link->next;
    link->queued = false;
    pthread_mutex_unlock(&queue->lock);
    return link;
}

void serve_queue_wait(struct serve_queue *queue, int ms)
{
    struct pollfd wanted = {.fd = queue->event, .events = POLLIN};
    poll(&wanted, 1, ms);
}
