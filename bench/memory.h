/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what the benchmarks read from. Buffers are written by the threads
 * that will read them, so that every page is there and on their node. Also
 * the sizes of the caches, which say what is big and what is small.
 */
#ifndef CLSA_BENCH_MEMORY_H
#define CLSA_BENCH_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Pages of a buffer: the system's smallest, or huge ones where it has them. */
enum bench_pages { BENCH_SMALL, BENCH_HUGE };

struct bench_buffer {
    unsigned char *data; /* aligned to 2 MiB */
    size_t size;
    void *base;
    size_t total;
};

/* A buffer of `size` bytes of small integers. Returns 0, or -1 for no
   memory. */
int bench_buffer_open(struct bench_buffer *buffer, size_t size,
                      enum bench_pages pages, unsigned threads);
void bench_buffer_close(struct bench_buffer *buffer);

/* 0..n-1 in random order, always the same. */
void bench_shuffle(uint32_t *list, size_t n);

/* Bytes of the data caches 1..3 that a core sees; 0 where there is none. From
   sysfs; caches of usual sizes where it tells nothing. */
#define BENCH_CACHES 3
struct bench_caches {
    size_t size[BENCH_CACHES + 1];
};
void bench_caches_read(struct bench_caches *caches);

/* Bytes that are read from memory and not from caches: 512 MiB or four times
   the last cache, but no more than a quarter of the machine's memory. */
size_t bench_memory_bytes(void);

#endif /* CLSA_BENCH_MEMORY_H */
