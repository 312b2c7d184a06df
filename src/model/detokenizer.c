/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens back to text, one at a time. Bytes that may become a character are
 * held back in the caller's state: at most three. Of bytes that are no UTF-8
 * each longest start of a character, or single byte that starts none, comes
 * out as one U+FFFD ("maximal subparts" of the Unicode standard). Control
 * tokens come out as their text; callers that do not want them leave them
 * out.
 */
#include <stdbool.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/tokenizer.h"

#define MAX_PENDING 3

/* What is in the caller's clsa_detokenizer. */
struct pending {
    uint32_t count;
    unsigned char bytes[8];
};

_Static_assert(sizeof(struct pending) <= sizeof(clsa_detokenizer),
               "the state of a detokenizer does not fit");

/* Turns bytes[0..size) into text, at most 3 bytes for each. Returns the bytes
   of text; *rest is the number of those at the end that are held back. */
static size_t convert(const unsigned char *bytes, size_t size, char *text,
                      size_t *rest)
{
    size_t length = 0;
    *rest = 0;
    for (size_t i = 0, n; i < size; i += n) {
        n = clsa_utf8_length(bytes + i, size - i);
        if (n > 0) {
            memcpy(text + length, bytes + i, n);
            length += n;
            continue;
        }
        bool open;
        n = clsa_utf8_subpart(bytes + i, size - i, &open);
        if (open) {
            *rest = n;
            break;
        }
        memcpy(text + length, CLSA_REPLACEMENT, 3);
        length += 3;
    }
    return length;
}

/* `bytes` and `text` of clsa_tokenizer_decode are one block of memory: first
   the text, and after the longest text the bytes it is made of. */
static clsa_status allocate(size_t bytes, char **text, clsa_error *error)
{
    size_t total = SIZE_MAX;
    if (!clsa_size_mul(bytes, 4, &total) || !clsa_size_add(total, 1, &total) ||
        !(*text = clsa_mem_calloc(total, 1)))
        return clsa_fail_memory(error, "text", total);
    return CLSA_OK;
}

clsa_status clsa_tokenizer_decode(const struct clsa_tokenizer *tokenizer,
                                  clsa_detokenizer *state, int32_t id,
                                  char **text, size_t *size, clsa_error *error)
{
    struct pending pending;
    memcpy(&pending, state, sizeof pending);
    size_t held = pending.count, length = 0, total, rest;
    const char *token =
        id == -1 ? "" : clsa_tokenizer_bytes(tokenizer, id, &length);
    char *out = NULL;
    if (!token)
        return clsa_fail(error, CLSA_ERR_ARGUMENT, "%d is not a token",
                         (int)id);
    if (held > MAX_PENDING)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "the detokenizer's state is damaged: start with {0}");
    if (!clsa_size_add(length, held, &total))
        return clsa_fail_memory(error, "text", SIZE_MAX);
    CLSA_TRY(allocate(total, &out, error));
    unsigned char *bytes = (unsigned char *)out + 3 * total + 1;
    memcpy(bytes, pending.bytes, held);
    memcpy(bytes + held, token, length);
    size_t used = convert(bytes, total, out, &rest);
    if (id == -1 && rest > 0) {
        memcpy(out + used, CLSA_REPLACEMENT, 3);
        used += 3;
        rest = 0;
    }
    pending.count = (uint32_t)rest;
    memcpy(pending.bytes, bytes + total - rest, rest);
    memcpy(state, &pending, sizeof pending);
    out[used] = 0;
    *text = out;
    if (size)
        *size = used;
    return CLSA_OK;
}
