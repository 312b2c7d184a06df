/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mix: a type for each matrix, by its place in the network. The rules are those
 * that llama.cpp documents for its mixes of the same names, so that a file has
 * the types that users of them expect.
 */
#ifndef CLSA_CONVERT_MIX_H
#define CLSA_CONVERT_MIX_H

#include "src/convert/tensor_plan.h"

/* Whether the number of clsa_write_options is a mix. */
bool clsa_mix_known(int mix);

/* The type that a mix gives the matrix t of the plan; its rows may not allow
   it. */
clsa_type clsa_mix_type(int mix, const struct clsa_tensor_plan *plan,
                        const struct clsa_planned_tensor *t);

/* general.file_type of files with this mix. */
uint32_t clsa_mix_file_number(int mix);

#endif /* CLSA_CONVERT_MIX_H */
