/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_map: the contents of a file as memory. It is mapped, or read as a whole
 * if its file system cannot map it, as some of FUSE, 9p and virtual machines
 * cannot.
 */
#ifndef CLSA_BASE_FILE_MAP_H
#define CLSA_BASE_FILE_MAP_H

#include <stdbool.h>
#include <stddef.h>

/* `size` > 0 bytes from the start of the file, read-only for the caller; *read:
   they are memory of this process and no mapping. NULL, and errno. */
const void *clsa_file_map(int fd, size_t size, bool *read);
void clsa_file_unmap(const void *data, size_t size);

#endif /* CLSA_BASE_FILE_MAP_H */
