/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reading: a text that a model has read densely, and what was seen meanwhile:
 * queries of some tokens in all layers that read a cache, inputs of all tokens
 * in some layers. Together with the K rows in the caches this gives the
 * attention of these tokens, which is what an index learns and what anchors
 * are chosen by.
 *
 * Shapes: n tokens of the text, m queries, L layers, d hidden, e head size.
 */
#ifndef CLSA_TRAIN_READING_H
#define CLSA_TRAIN_READING_H

#include "src/engine/observe.h"

/* What is kept of a text. */
struct clsa_reading_want {
    const uint32_t *position; /* [m] tokens whose queries are kept, ascending */
    size_t count;             /* m */
    const bool *inputs;       /* [L] layers whose norm(x) is kept; NULL: none */
};

struct clsa_reading {
    struct clsa_model *model;
    struct clsa_session *session; /* policy dense, rows in the caches */
    struct clsa_observer observer;
    size_t capacity;    /* tokens that fit */
    size_t n, m;        /* tokens read, queries kept */
    uint32_t *position; /* [m] of the queries */
    uint32_t *place;    /* [n] number of a token's query, or CLSA_NO_QUERY */
    float **q;          /* [L]: [m][h e], times the scale; NULL: no cache */
    float **input;      /* [L]: [n][d]; NULL: not kept */
    float *scratch;     /* [threads][capacity] */
};

#define CLSA_NO_QUERY UINT32_MAX

/* A session of the model for texts of up to `capacity` tokens; `options` as of
   a session, without context and attention, or NULL. */
clsa_status clsa_reading_open(struct clsa_reading *reading, clsa_model *model,
                              size_t capacity,
                              const clsa_session_options *options,
                              clsa_error *error);
/* {0} is allowed. */
void clsa_reading_close(struct clsa_reading *reading);

/*
 * Read a text in place of the one before. `how` may ask for logits and for
 * progress, NULL: neither.
 * @return what clsa_session_append returns: CLSA_ERR_STOPPED if it is cancelled
 */
clsa_status clsa_reading_read(struct clsa_reading *reading, const int32_t *ids,
                              size_t n, const struct clsa_reading_want *want,
                              const clsa_append_options *how,
                              clsa_error *error);

/* Whether queries of the layer are kept: it reads a cache. */
bool clsa_reading_sees(const struct clsa_reading *reading, uint32_t layer);

/*
 * weights [count][ld] += share times the softmax weights of queries first ..
 * first + count - 1 in a layer, mean over its heads, over rows 0 .. position of
 * the query; the others are left. ld >= n. On all threads, the same bits for
 * any number of them.
 */
void clsa_reading_attend(struct clsa_reading *reading, uint32_t layer,
                         size_t first, size_t count, float share,
                         float *weights, size_t ld);

#endif /* CLSA_TRAIN_READING_H */
