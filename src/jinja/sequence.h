/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence: sorting, slices, membership and attributes: what operators, filters
 * and methods share.
 */
#ifndef CLSA_JINJA_SEQUENCE_H
#define CLSA_JINJA_SEQUENCE_H

#include "src/jinja/jinja.h"

/* Sorts n items by keys of the same order, stable. */
void clsa_sort(struct clsa_jinja *j, struct clsa_value *items,
               struct clsa_value *keys, size_t n, bool reverse);

/* The entries of a dictionary by key. */
struct clsa_entry *clsa_sorted_entries(struct clsa_jinja *j,
                                       const struct clsa_dict *dict);

/* value[start:stop:step]; parts that are not given are CLSA_NONE. */
struct clsa_value clsa_slice(struct clsa_jinja *j, struct clsa_value value,
                             const struct clsa_value parts[3]);

bool clsa_contains(struct clsa_jinja *j, struct clsa_value container,
                   struct clsa_value item);

/* Where `part` is in `text` from `from` on, in bytes; SIZE_MAX: nowhere. */
size_t clsa_find(struct clsa_jinja *j, const struct clsa_string *text,
                 const struct clsa_string *part, size_t from);

/* value[key] and value.name as Jinja has them: the one, else the other, else
   undefined. Only the undefined value has no attributes: it fails. */
struct clsa_value clsa_get_item(struct clsa_jinja *j, struct clsa_value value,
                                struct clsa_value key);
struct clsa_value clsa_get_attribute(struct clsa_jinja *j,
                                     struct clsa_value value,
                                     const struct clsa_string *name);

/* "a.b.0" as filters take it. */
struct clsa_value clsa_get_path(struct clsa_jinja *j, struct clsa_value value,
                                struct clsa_value path);

_Noreturn void clsa_fail_undefined(struct clsa_jinja *j, struct clsa_value v);

#endif /* CLSA_JINJA_SEQUENCE_H */
