/* SPDX-License-Identifier: Apache-2.0 */
/*
 * structs: what crosses the interface by value. Structs grow at their end from
 * release to release; a program and a library of different ones understand each
 * other by the size that the program passes, and by reserved members being 0.
 */
#ifndef CLSA_BASE_STRUCTS_H
#define CLSA_BASE_STRUCTS_H

#include <stddef.h>

#include "src/base/status.h"

/* Bytes of a struct whose last member is `member`. */
#define CLSA_SIZE_THROUGH(type, member)                                        \
    (offsetof(type, member) + sizeof(((type *)NULL)->member))

/*
 * Copy a struct of `known` bytes to a caller who has `size` bytes for it; what
 * the caller has beyond them becomes 0. CLSA_ERR_ARGUMENT if `size` is less
 * than `first`, the size of the struct in the release that introduced it.
 */
clsa_status clsa_struct_give(void *to, size_t size, const void *from,
                             size_t known, size_t first);

/* CLSA_ERR_UNSUPPORTED if a reserved member of the struct `name` is not 0. */
clsa_status clsa_struct_check(const uint64_t *reserved, size_t count,
                              const char *name, clsa_error *error);

#define CLSA_CHECK_RESERVED(options, name, error)                              \
    CLSA_TRY(clsa_struct_check(                                                \
        (options)->reserved,                                                   \
        sizeof(options)->reserved / sizeof *(options)->reserved, name, error))

#endif /* CLSA_BASE_STRUCTS_H */
