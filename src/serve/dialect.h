/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialect: in whose words a request is answered: OpenAI's, llama-server's or
 * ollama's. The worker reads a body through it, the engine thread writes
 * answers with it; both know nothing of the words.
 */
#ifndef CLSA_SERVE_DIALECT_H
#define CLSA_SERVE_DIALECT_H

#include "src/serve/request.h"

struct serve_dialect {
    const char *type;           /* Content-Type of a stream */
    const char *before, *after; /* an event of a stream */
    bool plain_errors;          /* {"error": TEXT} instead of an object */

    /* The body in the words of OpenAI, a new reference; NULL: the request has
       failed, or is answered. NULL instead of a function: it is so already. */
    json_t *(*read)(struct serve_request *request, json_t *body);

    /* Events of a stream, or NULL: none. The first one of a choice, before any
       token; a piece of its text, which is taken; the one after its last
       piece. Without `last` a piece is sent for the end, too, though it may be
       empty. */
    json_t *(*open)(struct serve_choice *choice);
    json_t *(*piece)(struct serve_choice *choice, json_t *text);
    json_t *(*last)(struct serve_choice *choice);

    /* What ends a stream, or NULL, and the whole answer if it is none. */
    json_t *(*end)(struct serve_request *request);
    const char *mark; /* after it, or NULL */
    json_t *(*answer)(struct serve_request *request);
};

extern const struct serve_dialect serve_openai, serve_llama, serve_ollama;
extern const struct serve_dialect serve_embeddings, serve_ollama_embeddings;

/* The dialect of a kind of request. */
const struct serve_dialect *serve_dialect_of(enum serve_kind kind);

/* ---------------------------------------------------------------- openai.c */

/* Log-probabilities of the tokens since the last time, taken from the choice,
   or NULL: a list of {"token", "logprob", "bytes", "top_logprobs"}. */
json_t *serve_places_take(struct serve_choice *choice);

/* The text of a choice whose answer is no stream. */
json_t *serve_choice_text(const struct serve_choice *choice);

/* Tokens of the prompts that came from the cache. */
size_t serve_request_cached(const struct serve_request *request);

/* ---------------------------------------------------------------- ollama.c */

/* The models, and the model with the keys of its file. */
json_t *serve_ollama_models(const struct serve *server);
json_t *serve_ollama_show(const struct serve_model *model);

/* --------------------------------------------------------------- params.c */

/* Whether the value of a field that cannot be done asks for nothing. */
bool serve_asks_nothing(const json_t *value);

/* Refuse a field of a body; returns false. */
bool serve_refuse(struct serve_request *request, const char *param,
                  const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

#endif /* CLSA_SERVE_DIALECT_H */
