/* SPDX-License-Identifier: Apache-2.0 */
/*
 * side_file: writes the side file of a model: its indexes and anchors
 * (clsa-gguf(5)). What a change does not name stays as it is in the file that
 * is there, which has to be a side file of the same model.
 *
 * Called by calibration (anchors) and by the training of indexes. The file is
 * written beside its name and renamed when it is whole.
 */
#ifndef CLSA_TRAIN_SIDE_FILE_H
#define CLSA_TRAIN_SIDE_FILE_H

#include "src/engine/model.h"
#include "src/model/gguf_write.h"

/* A tensor of F32: a vector [cols], or a matrix [rows][cols]. */
struct clsa_side_tensor {
    char name[64];       /* "blk.2.indexer.q_proj.weight" */
    uint32_t dims;       /* 1 or 2 */
    uint64_t rows, cols; /* a vector has 1 row */
    const float *values;
};

struct clsa_side_change {
    /* Keys by their whole names, "ARCH.attention.anchor_layers". The file gets
       general.type, general.architecture, ARCH.block_count,
       ARCH.embedding_length and clsa.index.of by itself. */
    struct clsa_keys keys;
    const struct clsa_side_tensor *tensors;
    size_t tensor_count;
    /* The tensors are all of a new index: those that are there are left out,
       and so are the keys ARCH.attention.indexer.*, but first_window, which
       says something about the model. */
    bool new_index;
};

/* "ARCH.attention.NAME" of the model; name[CLSA_SIDE_KEY]. */
#define CLSA_SIDE_KEY 96
void clsa_side_key(const struct clsa_model *model, const char *name,
                   char key[CLSA_SIDE_KEY]);

/* Puts a list of layers as the value of such a key. */
void clsa_side_layers(struct clsa_keys *keys, const char *key,
                      const uint32_t *layers, uint32_t count);

/*
 * Writes the file.
 * @return CLSA_ERR_UNSUPPORTED for models that have no side file,
 *         CLSA_ERR_MISMATCH if the file that is there is of another model,
 *         CLSA_ERR_FORMAT if it is no side file, CLSA_ERR_IO, CLSA_ERR_MEMORY;
 *         the file is as it was before
 */
clsa_status clsa_side_write(const struct clsa_model *model, const char *path,
                            const struct clsa_side_change *change,
                            clsa_error *error);

/* Whether the file at a path has an index (*has), so that its keys belong to
   it. No file: false. Fails as clsa_side_write. */
clsa_status clsa_side_has_index(const struct clsa_model *model,
                                const char *path, bool *has, clsa_error *error);

#endif /* CLSA_TRAIN_SIDE_FILE_H */
