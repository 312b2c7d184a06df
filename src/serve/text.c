/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow by doubling. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/text.h"

/* Room for `more` bytes and a NUL. */
static bool grow(struct serve_text *t, size_t more)
{
    const size_t need = t->size + more + 1;
    if (need <= t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity : 256;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void serve_text_add(struct serve_text *text, const void *data, size_t size)
{
    if (!grow(text, size))
        return;
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void serve_text_print(struct serve_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size >= 0 && grow(text, (size_t)size)) {
        vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
}

void serve_text_drop(struct serve_text *text, size_t size)
{
    text->size -= size;
    if (text->data)
        memmove(text->data, text->data + size, text->size + 1);
}

void serve_text_free(struct serve_text *text)
{
    free(text->data);
    *text = (struct serve_text){.data = NULL};
}
