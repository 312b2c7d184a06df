/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator of the system, and mappings with huge pages. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/mem.h"

void *clsa_mem_calloc(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

void *clsa_mem_resize(void *old, size_t n, size_t size)
{
    size_t total;
    if (!clsa_size_mul(n, size, &total))
        return NULL;
    return realloc(old, total ? total : 1);
}

char *clsa_mem_dup(const char *text, size_t size)
{
    size_t total;
    if (!clsa_size_add(size, 1, &total))
        return NULL;
    char *copy = malloc(total);
    if (copy) {
        memcpy(copy, text, size);
        copy[size] = 0;
    }
    return copy;
}

void clsa_mem_free(void *memory)
{
    free(memory);
}

size_t clsa_mem_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Maps `size` bytes at a multiple of `align` by cutting a larger mapping. */
static void *map_aligned(size_t size, size_t align)
{
    size_t total;
    if (!clsa_size_add(size, align, &total))
        return NULL;
    char *base = mmap(NULL, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    char *start = (char *)clsa_round_up((uintptr_t)base, align);
    if (start > base)
        munmap(base, (size_t)(start - base));
    if (start + size < base + total)
        munmap(start + size, (size_t)(base + total - (start + size)));
    return start;
}

void *clsa_mem_map(size_t size)
{
    size_t page = clsa_mem_page();
    if (size > SIZE_MAX - CLSA_HUGE_PAGE)
        return NULL;
    size = clsa_round_up(size ? size : 1, page);
    bool huge = size >= CLSA_HUGE_PAGE;
    void *memory = map_aligned(size, huge ? CLSA_HUGE_PAGE : page);
#ifdef MADV_HUGEPAGE
    if (memory && huge)
        madvise(memory, size, MADV_HUGEPAGE); /* advice only */
#endif
    return memory;
}

void clsa_mem_unmap(void *memory, size_t size)
{
    if (memory)
        munmap(memory, clsa_round_up(size ? size : 1, clsa_mem_page()));
}
