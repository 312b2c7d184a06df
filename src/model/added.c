/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting added tokens, and narrowing the range of those that match. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/minmax.h"
#include "src/model/added.h"

static int by_bytes(const void *left, const void *right)
{
    const struct clsa_added_token *a = left, *b = right;
    const int order = memcmp(a->text, b->text, clsa_min(a->size, b->size));
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

void clsa_added_open(struct clsa_added *added, struct clsa_added_token *tokens,
                     size_t count)
{
    qsort(tokens, count, sizeof *tokens, by_bytes);
    added->tokens = tokens;
    added->count = count;
    for (size_t i = 0; i < count; i++) {
        const unsigned char first = (unsigned char)*tokens[i].text;
        added->start[first] = true;
        added->start_always[first] |= tokens[i].always;
    }
}

void clsa_added_close(struct clsa_added *added)
{
    clsa_mem_free(added->tokens);
    added->tokens = NULL;
    added->count = 0;
}

/* First token of [low, high) with `byte` or a higher one after `depth` bytes
   that all of them have in common. */
static size_t narrow(const struct clsa_added *added, size_t low, size_t high,
                     size_t depth, int byte)
{
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct clsa_added_token *t = &added->tokens[middle];
        if (t->size <= depth || (unsigned char)t->text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct clsa_added_token *clsa_added_find(const struct clsa_added *added,
                                               const char *text, size_t size,
                                               bool all)
{
    const struct clsa_added_token *longest = NULL;
    size_t low = 0, high = added->count;
    if (size == 0 ||
        !(all ? added->start : added->start_always)[(unsigned char)*text])
        return NULL;
    /* [low, high): those that begin with text[0..depth). */
    for (size_t depth = 0; depth < size; depth++) {
        const int byte = (unsigned char)text[depth];
        low = narrow(added, low, high, depth, byte);
        high = narrow(added, low, high, depth, byte + 1);
        if (low == high)
            break;
        const struct clsa_added_token *t = &added->tokens[low];
        if (t->size == depth + 1 && (all || t->always))
            longest = t;
    }
    return longest;
}
