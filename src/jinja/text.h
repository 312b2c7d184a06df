/* SPDX-License-Identifier: Apache-2.0 */
/* text: what string methods and filters of text share. */
#ifndef CLSA_JINJA_TEXT_H
#define CLSA_JINJA_TEXT_H

#include "src/jinja/builtin.h"
#include "src/jinja/unicode.h"

/* Without the characters of `chars` at the ends; NULL: without white space. */
#define CLSA_STRIP_LEFT  1u
#define CLSA_STRIP_RIGHT 2u
struct clsa_value clsa_text_strip(struct clsa_jinja *j,
                                  const struct clsa_string *s,
                                  const struct clsa_string *chars,
                                  unsigned sides);

/* `count` < 0: all of them. */
struct clsa_value clsa_text_replace(struct clsa_jinja *j,
                                    const struct clsa_string *s,
                                    const struct clsa_string *from,
                                    const struct clsa_string *to,
                                    int64_t count);

/* All characters in another case; the first in one and the others in lower
   case; the first of each word, and what ends a word. */
struct clsa_value clsa_text_case(struct clsa_jinja *j,
                                 const struct clsa_string *s,
                                 enum clsa_case to);
struct clsa_value clsa_text_capitalize(struct clsa_jinja *j,
                                       const struct clsa_string *s);
struct clsa_value clsa_text_title(struct clsa_jinja *j,
                                  const struct clsa_string *s,
                                  bool (*separates)(uint32_t c),
                                  enum clsa_case first);

/* In the middle of `width` characters, or at the left or right of them. */
struct clsa_value clsa_text_pad(struct clsa_jinja *j,
                                const struct clsa_string *s, int64_t width,
                                const struct clsa_string *fill, unsigned sides);

/* As str.splitlines(). */
struct clsa_list *clsa_text_lines(struct clsa_jinja *j,
                                  const struct clsa_string *s, bool keep_ends);

/* As str.split(); separator NULL: at white space; limit < 0: none. */
struct clsa_list *clsa_split(struct clsa_jinja *j, const struct clsa_string *s,
                             const struct clsa_string *separator,
                             int64_t limit);

struct clsa_value clsa_text_join(struct clsa_jinja *j,
                                 const struct clsa_string *separator,
                                 const struct clsa_list *items);

#endif /* CLSA_JINJA_TEXT_H */
