/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unicode: characters of valid UTF-8, and the properties of characters that
 * Python's string methods ask for (utf8proc).
 */
#ifndef CLSA_JINJA_UNICODE_H
#define CLSA_JINJA_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at p[0..size), size >= 1. Returns its bytes. */
size_t clsa_char_decode(const char *p, size_t size, uint32_t *c);

/* The bytes of a character, 1 to 4. */
size_t clsa_char_encode(uint32_t c, char bytes[4]);

/* Number of characters. */
size_t clsa_chars_count(const char *p, size_t size);

/* Offset in bytes of a character, `size` at and past the end. */
size_t clsa_chars_offset(const char *p, size_t size, size_t index);

/* White space as str.isspace() has it. */
bool clsa_char_space(uint32_t c);
bool clsa_char_alpha(uint32_t c);
bool clsa_char_digit(uint32_t c);
bool clsa_char_upper(uint32_t c);
bool clsa_char_lower(uint32_t c);
/* What repr() writes as it is. */
bool clsa_char_printable(uint32_t c);

/* Upper, lower and title case. Up to three characters: "ss" has one letter in
   lower case. Returns their number. */
enum clsa_case { CLSA_CASE_UPPER, CLSA_CASE_LOWER, CLSA_CASE_TITLE };
size_t clsa_char_case(uint32_t c, enum clsa_case to, uint32_t result[3]);

#endif /* CLSA_JINJA_UNICODE_H */
