/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: one generation that a client asked for, on its way through the
 * threads: body -> worker (parameters, prompts) -> engine (choices) -> output
 * -> client. Each thread that has it holds a reference.
 *
 * `out` and what follows it are shared under `lock`; the rest belongs to the
 * thread that has the request.
 */
#ifndef CLSA_SERVE_REQUEST_H
#define CLSA_SERVE_REQUEST_H

#include <jansson.h>
#include <stdatomic.h>
#include <time.h>

#include "clsa.h"
#include "src/serve/queue.h"
#include "src/serve/text.h"

/* Ranges of a request. */
#define SERVE_STOPS    16   /* stop texts */
#define SERVE_STOP_MAX 1024 /* bytes of one */
#define SERVE_BIASES   1024
#define SERVE_INPUTS   2048 /* prompts of a request for embeddings */
#define SERVE_BEST     20   /* log-probabilities of a place */
#define SERVE_OUT_MAX  ((size_t)64 << 10) /* bytes that wait for the client */

struct serve;
struct serve_model;

enum serve_kind {
    SERVE_CHAT,       /* of OpenAI */
    SERVE_COMPLETION, /* of OpenAI */
    SERVE_LLAMA,      /* a completion of llama-server */
    SERVE_OLLAMA_CHAT,
    SERVE_OLLAMA_TEXT,
    SERVE_EMBED, /* prompts whose states are pooled */
    SERVE_OLLAMA_EMBED,
    SERVE_TOKENIZE, /* from here on: nothing is generated */
    SERVE_DETOKENIZE,
    SERVE_TEMPLATE,
    SERVE_SHOW /* the model, as ollama shows it */
};

/* What is asked for, all of it checked. */
struct serve_params {
    clsa_sampler_options sampler;
    clsa_sampler_filters filters; /* biases: below */
    clsa_logit_bias biases[SERVE_BIASES];
    char *stops[SERVE_STOPS];
    size_t stop_count;
    uint64_t max_tokens;
    unsigned n;   /* choices of a prompt */
    int logprobs; /* best ones of each place; -1: none are wanted */
    bool max_given, seed_given, stream, include_usage, echo, ignore_eos;
    bool return_tokens, base64;
};

/* The tokens of a prompt. */
struct serve_prompt {
    int32_t *ids;
    size_t count;
    char *text; /* for echo, or NULL */
};

enum serve_state { SERVE_WAITING, SERVE_READING, SERVE_DECODING, SERVE_ENDED };

/* One answer to one prompt: a sequence of the scheduler. */
struct serve_choice {
    struct serve_request *request;
    unsigned index;
    enum serve_state state;
    const struct serve_prompt *prompt;
    int32_t *ids;  /* the prompt, and what was generated */
    size_t length; /* of them known; in the session: up to `read` */
    size_t read, generated, limit;
    size_t cached; /* tokens of the prompt that were in the cache */
    size_t branch; /* where a snapshot is to be taken while reading, or 0 */
    double *sum;   /* [width] of states, of an embedding, or NULL */
    size_t pooled; /* tokens up to the last one in it */
    clsa_session *session; /* while it runs */
    clsa_sampler *sampler;
    uint64_t started; /* order of admission */
    bool paused;      /* the client does not read */
    /* Text. */
    clsa_detokenizer decoder;
    struct serve_text held;       /* may become a stop text */
    struct serve_text text;       /* of an answer that is not streamed */
    json_t *places;               /* log-probabilities not sent yet, or NULL */
    size_t offset;                /* characters sent before, of text_offset */
    bool opened;                  /* its first event is sent */
    const char *finish;           /* why it ended, or NULL */
    const char *word;             /* the stop text that ended it, or NULL */
    size_t sent;                  /* generated tokens that events have told */
    double admitted, first, last; /* seconds: when it began to run, of its
                                     first and last token; 0: not yet */
    struct serve_choice *next;
};

struct serve_request {
    struct serve_link link;  /* in the queue of the next thread */
    struct serve_link ready; /* in the queue of the I/O thread */
    struct serve *server;
    const struct serve_model *of; /* what it asks; NULL: not known yet */
    atomic_uint references;
    enum serve_kind kind;
    bool is_chat; /* its prompt is messages */
    struct serve_text body;
    uint64_t key; /* number of the client's key, a root of the cache */
    struct serve_params params;
    struct serve_prompt *prompts;
    size_t prompt_count;
    struct serve_choice *choices;
    size_t choice_count, ended; /* ended: choices */
    size_t prompt_tokens;       /* all prompts, once each */
    char id[48];
    char *model; /* as the client calls it */
    time_t created;
    double arrived, queued, first; /* seconds, CLOCK_MONOTONIC; 0: not yet */
    atomic_bool cancelled;         /* nobody waits for it */
    atomic_bool began, late;       /* has run; a timeout ended it */
    bool failed;                   /* what it got is an error */
    _Atomic(clsa_session *) busy;  /* that reads its prompt now, or NULL */

    pthread_mutex_t lock;
    struct serve_text out;   /* bytes for the client */
    int status;              /* of HTTP; 0: not known yet */
    bool streams;            /* the answer is a stream of events */
    bool finished;           /* no more bytes come */
    bool counted;            /* one of server->pending, until it is finished */
    bool full;               /* the engine waits for room */
    void *connection;        /* who waits, for the I/O thread */
    unsigned retry;          /* seconds, for Retry-After; 0: none */
    size_t cached, answered; /* tokens, for the log */
};

/* Whether a request asks for embeddings. */
static inline bool serve_is_embed(const struct serve_request *request)
{
    return request->kind == SERVE_EMBED || request->kind == SERVE_OLLAMA_EMBED;
}

/* A request with one reference; NULL: no memory. */
struct serve_request *serve_request_new(struct serve *server);
void serve_request_hold(struct serve_request *request);
void serve_request_release(struct serve_request *request);

/* No more bytes come. */
void serve_request_finish(struct serve_request *request);

/* Nobody waits for it any more: it ends as soon as the engine sees it. */
void serve_request_cancel(struct serve_request *request);

/* Tell the I/O thread that there is something new. */
void serve_request_notify(struct serve_request *request);

/* End a request that has sent nothing with an error object, or one that streams
   with an error event. */
void serve_request_fail(struct serve_request *request, int status,
                        const char *type, const char *param, const char *code,
                        const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 6, 7)))
#endif
    ;

/* OpenAI's error object, with what `more` has, which is taken; `plain`: the
   message alone, as ollama tells it. Returns its text, to be freed, or NULL. */
char *serve_error_json(bool plain, const char *message, const char *type,
                       const char *param, const char *code, json_t *more);

/* End a request with a whole body, unless it has ended. */
void serve_request_settle(struct serve_request *request, int status,
                          const char *text);

/* A request that needs no engine has got its answer, which is taken. Returns
   false: it has failed. */
bool serve_request_answer(struct serve_request *request, json_t *answer);

double serve_seconds(void);

#endif /* CLSA_SERVE_REQUEST_H */
