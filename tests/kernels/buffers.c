/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guarded buffers of the kernel checks. Each slot is a mapping between two
 * inaccessible ones and is used again and again:
 *
 *     [no access] [canary | data | canary] [no access]
 *
 * The data lies at either end or between, so that one run sees reads and
 * writes beyond one end as a fault, and another one writes into a canary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kernels/kernels.h"

#define SLOTS    24
#define GUARD    65536 /* bytes without access; a multiple of any page */
#define CANARY   128   /* bytes that are checked on each side */
#define MARGIN   1024  /* room around data that lies between */
#define SMALLEST 65536

struct slot {
    char *room; /* after the first guard; the second is at room + size */
    size_t size;
    const char *name;
    char *data;
    size_t bytes;
    bool input, sealed;
};

static struct slot slots[SLOTS];
static size_t taken;
static enum test_placement where;
static bool guarded = true;

static void give_up(const char *what)
{
    perror(what);
    exit(2);
}

static void protect(struct slot *s, bool sealed)
{
    if (s->sealed == sealed)
        return;
    if (mprotect(s->room, s->size, sealed ? PROT_READ : PROT_READ | PROT_WRITE))
        give_up("mprotect");
    s->sealed = sealed;
}

void test_reset(enum test_placement placement)
{
    for (size_t i = 0; i < taken; i++)
        protect(&slots[i], false);
    taken = 0;
    where = guarded ? placement : TEST_BETWEEN;
}

void test_unguard(void)
{
    guarded = false;
    where = TEST_BETWEEN;
}

static void make_room(struct slot *s, size_t bytes)
{
    if (s->size >= bytes)
        return;
    if (s->room)
        munmap(s->room - GUARD, s->size + 2 * GUARD);
    s->size = (bytes + GUARD - 1) / GUARD * GUARD;
    char *map = mmap(NULL, s->size + 2 * GUARD, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        give_up("mmap");
    s->room = map + GUARD;
    if (mprotect(s->room, s->size, PROT_READ | PROT_WRITE))
        give_up("mprotect");
}

static void *take(const char *name, size_t count, size_t size, bool input)
{
    if (taken == SLOTS)
        test_fail("too many buffers in one case");
    struct slot *s = &slots[taken++];
    const size_t bytes = count * size;
    make_room(s, bytes + 2 * MARGIN > SMALLEST ? bytes + 2 * MARGIN : SMALLEST);
    s->name = name;
    s->bytes = bytes;
    s->input = input;
    switch (where) {
    case TEST_AT_END:
        s->data = s->room + s->size - bytes;
        break;
    case TEST_AT_START:
        s->data = s->room;
        break;
    case TEST_BETWEEN:
        s->data = s->room + MARGIN / 2 + (1 + test_below(15)) * size;
        break;
    }
    char *from = s->data - s->room < CANARY ? s->room : s->data - CANARY;
    char *end = s->room + s->size, *to = s->data + bytes;
    to = end - to < CANARY ? end : to + CANARY;
    memset(from, TEST_POISON, (size_t)(to - from));
    return s->data;
}

void *test_input(const char *name, size_t count, size_t size)
{
    return take(name, count, size, true);
}

void *test_output(const char *name, size_t count, size_t size)
{
    return take(name, count, size, false);
}

void test_seal(void)
{
    for (size_t i = 0; i < taken; i++)
        if (slots[i].input)
            protect(&slots[i], true);
}

/* Whether all of n bytes are poison; else *at is the first that is not. */
static bool poison(const char *p, size_t n, size_t *at)
{
    static unsigned char canary[CANARY];
    if (!canary[0])
        memset(canary, TEST_POISON, CANARY);
    if (n <= CANARY && !memcmp(p, canary, n))
        return true;
    for (*at = 0; *at < n; ++*at)
        if ((unsigned char)p[*at] != TEST_POISON)
            return false;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void *test_scratch(void)
{
    enum { LINE = 64 };
    char *data = test_output("scratch", CLSA_KERNEL_SCRATCH + LINE - 1, 1);
    return data + (LINE - (uintptr_t)data % LINE) % LINE;
}

void test_intact(void)
{
    for (size_t i = 0; i < taken; i++) {
        const struct slot *s = &slots[i];
        const char *end = s->data + s->bytes;
        size_t front = least((size_t)(s->data - s->room), CANARY);
        size_t behind = least((size_t)(s->room + s->size - end), CANARY), at;

        if (s->input)
            continue;
        if (!poison(s->data - front, front, &at))
            test_fail("write %zu bytes in front of %s (%zu bytes)", front - at,
                      s->name, s->bytes);
        if (!poison(end, behind, &at))
            test_fail("write %zu bytes past the end of %s (%zu bytes)", at,
                      s->name, s->bytes);
    }
}

void test_untouched(const char *what, const void *p, size_t count, size_t size)
{
    size_t at;
    if (!poison(p, count * size, &at))
        test_fail("%s: write into the gap, at element %zu of it", what,
                  at / size);
}

bool test_describe(const void *address, char *text, size_t size)
{
    const char *p = address;
    for (size_t i = 0; i < taken; i++) {
        const struct slot *s = &slots[i];
        const char *end = s->data + s->bytes;

        if (p < s->room - GUARD || p >= s->room + s->size + GUARD)
            continue;
        if (p >= end)
            snprintf(text, size, "%zu bytes past the end of %s (%zu bytes)",
                     (size_t)(p - end), s->name, s->bytes);
        else if (p < s->data)
            snprintf(text, size, "%zu bytes in front of %s (%zu bytes)",
                     (size_t)(s->data - p), s->name, s->bytes);
        else
            snprintf(text, size, "write to input %s, byte %zu", s->name,
                     (size_t)(p - s->data));
        return true;
    }
    return false;
}
