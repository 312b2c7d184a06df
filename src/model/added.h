/* SPDX-License-Identifier: Apache-2.0 */
/*
 * added: tokens that are cut out of a text before anything else is done with
 * it: control, unknown and user-defined ones. At each place the longest one is
 * taken. They are kept in the order of their bytes, so that those which begin
 * in the same way are a range that each further byte narrows.
 */
#ifndef CLSA_MODEL_ADDED_H
#define CLSA_MODEL_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

struct clsa_added_token {
    const char *text; /* of the vocabulary */
    size_t size;
    int32_t id;
    bool always; /* also in a text whose special tokens are text */
};

struct clsa_added {
    struct clsa_added_token *tokens; /* [count], in order of bytes */
    size_t count;
    bool start[256];        /* first bytes of all */
    bool start_always[256]; /* of those that are taken always */
};

/* Sorts tokens[0..count), which it takes over. */
void clsa_added_open(struct clsa_added *added, struct clsa_added_token *tokens,
                     size_t count);
void clsa_added_close(struct clsa_added *added);

/*
 * The longest token at the start of text[0..size), of all or of those that are
 * always taken; NULL when there is none.
 */
const struct clsa_added_token *clsa_added_find(const struct clsa_added *added,
                                               const char *text, size_t size,
                                               bool all);

#endif /* CLSA_MODEL_ADDED_H */
