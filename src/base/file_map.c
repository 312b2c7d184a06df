/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of files, and what is read in place of them. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/file_map.h"
#include "src/base/mem.h"

/* What one call may read at most. */
#define PIECE ((size_t)1 << 30)

/* Reasons of the file system, and not of the memory or of the descriptor. */
static bool cannot_map(int reason)
{
    return reason == ENODEV || reason == ENOSYS || reason == EOPNOTSUPP ||
           reason == EINVAL || reason == EPERM || reason == EACCES;
}

/* Fails with EIO if the file ends early. */
static bool read_all(int fd, unsigned char *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t left = size - at;
        const ssize_t n =
            pread(fd, to + at, left < PIECE ? left : PIECE, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

const void *clsa_file_map(int fd, size_t size, bool *read)
{
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    *read = false;
    if (data != MAP_FAILED)
        return data;
    if (!cannot_map(errno))
        return NULL;
    data = clsa_mem_map(size);
    if (!data) {
        errno = ENOMEM;
        return NULL;
    }
    *read = read_all(fd, data, size);
    if (*read)
        return data;
    const int reason = errno;
    clsa_mem_unmap(data, size);
    errno = reason;
    return NULL;
}

void clsa_file_unmap(const void *data, size_t size)
{
    clsa_mem_unmap((void *)(uintptr_t)data, size);
}
