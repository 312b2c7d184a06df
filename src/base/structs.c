/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of callers that are older or newer than the library. */
#include <string.h>

#include "src/base/structs.h"

clsa_status clsa_struct_give(void *to, size_t size, const void *from,
                             size_t known, size_t first)
{
    const size_t n = size < known ? size : known;
    if (size < first)
        return CLSA_ERR_ARGUMENT;
    memcpy(to, from, n);
    memset((char *)to + n, 0, size - n);
    return CLSA_OK;
}

clsa_status clsa_struct_check(const uint64_t *reserved, size_t count,
                              const char *name, clsa_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (reserved[i] != 0)
            return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                             "%s: a reserved member is not 0; fill the struct "
                             "with its init function, or use a library newer "
                             "than %s, which may know this member",
                             name, clsa_version());
    return CLSA_OK;
}
