/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is taken in segments: a character and those that follow it and may
 * change. The others neither compose with what is before them nor move by
 * normalization, so segments do not depend on each other. Composition is
 * utf8proc's; the order of combining marks is made here, because utf8proc
 * takes quadratic time for many of them in a row.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/chars.h"
#include "src/model/normalize.h"

#define OPTIONS   (UTF8PROC_STABLE | UTF8PROC_COMPOSE)
#define EXPANSION 2 /* code points for each byte when decomposed, at most */

/* Whether NFC may change a character or what is before it. The ranges that are
   named have none of these, only characters that texts are full of. */
static bool may_change(uint32_t code)
{
    return code >= 0x300 && !(code >= 0x3400 && code <= 0x9fff) && /* Han */
           !(code >= 0x400 && code <= 0x482) &&   /* Cyrillic */
           !(code >= 0xac00 && code <= 0xd7a3) && /* Hangul syllables */
           !(code >= 0x3041 && code <= 0x3096) && /* Hiragana */
           !(code >= 0x309b && code <= 0x30ff) && /* Katakana */
           !(code >= 0x2002 && code <= 0x2069) && /* punctuation */
           !(code >= 0xff01 && code <= 0xffef) && /* full-width forms */
           !(code >= 0x1f300 && code <= 0x1f5ff); /* pictographs */
}

/* While a text is normalized. */
struct normalizer {
    struct clsa_normal *normal;
    const char *text; /* [size], the original */
    size_t size;
    int32_t *codes, *sorted; /* [code_capacity], of a segment */
    size_t code_capacity;
    clsa_error *error;
};

/* Room for n more bytes. */
static clsa_status reserve(struct normalizer *z, size_t n)
{
    struct clsa_normal *normal = z->normal;
    size_t wanted, capacity = normal->capacity;
    if (n <= capacity - normal->size)
        return CLSA_OK;
    if (!clsa_size_add(normal->size, n, &wanted))
        return clsa_fail_memory(z->error, "text", SIZE_MAX);
    if (!clsa_size_add(capacity, capacity / 2, &capacity) || capacity < wanted)
        capacity = wanted;
    char *owned = clsa_mem_resize(normal->owned, capacity, 1);
    if (!owned)
        return clsa_fail_memory(z->error, "text", capacity);
    normal->text = normal->owned = owned;
    normal->capacity = capacity;
    return CLSA_OK;
}

static clsa_status put(struct normalizer *z, const char *bytes, size_t size)
{
    CLSA_TRY(reserve(z, size));
    memcpy(z->normal->owned + z->normal->size, bytes, size);
    z->normal->size += size;
    return CLSA_OK;
}

static clsa_status put_mark(struct normalizer *z, size_t from, bool changed)
{
    struct clsa_normal *n = z->normal;
    if (n->mark_count == n->mark_capacity) {
        const size_t capacity = n->mark_capacity * 2 + 16;
        struct clsa_normal_mark *marks =
            clsa_mem_resize(n->marks, capacity, sizeof *marks);
        if (!marks)
            return clsa_fail_memory(z->error, "marks of a text", capacity);
        n->marks = marks;
        n->mark_capacity = capacity;
    }
    n->marks[n->mark_count++] =
        (struct clsa_normal_mark){n->size, from, changed};
    return CLSA_OK;
}

/* Bytes that were changed, for text[from..to). */
static clsa_status put_changed(struct normalizer *z, const char *bytes,
                               size_t size, size_t from, size_t to)
{
    CLSA_TRY(put_mark(z, from, true));
    CLSA_TRY(put(z, bytes, size));
    return put_mark(z, to, false);
}

/* ------------------------------------------------------------------- NFC */

static int class_of(int32_t code)
{
    return utf8proc_get_property(code)->combining_class;
}

/* Marks codes[0..n) in the order of their classes, which keeps the order of
   equal ones. */
static void sort_marks(int32_t *codes, int32_t *sorted, size_t n)
{
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++)
        start[class_of(codes[i]) + 1]++;
    for (int k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        sorted[start[class_of(codes[i])]++] = codes[i];
    memcpy(codes, sorted, n * sizeof *codes);
}

static void order_marks(int32_t *codes, int32_t *sorted, size_t n)
{
    for (size_t i = 0, end; i < n; i = end + 1) {
        bool ordered = true;
        int last = 0;
        for (end = i; end < n; end++) {
            const int class = class_of(codes[end]);
            if (class == 0)
                break;
            ordered = ordered && class >= last;
            last = class;
        }
        if (!ordered)
            sort_marks(codes + i, sorted, end - i);
    }
}

/* Room for the code points of `size` bytes. */
static clsa_status reserve_codes(struct normalizer *z, size_t size)
{
    if (size <= z->code_capacity / EXPANSION)
        return CLSA_OK;
    clsa_mem_free(z->codes);
    clsa_mem_free(z->sorted);
    z->code_capacity = 0;
    z->codes = clsa_mem_calloc(size, EXPANSION * sizeof *z->codes);
    z->sorted = clsa_mem_calloc(size, EXPANSION * sizeof *z->sorted);
    if (!z->codes || !z->sorted)
        return clsa_fail_memory(z->error, "normalizing a text", size);
    z->code_capacity = size * EXPANSION;
    return CLSA_OK;
}

