/* SPDX-License-Identifier: Apache-2.0 */
/*
 * normalize: text as tokenizers take it: valid UTF-8, and in the form NFC where
 * the model's makers normalize. A U+FFFD stands for each byte and each start of
 * a character that is not UTF-8. Text that is so already is not copied.
 */
#ifndef CLSA_MODEL_NORMALIZE_H
#define CLSA_MODEL_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/status.h"

/* From byte `at` of the normalized text on, up to the next mark, byte at + i is
   byte from + i of the original, or `from` if it was changed. */
struct clsa_normal_mark {
    size_t at, from;
    bool changed;
};

struct clsa_normal {
    const char *text; /* [size] */
    size_t size;
    char *owned; /* [capacity]: where `text` is, or NULL: it is the original */
    size_t capacity;
    struct clsa_normal_mark *marks; /* [mark_count], ascending */
    size_t mark_count, mark_capacity;
};

/* Fills *normal, which is to be closed on failure too; `text` has to stay. */
clsa_status clsa_normal_open(struct clsa_normal *normal, const char *text,
                             size_t size, bool nfc, clsa_error *error);
void clsa_normal_close(struct clsa_normal *normal);

/* Where byte `at` of the normalized text comes from. *mark is 0 at first and
   follows while `at` ascends. */
size_t clsa_normal_origin(const struct clsa_normal *normal, size_t *mark,
                          size_t at);

#endif /* CLSA_MODEL_NORMALIZE_H */
