/* SPDX-License-Identifier: Apache-2.0 */
/* serve: sockets first, so that what is wrong with them is known at once; then
   the threads; then input and output, until it is told to stop. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/http.h"

struct threads {
    pthread_t worker, engine;
    bool has_worker, has_engine;
};

static bool open_queues(struct serve *s)
{
    return serve_queue_open(&s->parse) && serve_queue_open(&s->inbox) &&
           serve_queue_open(&s->ready);
}

static void close_queues(struct serve *s)
{
    serve_queue_close(&s->parse);
    serve_queue_close(&s->inbox);
    serve_queue_close(&s->ready);
}

/* Signals are for the loop alone. */
static void block_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, before);
}

static void start(struct serve *s, struct threads *threads)
{
    threads->has_worker =
        pthread_create(&threads->worker, NULL, serve_worker_run, s) == 0;
    threads->has_engine =
        threads->has_worker &&
        pthread_create(&threads->engine, NULL, serve_engine_run, s) == 0;
}

/* What waits in a queue has a reference that nobody takes any more. */
static void release_queue(struct serve_queue *queue)
{
    struct serve_link *taken = serve_queue_take(queue), *link;
    while ((link = serve_queue_next(queue, &taken)))
        serve_request_release((struct serve_request *)(void *)link);
}

static void stop(struct serve *s, const struct threads *threads)
{
    void *model = NULL;
    atomic_store(&s->phase, SERVE_STOPPED);
    serve_queue_wake(&s->parse);
    serve_queue_wake(&s->inbox);
    if (threads->has_worker)
        pthread_join(threads->worker, NULL);
    if (threads->has_engine)
        pthread_join(threads->engine, &model);
    release_queue(&s->parse);
    release_queue(&s->inbox);
    for (size_t i = 0; i < s->options->model_count; i++)
        if (s->models[i].text != model)
            clsa_model_close(s->models[i].text);
    clsa_model_close(model);
}

static bool run(struct serve_http *http, clsa_error *message)
{
    struct serve *s = http->server;
    struct threads threads = {.has_worker = false};
    sigset_t before;
    block_signals(&before);
    start(s, &threads);
    bool done = threads.has_engine;
    if (!done)
        snprintf(message->message, sizeof message->message,
                 "cannot start a thread");
    else
        done = serve_http_run(http, message);
    stop(s, &threads);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (done && s->error.status) { /* the model could not be loaded */
        *message = s->error;
        return false;
    }
    return done;
}

enum serve_result serve_run(const struct serve_options *options,
                            clsa_error *message)
{
    struct serve *s = calloc(1, sizeof *s);
    struct serve_http http = {.server = s, .epoll = -1, .signals = -1};
    enum serve_result result = SERVE_FAILED;
    message->status = CLSA_ERR_IO;
    snprintf(message->message, sizeof message->message, "out of memory");
    if (!s)
        return SERVE_FAILED;
    s->options = options;
    atomic_init(&s->saved, !options->cache_dir);
    if (open_queues(s) &&
        (!options->key_file ||
         serve_keys_read(&http.keys, options->key_file, message)))
        result = serve_listen(&http, message);
    if (result == SERVE_DONE && !run(&http, message))
        result = SERVE_FAILED;
    serve_listen_close(&http);
    close_queues(s);
    free(http.keys.keys);
    free(s);
    return result;
}
