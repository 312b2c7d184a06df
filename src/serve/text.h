/* SPDX-License-Identifier: Apache-2.0 */
/* text: bytes that grow. A failed allocation is remembered and checked once. */
#ifndef CLSA_SERVE_TEXT_H
#define CLSA_SERVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct serve_text {
    char *data; /* [size] and a NUL, or NULL */
    size_t size, capacity;
    bool failed; /* something is missing */
};

void serve_text_add(struct serve_text *text, const void *data, size_t size);
void serve_text_print(struct serve_text *text, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Forget the first bytes. */
void serve_text_drop(struct serve_text *text, size_t size);
void serve_text_free(struct serve_text *text);

#endif /* CLSA_SERVE_TEXT_H */
