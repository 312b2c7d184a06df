/* SPDX-License-Identifier: Apache-2.0 */
/* The printer: text into a buffer of fixed size, cut at a whole character. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/base/utf8.h"
#include "src/model/gguf_print.h"

#define ARRAY_SHOWN 8 /* elements of an array that are printed */

/* Text under construction; `cut` once something did not fit. */
struct out {
    char *text;
    size_t capacity, used;
    bool cut;
};

static void put(struct out *o, const char *text, size_t size)
{
    size_t left = o->capacity - o->used - 1;
    if (o->cut)
        return;
    if (size > left) {
        o->cut = true;
        size = left;
    }
    memcpy(o->text + o->used, text, size);
    o->used += size;
}

static void put_format(struct out *o, const char *format, ...)
    CLSA_PRINTF(2, 3);

static void put_format(struct out *o, const char *format, ...)
{
    char number[64];
    va_list args;
    va_start(args, format);
    vsnprintf(number, sizeof number, format, args);
    va_end(args);
    put(o, number, strlen(number));
}

/* Makes an end of whole characters and "..." where something was cut. */
static size_t finish(struct out *o)
{
    size_t end = o->used;
    if (o->cut) {
        end = end > 3 ? end - 3 : 0;
        while (end > 0 && ((unsigned char)o->text[end] & 0xc0) == 0x80)
            end--;
        size_t dots = clsa_min(o->capacity - 1 - end, 3);
        memcpy(o->text + end, "...", dots);
        end += dots;
    }
    o->text[end] = 0;
    return end;
}

/* Prints one value; returns the bytes it takes in the file. */
static size_t put_value(struct out *o, enum clsa_gguf_type type,
                        const unsigned char *data)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } v;
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    memcpy(&v, data, sizes[type]);
    switch (type) {
    case CLSA_GGUF_U8:
        put_format(o, "%u", v.u8);
        break;
    case CLSA_GGUF_I8:
        put_format(o, "%d", v.i8);
        break;
    case CLSA_GGUF_U16:
        put_format(o, "%u", v.u16);
        break;
    case CLSA_GGUF_I16:
        put_format(o, "%d", v.i16);
        break;
    case CLSA_GGUF_U32:
        put_format(o, "%" PRIu32, v.u32);
        break;
    case CLSA_GGUF_I32:
        put_format(o, "%" PRId32, v.i32);
        break;
    case CLSA_GGUF_F32:
        put_format(o, "%.7g", (double)v.f32);
        break;
    case CLSA_GGUF_BOOL:
        put_format(o, "%s", v.u8 ? "true" : "false");
        break;
    case CLSA_GGUF_U64:
        put_format(o, "%" PRIu64, v.u64);
        break;
    case CLSA_GGUF_I64:
        put_format(o, "%" PRId64, v.i64);
        break;
    case CLSA_GGUF_F64:
        put_format(o, "%.15g", v.f64);
        break;
    case CLSA_GGUF_STRING:
        put(o, (const char *)data + 8, (size_t)v.u64);
        return 8 + (size_t)v.u64;
    case CLSA_GGUF_ARRAY:
        break;
    }
    return sizes[type];
}

size_t clsa_gguf_print(const struct clsa_gguf_key *key, char *text,
                       size_t capacity)
{
    struct out o = {.text = text, .capacity = capacity};
    const unsigned char *at = key->data;
    if (capacity == 0)
        return 0;
    if (key->type != CLSA_GGUF_ARRAY) {
        put_value(&o, key->type, at);
        return finish(&o);
    }
    put_format(&o, "[%" PRIu64 "] {", key->count);
    for (uint64_t i = 0; i < key->count && i < ARRAY_SHOWN; i++) {
        put(&o, ", ", i ? 2 : 0);
        at += put_value(&o, key->element, at);
    }
    put_format(&o, "%s}", key->count > ARRAY_SHOWN ? ", ..." : "");
    return finish(&o);
}
