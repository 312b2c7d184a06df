/* SPDX-License-Identifier: Apache-2.0 */
/* gguf_read: the parts of clsa_gguf_open; used by gguf.c and gguf_split.c. */
#ifndef CLSA_MODEL_GGUF_READ_H
#define CLSA_MODEL_GGUF_READ_H

#include "src/model/gguf.h"

/*
 * Fills keys, tensors and their indexes from gguf->base. What has been
 * allocated by the time of a failure hangs in *gguf for clsa_gguf_close.
 */
clsa_status clsa_gguf_parse(struct clsa_gguf *gguf, clsa_error *error);

/* Fills tensor_names, which is empty; refuses a name that is there twice. */
clsa_status clsa_gguf_index_tensors(struct clsa_gguf *gguf, clsa_error *error);

/* Maps and checks one file, whatever part of a model it is. */
clsa_status clsa_gguf_open_one(struct clsa_gguf **gguf, const char *path,
                               clsa_error *error);

/* Opens the other parts of the model that a file, opened from `path`, is the
   first part of, and moves their tensors to it; refuses any other part. What
   was opened by the time of a failure hangs in *gguf. */
clsa_status clsa_gguf_join(struct clsa_gguf *gguf, const char *path,
                           clsa_error *error);

#endif /* CLSA_MODEL_GGUF_READ_H */
