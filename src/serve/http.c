/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: libmicrohttpd in a loop of our own. Beside it, this thread watches each
 * descriptor for a client that leaves while nothing is sent to it, ends
 * connections that take too long, and lets answers go on when the engine has
 * something: a connection that waits is suspended, and costs nothing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/serve/dialect.h"
#include "src/serve/http.h"
#include "src/serve/log.h"
#include "src/serve/notify.h"

/* ----------------------------------------------------------------------- calls
 */

static struct serve_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void wait_for(struct serve_connection *c, enum serve_wait wait)
{
    c->wait = wait;
    c->since = serve_seconds();
}

static struct serve_call *open_call(struct serve_connection *c,
                                    const char *method, const char *url)
{
    struct serve_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->connection = c;
    call->started = c->since;
    snprintf(call->method, sizeof call->method, "%s", method);
    snprintf(call->path, sizeof call->path, "%s", url);
    c->call = call;
    c->http->calls++;
    return call;
}

/* A body that gets too large is read to its end, as the library takes no answer
   in the middle; the deadline of bodies holds for it. */
static bool take_body(struct serve_call *call, const char *data, size_t size)
{
    const struct serve_options *o = call->connection->http->server->options;
    if (call->answered || call->too_large) /* refused */
        return true;
    if (call->body.size + size > o->max_body) {
        call->too_large = true;
        serve_text_free(&call->body);
        return true;
    }
    serve_text_add(&call->body, data, size);
    return !call->body.failed;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *mhd,
                                  const char *url, const char *method,
                                  const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct serve_connection *c = connection_of(mhd);
    struct serve_call *call = *context;
    (void)user;
    (void)version;
    if (!c)
        return MHD_NO;
    if (!call) {
        call = *context = open_call(c, method, url);
        if (!call)
            return MHD_NO;
        wait_for(c, SERVE_WAIT_BODY);
        return serve_route_head(call, url);
    }
    if (*size > 0) {
        const bool taken = take_body(call, data, *size);
        *size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (call->answered)
        return MHD_YES;
    if (c->wait == SERVE_WAIT_BODY) {
        wait_for(c, SERVE_WAIT_ANSWER);
        if (call->too_large)
            return serve_reply_error(call, 413, "invalid_request_error",
                                     "the body is too large");
        return serve_route_body(call);
    }
    return serve_call_answer(call);
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct serve_call *call = *context;
    (void)user;
    (void)mhd;
    if (!call)
        return;
    struct serve_connection *c = call->connection;
    const bool whole = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    serve_log_call(call, whole);
    serve_route_count(call, whole ? call->status : 499);
    if (call->request) {
        call->request->connection = NULL;
        serve_request_cancel(call->request); /* it has ended, or must */
        serve_request_release(call->request);
    }
    serve_text_free(&call->body);
    c->http->calls--;
    c->call = NULL;
    wait_for(c, SERVE_WAIT_NEXT);
    free(call);
    *context = NULL;
}

/* ----------------------------------------------------------------- connections
 */

static void open_connection(struct serve_http *http, struct MHD_Connection *mhd,
                            void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct serve_connection *c = info ? calloc(1, sizeof *c) : NULL;
    const int one = 1;
    *context = c;
    if (!c)
        return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = c};
    *c = (struct serve_connection){
        .http = http, .mhd = mhd, .fd = info->connect_fd};
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    socklen_t size = sizeof address;
    getsockname(c->fd, (struct sockaddr *)&address, &size);
    c->is_local = address.ss_family == AF_UNIX;
    if (!c->is_local)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    wait_for(c, SERVE_WAIT_HEAD);
    c->next = http->connections;
    c->at = &http->connections;
    if (c->next)
        c->next->at = &c->next;
    http->connections = c;
    http->connection_count++;
    epoll_ctl(http->epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void on_connection(void *user, struct MHD_Connection *mhd,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct serve_http *http = user;
    struct serve_connection *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(http, mhd, context);
        return;
    }
    if (!c)
        return;
    epoll_ctl(http->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    http->connection_count--;
    free(c);
    *context = NULL;
}

/* The client is not there any more: what it asked for ends now. */
static void leave(struct serve_connection *c)
{
    if (!c->call || c->call->gone)
        return;
    c->call->gone = true;
    if (c->call->request)
        serve_request_cancel(c->call->request);
    serve_call_resume(c->call);
}

static void on_event(struct serve_connection *c, uint32_t events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        leave(c);
    else if (c->wait == SERVE_WAIT_NEXT)
        wait_for(c, SERVE_WAIT_HEAD); /* its next request begins */
}

/* ------------------------------------------------------------------- deadlines
 */

/* Nothing has been answered: say why, past the library. */
static void expire(struct serve_connection *c)
{
    static const char answer[] =
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
        "Content-Length: 0\r\n\r\n";
    if (c->wait != SERVE_WAIT_NEXT)
        send(c->fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(c->fd, SHUT_RDWR);
}

/* A stream that is quiet says that it is there; one that nobody reads ends. */
static void check_stream(struct serve_connection *c, double now)
{
    struct serve_call *call = c->call;
    struct serve_request *r = call ? call->request : NULL;
    bool ping = false, stalled;
    if (!r || !call->answered || now - call->progress < SERVE_PING_TIME)
        return;
    pthread_mutex_lock(&r->lock);
    stalled = (r->out.size > 0 || !r->streams) && !call->suspended;
    if (r->streams && !r->finished && r->out.size == 0 &&
        serve_dialect_of(r->kind)->mark) { /* others know no comments */
        serve_text_print(&r->out, ": ping\n\n");
        ping = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (ping)
        serve_call_resume(call);
    else if (stalled && now - call->progress > SERVE_STALL_TIME) {
        leave(c);
        shutdown(c->fd, SHUT_RDWR);
    }
}

/* Limits of time that the operator has set. */
static void check_age(struct serve_connection *c, double now)
{
    const struct serve_options *o = c->http->server->options;
    struct serve_request *r = c->call ? c->call->request : NULL;
    if (!r || atomic_load(&r->cancelled))
        return;
    const double age = now - r->arrived;
    const bool waits = o->queue_timeout > 0 && !atomic_load(&r->began) &&
                       age > o->queue_timeout;
    if (!waits && (o->request_timeout == 0 || age <= o->request_timeout))
        return;
    serve_request_fail(r, 504, "timeout_error", NULL,
                       waits ? "queue_timeout" : "request_timeout",
                       waits ? "no place was free for %u seconds"
                             : "the answer took more than %u seconds",
                       waits ? o->queue_timeout : o->request_timeout);
    atomic_store(&r->late, true);
    serve_request_cancel(r);
}

static void check_deadlines(struct serve_http *http)
{
    const double now = serve_seconds();
    for (struct serve_connection *c = http->connections, *next; c; c = next) {
        const double waited = now - c->since;
        const size_t body = c->call ? c->call->body.size : 0;
        next = c->next;
        if ((c->wait == SERVE_WAIT_HEAD && waited > SERVE_HEAD_TIME) ||
            (c->wait == SERVE_WAIT_NEXT && waited > SERVE_IDLE_TIME) ||
            (c->wait == SERVE_WAIT_BODY &&
             waited > SERVE_BODY_TIME + (double)(body >> 16)))
            expire(c);
        else if (c->wait == SERVE_WAIT_ANSWER) {
            check_age(c, now);
            check_stream(c, now);
        }
    }
}

/* ------------------------------------------------------------------------ loop
 */

static void take_ready(struct serve_http *http)
{
    struct serve_queue *queue = &http->server->ready;
    struct serve_link *taken = serve_queue_take(queue), *link;
    while ((link = serve_queue_next(queue, &taken))) {
        struct serve_request *r =
            (struct serve_request *)(void *)((char *)link -
                                             offsetof(struct serve_request,
                                                      ready));
        if (r->connection)
            serve_call_resume(r->connection);
        serve_request_release(r);
    }
}

static void drain(struct serve_http *http)
{
    int ready = SERVE_READY, loading = SERVE_LOADING;
    struct serve *s = http->server;
    if (atomic_compare_exchange_strong(&s->phase, &loading, SERVE_DRAINING)) {
        atomic_store(&s->saved, true); /* there is nothing yet */
    } else if (!atomic_compare_exchange_strong(&s->phase, &ready,
                                               SERVE_DRAINING)) {
        http->stops = true;
        return;
    }
    serve_queue_wake(&s->inbox);
    serve_notify("STOPPING=1");
    http->server->options->say("stopping: what was asked for is answered");
    for (size_t i = 0; i < http->listener_count; i++)
        MHD_quiesce_daemon(http->listeners[i].daemon);
    serve_listen_close(http);
}

static void take_signals(struct serve_http *http)
{
    struct signalfd_siginfo info;
    clsa_error error;
    while (read(http->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGHUP) {
            drain(http);
            continue;
        }
        const char *path = http->server->options->key_file;
        if (!path)
            continue;
        if (serve_keys_read(&http->keys, path, &error))
            http->server->options->say("keys: read again");
        else
            http->server->options->say(error.message);
    }
}

/* Once, when requests are answered. */
static void tell_ready(struct serve_http *http)
{
    if (http->told || atomic_load(&http->server->phase) != SERVE_READY)
        return;
    http->told = true;
    serve_notify("READY=1");
    http->server->options->say("ready");
}

/* A sign of life, unless the engine has work and was not seen. */
static void tell_alive(const struct serve_http *http)
{
    const struct serve_counts *c = &http->server->counts;
    const double seen = (double)atomic_load(&c->beat_ms) / 1e3;
    const bool idle =
        atomic_load(&c->running) == 0 && atomic_load(&c->waiting) == 0;
    if (http->watchdog > 0 && (idle || serve_seconds() - seen < 30))
        serve_notify("WATCHDOG=1");
}

/* Until when epoll may wait, in ms; -1: for ever. */
static int next_time(const struct serve_http *http)
{
    int wait = http->connection_count > 0 ? 1000 : -1;
    if (http->watchdog > 0 && (wait < 0 || http->watchdog < wait))
        wait = http->watchdog;
    for (size_t i = 0; i < http->listener_count; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        if (MHD_get_timeout(http->listeners[i].daemon, &ms) == MHD_YES &&
            (wait < 0 || ms < (MHD_UNSIGNED_LONG_LONG)wait))
            wait = (int)ms;
    }
    return wait;
}

static void dispatch(struct serve_http *http, const struct epoll_event *event)
{
    void *at = event->data.ptr;
    if (at == &http->signals)
        take_signals(http);
    else if (at == &http->server->ready)
        take_ready(http);
    else if (at)
        on_event(at, event->events);
}

/* Whether there is a reason to go on. */
static bool goes_on(const struct serve_http *http)
{
    const int phase = atomic_load(&http->server->phase);
    if (http->stops || phase == SERVE_STOPPED)
        return false;
    return phase != SERVE_DRAINING || http->calls > 0 ||
           atomic_load(&http->server->pending) > 0 ||
           !atomic_load(&http->server->saved);
}

static void loop(struct serve_http *http)
{
    struct epoll_event events[64];
    double checked = serve_seconds();
    while (goes_on(http)) {
        const int n = epoll_wait(http->epoll, events, 64, next_time(http));
        for (int i = 0; i < n; i++)
            dispatch(http, &events[i]);
        for (size_t i = 0; i < http->listener_count; i++)
            MHD_run(http->listeners[i].daemon);
        tell_ready(http);
        if (serve_seconds() - checked >= 1) {
            checked = serve_seconds();
            check_deadlines(http);
            tell_alive(http);
        }
    }
}

/* ----------------------------------------------------------------------- start
 */

static struct MHD_Daemon *open_daemon(struct serve_http *http, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
        http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)SERVE_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)48 << 10, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
}

static bool watch(const struct serve_http *http, int fd, const void *what)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.ptr = (void *)(uintptr_t)what};
    return fd >= 0 && epoll_ctl(http->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_daemons(struct serve_http *http)
{
    for (size_t i = 0; i < http->listener_count; i++) {
        struct serve_listener *l = &http->listeners[i];
        l->daemon = open_daemon(http, l->socket);
        const union MHD_DaemonInfo *info =
            l->daemon ? MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)
                      : NULL;
        if (!info || !watch(http, info->listen_fd, NULL))
            return false;
    }
    return true;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void stop(struct serve_http *http)
{
    for (struct serve_connection *c = http->connections; c; c = c->next)
        leave(c);
    for (size_t i = 0; i < http->listener_count; i++)
        if (http->listeners[i].daemon) {
            MHD_run(http->listeners[i].daemon);
            MHD_stop_daemon(http->listeners[i].daemon);
        }
    take_ready(http);
}

bool serve_http_run(struct serve_http *http, clsa_error *error)
{
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    http->signals = open_signals();
    http->watchdog = serve_notify_watchdog();
    const bool ready =
        http->epoll >= 0 && watch(http, http->signals, &http->signals) &&
        watch(http, http->server->ready.event, &http->server->ready) &&
        open_daemons(http);
    if (ready)
        loop(http);
    else
        snprintf(error->message, sizeof error->message,
                 "cannot watch the sockets: %s", strerror(errno));
    stop(http);
    if (http->signals >= 0)
        close(http->signals);
    if (http->epoll >= 0)
        close(http->epoll);
    return ready;
}
