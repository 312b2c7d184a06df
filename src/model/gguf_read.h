/* SPDX-License-Identifier: Apache-2.0 */
/* gguf_read: the parser behind clsa_gguf_open; used by gguf.c alone. */
#ifndef CLSA_MODEL_GGUF_READ_H
#define CLSA_MODEL_GGUF_READ_H

#include "src/model/gguf.h"

/*
 * Fills keys, tensors and their indexes from gguf->base. What has been
 * allocated by the time of a failure hangs in *gguf for clsa_gguf_close.
 */
clsa_status clsa_gguf_parse(struct clsa_gguf *gguf, clsa_error *error);

#endif /* CLSA_MODEL_GGUF_READ_H */
