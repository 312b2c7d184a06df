/* SPDX-License-Identifier: Apache-2.0 */
/* gguf_print: metadata values as text, for people. */
#ifndef CLSA_MODEL_GGUF_PRINT_H
#define CLSA_MODEL_GGUF_PRINT_H

#include "src/model/gguf.h"

/*
 * The value of a key into text[capacity] with a NUL behind it; what does not
 * fit ends in "..." at a whole character. Returns bytes without the NUL.
 */
size_t clsa_gguf_print(const struct clsa_gguf_key *key, char *text,
                       size_t capacity);

#endif /* CLSA_MODEL_GGUF_PRINT_H */
