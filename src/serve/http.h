/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: the thread of input and output. http.c runs the loop and watches
 * connections, guard.c decides who may ask at all, route.c what is asked for.
 */
#ifndef CLSA_SERVE_HTTP_H
#define CLSA_SERVE_HTTP_H

#include <microhttpd.h>

#include "src/serve/server.h"

#define SERVE_LISTENERS 8
#define SERVE_KEY_MAX   256 /* bytes of a key, and a NUL */

/* Limits of a request, and deadlines in seconds. */
#define SERVE_TARGET_MAX  8192 /* bytes of the path */
#define SERVE_FIELDS_MAX  64   /* header fields */
#define SERVE_HEAD_TIME   10
#define SERVE_BODY_TIME   30 /* and one for each 64 KiB */
#define SERVE_IDLE_TIME   75
#define SERVE_STALL_TIME  30 /* of a client that does not read */
#define SERVE_PING_TIME   15
#define SERVE_CONNECTIONS 512

struct serve_keys {
    char (*keys)[SERVE_KEY_MAX]; /* [count], padded with zeros */
    size_t count;
};

struct serve_listener {
    struct MHD_Daemon *daemon;
    int socket;
    bool is_local; /* a unix socket: permissions of files guard it */
};

/* Answers of a route with a status. */
struct serve_tally {
    const char *route;
    int status;
    unsigned long long count;
};

#define SERVE_TALLIES 256

struct serve_http {
    struct serve *server;
    struct serve_listener listeners[SERVE_LISTENERS];
    size_t listener_count;
    int epoll, signals;
    struct serve_connection *connections;
    unsigned connection_count;
    size_t calls; /* requests that are being answered */
    struct serve_keys keys;
    struct serve_tally tallies[SERVE_TALLIES];
    size_t tally_count;
    bool stops;   /* a second signal came */
    bool told;    /* that it is ready */
    int watchdog; /* ms, or 0 */
};

enum serve_wait {
    SERVE_WAIT_HEAD,
    SERVE_WAIT_BODY,
    SERVE_WAIT_ANSWER,
    SERVE_WAIT_NEXT
};

struct serve_connection {
    struct serve_http *http;
    struct MHD_Connection *mhd;
    int fd;
    bool is_local;
    enum serve_wait wait; /* for what */
    double since;
    struct serve_call *call; /* that is being answered */
    struct serve_connection *next, **at;
};

/* One request of HTTP. */
struct serve_call {
    struct serve_connection *connection;
    const struct serve_route *route;
    char method[16], path[128];
    struct serve_text body;
    struct serve_request *request; /* of a generation, or NULL */
    bool suspended, gone, answered, too_large;
    int status;
    double started, progress; /* progress: when bytes were taken last */
};

/* --------------------------------------------------------------- guard.c */

/* Read keys from a file, one a line; on failure `error` says why. */
bool serve_keys_read(struct serve_keys *keys, const char *path,
                     clsa_error *error);

/* Whether a request may be answered; else it has been refused. `key` receives
   the number of its key. */
bool serve_guard(struct serve_call *call, uint64_t *key);

/* --------------------------------------------------------------- route.c */

/* The head of a request has come: find its route, or refuse it. */
enum MHD_Result serve_route_head(struct serve_call *call, const char *url);

/* All of it has come. */
enum MHD_Result serve_route_body(struct serve_call *call);

/* It is over, with a status. */
void serve_route_count(const struct serve_call *call, int status);

/* --------------------------------------------------------------- reply.c */

/* Answer a call. `json` is copied; extra header, or NULL. */
enum MHD_Result serve_reply(struct serve_call *call, int status,
                            const char *type, const char *text, size_t size,
                            const char *header, const char *value);

/* Whether a path is ollama's, with errors in its words. */
bool serve_is_ollama(const char *path);

/* Answer with an error object. */
enum MHD_Result serve_reply_error(struct serve_call *call, int status,
                                  const char *type, const char *message);

/* Let the connection wait until its request has something. */
void serve_call_suspend(struct serve_call *call);
void serve_call_resume(struct serve_call *call);

/* Answer with what the request has, or wait for it. */
enum MHD_Result serve_call_answer(struct serve_call *call);

/* ---------------------------------------------------------------- http.c */

/* Serve until told to stop. */
bool serve_http_run(struct serve_http *http, clsa_error *error);

/* -------------------------------------------------------------- listen.c */

/* Open the sockets that the options ask for. SERVE_USAGE: a public address
   without a key. */
enum serve_result serve_listen(struct serve_http *http, clsa_error *error);
void serve_listen_close(struct serve_http *http);

#endif /* CLSA_SERVE_HTTP_H */
