/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input: the JSON of a rendering as values, and as the variables that chat
 * templates expect, named as in the transformers library.
 */
#ifndef CLSA_JINJA_INPUT_H
#define CLSA_JINJA_INPUT_H

#include <jansson.h>

#include "src/jinja/jinja.h"

/* A JSON object. Integers past 64 bits are kept: clsa_input_value knows the
   strings that they become here. */
clsa_status clsa_input_parse(json_t **object, const char *text, size_t size,
                             clsa_error *error);

struct clsa_value clsa_input_value(struct clsa_jinja *j, const json_t *json);

/* What a rendering goes on with at its end: the last message. */
struct clsa_continuation {
    const struct clsa_string *text; /* NULL: it does not */
};

/* Fill the variables from a request; bos and eos, or NULL, are the tokens of
   the model. Fails if a key is unknown or a value has another type. */
void clsa_input_variables(struct clsa_jinja *j, const json_t *request,
                          const char *bos, const char *eos,
                          struct clsa_continuation *end);

/* The bytes of the text that are left if it ends with the last message. */
size_t clsa_input_end(struct clsa_jinja *j, const struct clsa_buffer *text,
                      const struct clsa_continuation *end);

#endif /* CLSA_JINJA_INPUT_H */
