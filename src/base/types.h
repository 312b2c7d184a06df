/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types: the one table of storage types: numbers and names of GGUF, and the
 * formats of the kernels that stand for them.
 */
#ifndef CLSA_BASE_TYPES_H
#define CLSA_BASE_TYPES_H

#include <stdbool.h>

#include "clsa.h"
#include "simd/simd.h"

/* The types that weights can have, for messages. */
#define CLSA_WEIGHT_TYPES                                                      \
    "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, "   \
    "q6_k, iq4_nl or iq4_xs"

/* The format of a GGUF type; false: it has none, and weights cannot have it. */
bool clsa_type_format(uint32_t type, enum clsa_format *format);

/* The type that a format stands for. */
clsa_type clsa_format_type(enum clsa_format format);

/* general.file_type of files that have most weights in this type; other
   writers of GGUF use the same numbers. */
uint32_t clsa_type_file_number(clsa_type type);

#endif /* CLSA_BASE_TYPES_H */
