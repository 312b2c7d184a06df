/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pretoken: cuts text into the pieces inside of which merging takes place, by
 * the pattern of Qwen2. The pattern is compiled once and is read-only then;
 * each caller has match data of its own.
 */
#ifndef CLSA_MODEL_PRETOKEN_H
#define CLSA_MODEL_PRETOKEN_H

#include <stddef.h>

#include "src/base/status.h"

struct clsa_pretoken;
struct clsa_pretoken_match;

clsa_status clsa_pretoken_open(struct clsa_pretoken **pretoken,
                               clsa_error *error);
void clsa_pretoken_close(struct clsa_pretoken *pretoken);

/* Match data for one thread at a time; NULL when refused. */
struct clsa_pretoken_match *
clsa_pretoken_match_open(const struct clsa_pretoken *pretoken);
void clsa_pretoken_match_close(struct clsa_pretoken_match *match);

/*
 * The piece of text[0..size) at `from` < size. The text is valid UTF-8 and
 * `from` the start of a character. Takes time in proportion to the piece and
 * the white space behind it.
 * @param length  receives the bytes of the piece, at least 1
 */
clsa_status clsa_pretoken_next(const struct clsa_pretoken *pretoken,
                               struct clsa_pretoken_match *match,
                               const char *text, size_t size, size_t from,
                               size_t *length, clsa_error *error);

#endif /* CLSA_MODEL_PRETOKEN_H */
