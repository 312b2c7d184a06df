/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the state of a server that its threads share. The engine thread owns
 * the model in memory: others tokenize with the text parts of all models, and
 * ask for their properties.
 */
#ifndef CLSA_SERVE_SERVER_H
#define CLSA_SERVE_SERVER_H

#include "src/serve/request.h"
#include "src/serve/serve.h"

/* How far the server is. */
enum serve_phase { SERVE_LOADING, SERVE_READY, SERVE_DRAINING, SERVE_STOPPED };

/* Times by ranges: counts of those up to each of serve_bounds, and above. */
#define SERVE_BOUNDS 17
struct serve_histogram {
    atomic_ullong counts[SERVE_BOUNDS + 1];
    atomic_ullong sum_us;
};

/* Counts for /metrics; written by one thread each, read by any. */
struct serve_counts {
    atomic_ullong prompt_tokens, cached_tokens, generated_tokens;
    atomic_ullong succeeded, failed, cancelled, late, preempted;
    atomic_ullong cache_queries, cache_hits, evictions;
    atomic_ullong cache_bytes, cache_tokens, cache_entries;
    atomic_ullong disk_hits, disk_bytes, disk_files;
    atomic_ullong memory_taken, memory_limit;
    atomic_ullong decode_steps, decode_tokens, stalls;
    atomic_uint waiting, running, reading;
    atomic_ullong step_us, chunk_us; /* the last ones */
    atomic_ullong beat_ms;           /* when the engine was seen last */
    struct serve_histogram first, gap, queue, whole; /* seconds */
};

/* How states of tokens make one embedding; the numbers are those of the key
   ARCHITECTURE.pooling_type. */
enum serve_pooling {
    SERVE_POOL_NONE,
    SERVE_POOL_MEAN,
    SERVE_POOL_CLS, /* of the first token */
    SERVE_POOL_LAST
};

/* A model that clients can ask for. From SERVE_READY on it stays as it is,
   whether its weights are in memory or not. */
struct serve_model {
    const char *path;
    char name[256];   /* for clients */
    clsa_model *text; /* its text part: anybody tokenizes and renders with it */
    clsa_model_info info;
    uint64_t context; /* of each request */
    enum serve_pooling pooling;
};

struct serve {
    const struct serve_options *options;
    struct serve_model models[SERVE_MODELS_MAX];
    size_t model_count;
    clsa_model *loaded; /* in memory, or NULL; of the engine thread */
    bool exact;         /* prompts are read with the kernels of decoding */
    atomic_int phase;
    atomic_uint pending; /* requests that wait or run */
    atomic_bool saved;   /* nothing of the cache is to be written any more */
    clsa_error error;    /* why loading failed, before SERVE_STOPPED */
    struct serve_queue parse, inbox, ready; /* to worker, engine, I/O */
    struct serve_counts counts;
};

/* The thread that parses, and the one that computes; `server` is a struct serve
 *. They end when the phase is SERVE_STOPPED and they are woken. */
void *serve_worker_run(void *server);
void *serve_engine_run(void *server);

/* params.c: those that a body gets that asks for nothing. */
void serve_params_init(struct serve_params *params);

/* params.c: the fields of a body. On failure the request has failed. */
bool serve_params_read(struct serve_request *request, json_t *body);

/* prompt.c: the tokens that the body gives. The same. */
bool serve_prompts_read(struct serve_request *request, json_t *body);

/* The text that the chat template makes of the messages of a body, to be
   released by clsa_free; NULL: the request has failed. */
char *serve_prompt_render(struct serve_request *request, json_t *body);

/* worker.c: read the body of a request. False: nothing is to be generated, as
   it has failed or is answered. */
bool serve_body_read(struct serve_request *request);

/* texts.c: answer a request that generates nothing, or let it fail. */
bool serve_texts_run(struct serve_request *request, json_t *body);

/* embed.c: the pooling that the model file names. */
void serve_pooling_find(struct serve_model *model);

/* How the next `count` tokens of an embedding are read; mask: [count]. */
void serve_embed_want(struct serve_choice *choice, size_t count, uint8_t *mask,
                      clsa_append_options *how);

/* ollama.c: the value of a key of the model file as text, or "". */
void serve_model_key(const clsa_model *model, const char *wanted, char *value,
                     size_t capacity);

/* places.c: add the log-probabilities of a token. */
void serve_places_add(struct serve_choice *choice, int32_t id,
                      const float *logits);

/* events.c: the first event of a stream, before any token. */
void serve_choice_open(struct serve_choice *choice);

/* What becomes of a choice's tokens. `id` is the next one, `logits`
   those that it was chosen from; sets choice->finish if the answer ends. */
void serve_choice_take(struct serve_choice *choice, int32_t id,
                       const float *logits);

/* The answer ends, because of `finish` if no reason is set. */
void serve_choice_end(struct serve_choice *choice, const char *finish);

/* All choices have ended: the end of the stream, or the whole answer. */
void serve_answer_finish(struct serve_request *request);

/* metrics.c: count a time. */
void serve_histogram_add(struct serve_histogram *histogram, double seconds);

/* Text of /metrics. */
void serve_metrics_print(const struct serve *server, struct serve_text *text);

#endif /* CLSA_SERVE_SERVER_H */
