/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text: JSON as Python's json module writes and reads it, in the form that
 * jansson reads: no byte-order mark; NaN, Infinity, -Infinity and numbers past
 * the largest double as texts of these names, so that a key which needs a
 * number refuses them by name; integers past 64 bits as doubles.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/json.h"

/* No number that is replaced has fewer bytes than this per byte of its own:
   "Infinity" with quotes for 1e999, the shortest one that is too large. */
#define GROWTH 2

struct copy {
    const char *from; /* what is left, ended by a NUL */
    char *to;
};

static void put(struct copy *c, const char *text, size_t size)
{
    memcpy(c->to, text, size);
    c->to += size;
}

/* A string, with its quotes. */
static void copy_string(struct copy *c)
{
    const char *p = c->from + 1;
    while (*p && *p != '"')
        p += p[0] == '\\' && p[1] ? 2 : 1;
    p += *p == '"';
    put(c, c->from, (size_t)(p - c->from));
    c->from = p;
}

/* A word that JSON has no number for; false if there is none. */
static bool copy_word(struct copy *c)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t size = strlen(words[i]);
        if (strncmp(c->from, words[i], size) != 0)
            continue;
        put(c, "\"", 1);
        put(c, words[i], size);
        put(c, "\"", 1);
        c->from += size;
        return true;
    }
    return false;
}

static void copy_number(struct copy *c)
{
    static const char infinity[] = "\"-Infinity\"";
    const size_t size = strspn(c->from, "-+.0123456789eE");
    char *end;
    const double value = strtod(c->from, &end);
    const bool whole = end == c->from + size && size > 0;
    const bool integer = strcspn(c->from, ".eE") >= size;
    if (whole && isinf(value)) {
        put(c, "\"", 1);
        put(c, infinity + (value < 0 ? 1 : 2), value < 0 ? 10 : 9);
    } else {
        put(c, c->from, size);
        errno = 0;
        (void)!strtoll(c->from, NULL, 10);
        if (whole && integer && errno == ERANGE)
            put(c, ".0", 2);
    }
    c->from += size;
}

char *clsa_json_plain(const char *text, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (size > SIZE_MAX / GROWTH - 16)
        return NULL;
    char *plain = clsa_mem_calloc(GROWTH * size + 16, 1);
    struct copy c = {.from = text, .to = plain};
    if (!plain)
        return NULL;
    if (strncmp(text, mark, sizeof mark - 1) == 0)
        c.from += sizeof mark - 1;
    while (*c.from) {
        if (*c.from == '"')
            copy_string(&c);
        else if (copy_word(&c))
            continue;
        else if (*c.from == '-' || (*c.from >= '0' && *c.from <= '9'))
            copy_number(&c);
        else
            put(&c, c.from++, 1);
    }
    return plain;
}
