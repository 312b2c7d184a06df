/* SPDX-License-Identifier: Apache-2.0 */
/* gguf_print: metadata values as text, for people. */
#ifndef CLSA_MODEL_GGUF_PRINT_H
#define CLSA_MODEL_GGUF_PRINT_H

#include "src/model/gguf.h"

/*
 * Writes the value of a key and a NUL into text[capacity]; a longer value is
 * cut at a whole character and ends in "...". Returns bytes without the NUL.
 */
size_t clsa_gguf_print(const struct clsa_gguf_key *key, char *text,
                       size_t capacity);

#endif /* CLSA_MODEL_GGUF_PRINT_H */
