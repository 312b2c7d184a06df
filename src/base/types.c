/* SPDX-License-Identifier: Apache-2.0 */
/* The table of storage types, and what is looked up in it. */
#include <string.h>
#include <strings.h>

#include "src/base/status.h"
#include "src/base/types.h"

static const struct type {
    clsa_type type;
    const char *name;
    enum clsa_format format; /* CLSA_FORMATS: none */
    uint32_t file;           /* number of files of it */
} types[] = {
    {CLSA_TYPE_F32, "f32", CLSA_F32, 0},
    {CLSA_TYPE_F16, "f16", CLSA_F16, 1},
    {CLSA_TYPE_BF16, "bf16", CLSA_BF16, 32},
    {CLSA_TYPE_Q8_0, "q8_0", CLSA_Q8_0, 7},
    {CLSA_TYPE_Q4_0, "q4_0", CLSA_Q4_0, 2},
    {CLSA_TYPE_Q4_1, "q4_1", CLSA_Q4_1, 3},
    {CLSA_TYPE_Q5_0, "q5_0", CLSA_Q5_0, 8},
    {CLSA_TYPE_Q5_1, "q5_1", CLSA_Q5_1, 9},
    {CLSA_TYPE_Q2_K, "q2_k", CLSA_Q2_K, 10},
    {CLSA_TYPE_Q3_K, "q3_k", CLSA_Q3_K, 12},
    {CLSA_TYPE_Q4_K, "q4_k", CLSA_Q4_K, 14},
    {CLSA_TYPE_Q5_K, "q5_k", CLSA_Q5_K, 16},
    {CLSA_TYPE_Q6_K, "q6_k", CLSA_Q6_K, 18},
    {CLSA_TYPE_IQ4_NL, "iq4_nl", CLSA_IQ4_NL, 25},
    {CLSA_TYPE_IQ4_XS, "iq4_xs", CLSA_IQ4_XS, 30},
    {CLSA_TYPE_I8, "i8", CLSA_FORMATS, 0},
};

#define TYPES (sizeof types / sizeof *types)

static const struct type *find(uint32_t type)
{
    for (size_t i = 0; i < TYPES; i++)
        if ((uint32_t)types[i].type == type)
            return &types[i];
    return NULL;
}

uint64_t clsa_type_row_bytes(clsa_type type, uint64_t count)
{
    const struct type *t = find((uint32_t)type);
    if (!t)
        return 0;
    if (t->format == CLSA_FORMATS)
        return count + sizeof(float);
    const struct clsa_format_size size = clsa_format_size(t->format);
    return count / size.values * size.bytes;
}

const char *clsa_type_name(clsa_type type)
{
    const struct type *t = find((uint32_t)type);
    return t ? t->name : NULL;
}

clsa_status clsa_type_parse(const char *name, clsa_type *type,
                            clsa_error *error)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (strcasecmp(types[i].name, name) == 0) {
            *type = types[i].type;
            return CLSA_OK;
        }
    }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "unknown type '%s': use " CLSA_WEIGHT_TYPES ", or i8",
                     name);
}

bool clsa_type_format(uint32_t type, enum clsa_format *format)
{
    const struct type *t = find(type);
    if (!t || t->format == CLSA_FORMATS)
        return false;
    *format = t->format;
    return true;
}

clsa_type clsa_format_type(enum clsa_format format)
{
    size_t i = 0;
    while (types[i].format != format)
        i++;
    return types[i].type;
}

uint32_t clsa_type_file_number(clsa_type type)
{
    const struct type *t = find((uint32_t)type);
    return t ? t->file : 0;
}
