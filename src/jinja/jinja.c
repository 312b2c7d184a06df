/* SPDX-License-Identifier: Apache-2.0 */
/* Failures, limits and growing text. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/jinja/jinja.h"
#include "src/jinja/unicode.h"

/* Templates raise messages of any length: cut them before a character. */
static void shorten(char *text, size_t size)
{
    size_t end = size;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    text[end] = '\0';
}

_Noreturn static void fail(struct clsa_jinja *j, clsa_status status,
                           const char *format, va_list args)
{
    char text[400];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n >= (int)sizeof text)
        shorten(text, sizeof text - 1);
    if (j->line > 0)
        clsa_fail(j->error, status, "chat template, line %u: %s", j->line,
                  text);
    else
        clsa_fail(j->error, status, "chat template: %s", text);
    j->status = status;
    longjmp(j->failed, 1);
}

void clsa_jinja_fail(struct clsa_jinja *j, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(j, j->refused, format, args);
}

void clsa_jinja_fail_status(struct clsa_jinja *j, clsa_status status,
                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(j, status, format, args);
}

void *clsa_jinja_take(struct clsa_jinja *j, size_t n, size_t size)
{
    void *memory = NULL;
    size_t total = 0;
    enum clsa_pool_result result = CLSA_POOL_LIMIT;
    if (clsa_size_mul(n, size, &total))
        result = clsa_pool_take(&j->pool, total, &memory);
    if (result == CLSA_POOL_LIMIT)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "takes more than %zu MiB of memory",
                               j->pool.limit >> 20);
    if (result == CLSA_POOL_REFUSED)
        clsa_jinja_fail_status(j, CLSA_ERR_MEMORY,
                               "out of memory: %zu bytes were refused", total);
    return memory;
}

void clsa_jinja_charge(struct clsa_jinja *j, size_t bytes)
{
    const uint64_t steps = 1 + bytes / 64;
    if (steps > j->steps)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "takes too many steps, perhaps a loop without "
                               "an end");
    j->steps -= steps;
}

void clsa_jinja_enter(struct clsa_jinja *j)
{
    clsa_jinja_charge(j, 0);
    if (j->depth >= CLSA_JINJA_DEPTH)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "nested too deep, perhaps a macro that calls "
                               "itself without an end");
    j->depth++;
}

void clsa_buffer_add(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     const char *data, size_t size)
{
    if (size == 0)
        return;
    if (size > j->output_limit - buffer->size)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "writes more than %zu MiB of text",
                               j->output_limit >> 20);
    clsa_jinja_charge(j, size);
    if (size > buffer->capacity - buffer->size) {
        size_t capacity = 2 * (buffer->size + size) + 64;
        char *grown = clsa_jinja_take(j, capacity, 1);
        if (buffer->size > 0)
            memcpy(grown, buffer->data, buffer->size);
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void clsa_buffer_add_text(struct clsa_jinja *j, struct clsa_buffer *buffer,
                          const char *text)
{
    clsa_buffer_add(j, buffer, text, strlen(text));
}

void clsa_buffer_add_char(struct clsa_jinja *j, struct clsa_buffer *buffer,
                          uint32_t c)
{
    char bytes[4];
    clsa_buffer_add(j, buffer, bytes, clsa_char_encode(c, bytes));
}

struct clsa_value clsa_buffer_string(struct clsa_jinja *j,
                                     const struct clsa_buffer *buffer)
{
    return clsa_string_of(j, buffer->data, buffer->size);
}
