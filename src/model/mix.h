/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix: a type for each matrix, by its place in the network. The rules are those
 * that llama.cpp documents for its mixes of the same names, so that a file has
 * the types that users of them expect. Used by src/convert for files, by
 * src/arch for random weights.
 */
#ifndef CLSA_MODEL_MIX_H
#define CLSA_MODEL_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clsa.h"

/* All matrices of a model: vectors may be among them. */
struct clsa_mix_list {
    struct clsa_mix_matrix {
        const char *name;
        uint64_t rows;
    } * at;
    size_t count;
};

/* Whether the number of clsa_write_options is a mix. */
bool clsa_mix_known(int mix);

/* The type that a mix gives the matrix `name` of the list; its rows may not
   allow it. */
clsa_type clsa_mix_type(int mix, const struct clsa_mix_list *list,
                        const char *name);

/* Whether mixes leave a matrix in the type that it has. */
bool clsa_mix_keeps(const char *name);

/* The nearest type that rows of so many values can have. */
clsa_type clsa_mix_fitting(clsa_type type, uint64_t cols);

/* general.file_type of files with this mix. */
uint32_t clsa_mix_file_number(int mix);

#endif /* CLSA_MODEL_MIX_H */
