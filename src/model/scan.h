/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: where added tokens stand in a text, with their flags. Tokens are cut
 * out of the raw text, and those with the flag `normalized` out of what is left
 * of it, once it is normalized.
 */
#ifndef CLSA_MODEL_SCAN_H
#define CLSA_MODEL_SCAN_H

#include "src/model/vocab.h"

/* A walk over a text; `start` and `at` are 0 at first. */
struct clsa_scan {
    const struct clsa_vocab *vocab;
    const struct clsa_added *added; /* of the vocabulary: which ones */
    const char *text;               /* [size], perhaps not valid UTF-8 */
    size_t size;
    bool special; /* control and unknown tokens are cut out */
    size_t start; /* the end of the last token, with the space after it */
    size_t at;    /* the same, without it */
};

/* A token, and the text that it stands for: bytes [start, stop). An added token
   of white space in the space that the one before it takes is a token all the
   same, and begins before the stop of that one; what follows it is text. */
struct clsa_scan_match {
    int32_t id;
    size_t start, stop;
};

/* Finds the next token; false: there is none. */
bool clsa_scan_next(struct clsa_scan *scan, struct clsa_scan_match *match);

#endif /* CLSA_MODEL_SCAN_H */
