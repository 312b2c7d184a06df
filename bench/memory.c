/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers by mmap and madvise, cache sizes from sysfs. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/memory.h"
#include "bench/team.h"

#define HUGE_PAGE  ((size_t)2 << 20)
#define MEMORY     ((size_t)512 << 20)
#define FILL_WORDS ((size_t)1 << 20) /* between looks at the wish to stop */

/* Bytes 0..63 in no short cycle. */
static void fill(void *context, unsigned thread, unsigned threads)
{
    const struct bench_buffer *buffer = context;
    uint32_t state = thread * 2654435761u + 1;
    size_t begin, end;
    bench_share(thread, threads, buffer->size / 4, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        if (i % FILL_WORDS == 0 && bench_is_stopped())
            break;
        state = state * 1664525u + 1013904223u;
        uint32_t word = state >> 2 & 0x3f3f3f3fu;
        memcpy(buffer->data + 4 * i, &word, sizeof word);
    }
}

int bench_buffer_open(struct bench_buffer *buffer, size_t size,
                      enum bench_pages pages, unsigned threads)
{
    struct bench_buffer b = {.size = size, .total = size + HUGE_PAGE};
    b.base = mmap(NULL, b.total, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b.base == MAP_FAILED)
        return -1;
    b.data = (unsigned char *)(((uintptr_t)b.base + HUGE_PAGE - 1) / HUGE_PAGE *
                               HUGE_PAGE);
#ifdef MADV_HUGEPAGE
    madvise(b.data, size,
            pages == BENCH_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    bench_run(threads, fill, &b);
    *buffer = b;
    return 0;
}

void bench_buffer_close(struct bench_buffer *buffer)
{
    if (buffer->data)
        munmap(buffer->base, buffer->total);
    buffer->data = NULL;
}

void bench_shuffle(uint32_t *list, size_t n)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t other = (size_t)((state >> 32) * (i + 1) >> 32);
        list[i] = list[other];
        list[other] = (uint32_t)i;
    }
}

/* ------------------------------------------------------------------ caches */

/* A line of a file of a cache of CPU 0; false where there is none. */
static bool cache_line(unsigned index, const char *name, char *line, int size)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%u/%s",
             index, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool there = fgets(line, size, file);
    fclose(file);
    return there;
}

void bench_caches_read(struct bench_caches *caches)
{
    static const struct bench_caches usual = {
        {0, (size_t)32 << 10, (size_t)512 << 10, 0}};
    memset(caches, 0, sizeof *caches);
    unsigned level, kib;
    char line[32];
    for (unsigned index = 0; cache_line(index, "type", line, sizeof line);
         index++)
        if (strncmp(line, "Instruction", 11) != 0 &&
            cache_line(index, "level", line, sizeof line) &&
            sscanf(line, "%u", &level) == 1 && level <= BENCH_CACHES &&
            cache_line(index, "size", line, sizeof line) &&
            sscanf(line, "%uK", &kib) == 1)
            caches->size[level] = (size_t)kib << 10;
    if (!caches->size[1] || !caches->size[2])
        *caches = usual;
}

size_t bench_memory_bytes(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t most = (size_t)sysconf(_SC_PHYS_PAGES) / 4 * page;
    struct bench_caches caches;
    bench_caches_read(&caches);
    size_t bytes = caches.size[3] * 4 > MEMORY ? caches.size[3] * 4 : MEMORY;
    return (bytes < most ? bytes : most) / HUGE_PAGE * HUGE_PAGE;
}
