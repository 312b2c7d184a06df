/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve: a model for everybody on the network, over HTTP in the dialect of
 * OpenAI. Uses the public interface of the library, jansson and libmicrohttpd.
 *
 * Three threads: the caller's does all input and output and never computes; one
 * owns the model, runs the scheduler and computes; one parses, renders and
 * tokenizes requests. They hand requests on through queues.
 */
#ifndef CLSA_SERVE_SERVE_H
#define CLSA_SERVE_SERVE_H

#include <stdbool.h>

#include "clsa.h"

#define SERVE_MODELS_MAX 64

/* What `clsa serve` is asked for. */
struct serve_options {
    const char *const *models; /* [model_count] files; 1 to SERVE_MODELS_MAX */
    size_t model_count;
    uint32_t keep_alive; /* seconds that a model stays that nobody asks; 0: for
                            ever */
    clsa_model_options model_options;
    clsa_session_options session_options; /* context 0: the model's */
    const char *host;                     /* address */
    uint32_t port;                        /* 0: any that is free */
    const char *unix_path;                /* a socket too, or NULL */
    const char *key_file;                 /* one key a line, or NULL */
    bool allow_no_key;                    /* on public addresses */
    uint32_t max_seqs, max_queue;
    uint32_t queue_timeout, request_timeout; /* seconds until a request runs,
                                                and ends; 0: any */
    uint32_t max_stall; /* ms that running streams wait for prompts */
    uint32_t max_choices;
    uint64_t max_body;       /* bytes */
    uint64_t cache;          /* bytes of snapshots at most; UINT64_MAX: what the
                                memory limit leaves; 0: none */
    const char *cache_dir;   /* folder that keeps snapshots, or NULL */
    uint64_t cache_dir_size; /* bytes of its files at most */
    const char *alias;       /* name of the model; NULL: as the file says */
    /* A line for the user, and for the log of requests. From any thread. */
    void (*say)(const char *line);
};

enum serve_result { SERVE_DONE, SERVE_FAILED, SERVE_USAGE };

/* Serve until a signal says to stop. `message` receives a line about what
   failed. Takes SIGTERM, SIGINT and SIGHUP. */
enum serve_result serve_run(const struct serve_options *options,
                            clsa_error *message);

#endif /* CLSA_SERVE_SERVE_H */