/* The code points of text[from..to) in NFC, to z->codes[0..*count). */
static clsa_status compose(struct normalizer *z, size_t from, size_t to,
                           size_t *count)
{
    size_t n = 0;
    int boundary = 0;
    CLSA_TRY(reserve_codes(z, to - from));
    for (size_t i = from; i < to;) {
        const struct clsa_char c = clsa_char_at(z->text + i);
        const utf8proc_ssize_t added = utf8proc_decompose_char(
            (utf8proc_int32_t)c.code, z->codes + n,
            (utf8proc_ssize_t)(z->code_capacity - n), OPTIONS, &boundary);
        if (added < 0 || (size_t)added > z->code_capacity - n)
            return clsa_fail(z->error, CLSA_ERR_UNSUPPORTED,
                             "normalizing a text: utf8proc: %s",
                             utf8proc_errmsg(added));
        n += (size_t)added;
        i += c.size;
    }
    order_marks(z->codes, z->sorted, n);
    *count = (size_t)utf8proc_normalize_utf32(z->codes, (utf8proc_ssize_t)n,
                                              OPTIONS);
    return CLSA_OK;
}

/* Text [from..to) in NFC. */
static clsa_status put_segment(struct normalizer *z, size_t from, size_t to)
{
    struct clsa_normal *normal = z->normal;
    size_t count = 0;
    CLSA_TRY(compose(z, from, to, &count));
    CLSA_TRY(reserve(z, 4 * count));
    char *bytes = normal->owned + normal->size;
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += (size_t)utf8proc_encode_char(z->codes[i],
                                             (utf8proc_uint8_t *)bytes + size);
    if (size == to - from && memcmp(bytes, z->text + from, size) == 0) {
        normal->size += size;
        return CLSA_OK;
    }
    CLSA_TRY(put_mark(z, from, true));
    normal->size += size;
    return put_mark(z, to, false);
}

/* Valid UTF-8 text[from..to). */
static clsa_status put_nfc(struct normalizer *z, size_t from, size_t to)
{
    size_t plain = from; /* not yet put, and not changed */
    for (size_t i = from, end; i < to; i = end) {
        struct clsa_char c = clsa_char_at(z->text + i);
        bool changing = may_change(c.code);
        for (end = i + c.size; end < to; end += c.size, changing = true) {
            c = clsa_char_at(z->text + end);
            if (!may_change(c.code))
                break;
        }
        if (!changing)
            continue;
        CLSA_TRY(put(z, z->text + plain, i - plain));
        CLSA_TRY(put_segment(z, i, end));
        plain = end;
    }
    return put(z, z->text + plain, to - plain);
}

/* ------------------------------------------------------------ all of it */

static clsa_status put_valid(struct normalizer *z, size_t from, size_t to,
                             bool nfc)
{
    return nfc ? put_nfc(z, from, to) : put(z, z->text + from, to - from);
}

static clsa_status put_all(struct normalizer *z, bool nfc)
{
    const unsigned char *p = (const unsigned char *)z->text;
    size_t start = 0;
    for (size_t i = 0, n; i < z->size; i += n) {
        bool open;
        n = clsa_utf8_length(p + i, z->size - i);
        if (n > 0)
            continue;
        n = clsa_utf8_subpart(p + i, z->size - i, &open);
        CLSA_TRY(put_valid(z, start, i, nfc));
        CLSA_TRY(put_changed(z, CLSA_REPLACEMENT, 3, i, i + n));
        start = i + n;
    }
    return put_valid(z, start, z->size, nfc);
}

/* Whether a text is valid UTF-8 without a character that NFC may change. */
static bool is_normal(const char *text, size_t size, bool nfc)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0, n;
    while (i < size) {
        uint64_t word;
        if (size - i >= 8) {
            memcpy(&word, p + i, 8);
            if (!(word & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        n = clsa_utf8_length(p + i, size - i);
        if (n == 0 || (nfc && n > 1 && may_change(clsa_char_at(text + i).code)))
            return false;
        i += n;
    }
    return true;
}

clsa_status clsa_normal_open(struct clsa_normal *normal, const char *text,
                             size_t size, bool nfc, clsa_error *error)
{
    struct normalizer z = {
        .normal = normal, .text = text, .size = size, .error = error};
    *normal = (struct clsa_normal){.text = text, .size = size};
    if (is_normal(text, size, nfc))
        return CLSA_OK;
    normal->size = 0;
    clsa_status status = reserve(&z, size);
    if (!status)
        status = put_all(&z, nfc);
    clsa_mem_free(z.codes);
    clsa_mem_free(z.sorted);
    return status;
}

void clsa_normal_close(struct clsa_normal *normal)
{
    clsa_mem_free(normal->owned);
    clsa_mem_free(normal->marks);
}

size_t clsa_normal_origin(const struct clsa_normal *normal, size_t *mark,
                          size_t at)
{
    const struct clsa_normal_mark *marks = normal->marks;
    while (*mark < normal->mark_count && marks[*mark].at <= at)
        ++*mark;
    if (*mark == 0)
        return at;
    const struct clsa_normal_mark *m = &marks[*mark - 1];
    return m->changed ? m->from : m->from + (at - m->at);
}
