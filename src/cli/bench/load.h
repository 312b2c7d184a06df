/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: what bench serve asks a server for, and what it measures. load.c makes
 * requests and waits for them, answer.c reads the streams that come back,
 * serve.c is the command.
 */
#ifndef CLSA_CLI_BENCH_LOAD_H
#define CLSA_CLI_BENCH_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/cli/files.h"

#define LOAD_WHY 300 /* bytes of a message */

/* ---------------------------------------------------------------- answer.c */

/* Numbers of one kind. */
struct load_samples {
    double *values; /* [count] */
    size_t count, capacity;
    bool failed; /* one is missing, for want of memory */
};

void load_samples_add(struct load_samples *samples, double value);

/* The value that a share of them does not exceed, of at least one; they are
   sorted by it. */
double load_samples_at(struct load_samples *samples, double share);

/* The answer to one request, as it comes. Seconds are of cli_seconds. */
struct load_answer {
    double asked, first, last; /* first, last: of its pieces, 0: none yet */
    uint64_t pieces;
    uint64_t prompt_tokens, cached_tokens, tokens; /* as the server counts */
    bool done;                                     /* nothing is missing */
    bool failed;                                   /* it told of an error */
    char why[LOAD_WHY];
    struct cli_text line; /* that has begun */
};

/* Bytes of the stream that came at `now`; gaps between pieces are added. False:
   there is no memory. */
bool load_answer_take(struct load_answer *answer, const char *data, size_t size,
                      double now, struct load_samples *gaps);

/* What an error object says, or the beginning of another text. */
void load_error_text(const char *data, size_t size, char why[LOAD_WHY]);

/* ------------------------------------------------------------------ load.c */

struct load_options {
    const char *url;   /* with /v1 */
    const char *key;   /* or NULL */
    const char *model; /* name for the server */
    uint64_t clients;  /* 0: requests come at a rate */
    double rate;       /* in a second, by chance, if there are no clients */
    uint64_t requests, words, tokens, seed;
    bool completions;          /* no chats */
    double slo_ttft, slo_tpot; /* ms, 0: any */
};

struct load_result {
    struct load_samples ttft, tpot, itl, e2e; /* ms */
    uint64_t completed, errors, good;         /* good: within the limits */
    uint64_t prompt_tokens, cached_tokens, output_tokens;
    uint64_t most; /* requests at once */
    double seconds;
    char why[LOAD_WHY]; /* the first error */
};

/* The names of the models of a server, of which the first is taken; to be
   freed. Reports failures. */
int load_model_name(const struct load_options *options, char **name);

/* Tokens of a prompt of so many words, of the server's count. Reports failures.
 */
int load_count_prompt(const struct load_options *options, uint64_t words,
                      uint64_t *tokens);

/* Ask for everything, and wait for it. Failed requests are counted; what keeps
   all of them from being made is reported. */
int load_run(const struct load_options *options, struct load_result *result);
void load_result_free(struct load_result *result);

#endif /* CLSA_CLI_BENCH_LOAD_H */
