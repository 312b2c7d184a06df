/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builtin: filters, tests, methods and functions: tables of names, of the
 * parameters that may be given by name, and of what to call. Nothing of them
 * reaches outside: no file, no process, no clock but the time of the rendering.
 */
#ifndef CLSA_JINJA_BUILTIN_H
#define CLSA_JINJA_BUILTIN_H

#include "src/jinja/jinja.h"

#define CLSA_BUILTIN_PARAMETERS 6

/* Arguments in order, then by name. A builtin with parameters gets one value
   for each of them in `values`, CLSA_ABSENT if it was not given. */
struct clsa_arguments {
    struct clsa_value *values;
    size_t count;
    const struct clsa_string **names;
    struct clsa_value *named;
    size_t named_count;
};

/* `self` is the value before a filter, test or method. */
typedef struct clsa_value clsa_builtin_fn(struct clsa_jinja *j,
                                          struct clsa_value self,
                                          const struct clsa_arguments *a);

/* The head of such a function. */
#define CLSA_BUILTIN(name)                                                     \
    static struct clsa_value name(struct clsa_jinja *j,                        \
                                  struct clsa_value self,                      \
                                  const struct clsa_arguments *a)

struct clsa_builtin {
    const char *name;
    clsa_builtin_fn *call;
    const char *parameters; /* names with blanks between; "*": as they come */
    unsigned required;      /* so many of them have to be there */
};

/* A builtin as a value: a function, or a method of `self`. */
struct clsa_function {
    const struct clsa_builtin *builtin;
    struct clsa_value self;
};

/* The end of a table is a NULL name. */
extern const struct clsa_builtin clsa_text_filters[];
extern const struct clsa_builtin clsa_list_filters[];
extern const struct clsa_builtin clsa_choice_filters[];
extern const struct clsa_builtin clsa_number_filters[];
extern const struct clsa_builtin clsa_tests[];
extern const struct clsa_builtin clsa_string_methods[];
extern const struct clsa_builtin clsa_split_methods[];
extern const struct clsa_builtin clsa_list_methods[];
extern const struct clsa_builtin clsa_tuple_methods[];
extern const struct clsa_builtin clsa_dict_methods[];
extern const struct clsa_builtin clsa_for_loop_methods[];
extern const struct clsa_builtin clsa_cycler_methods[];
extern const struct clsa_builtin clsa_functions[];

/* NULL if there is none. */
const struct clsa_builtin *clsa_filter_find(const struct clsa_string *name);
const struct clsa_builtin *clsa_test_find(const struct clsa_string *name);
const struct clsa_builtin *clsa_method_find(enum clsa_kind kind,
                                            const struct clsa_string *name);
const struct clsa_builtin *clsa_function_find(const struct clsa_string *name);

struct clsa_value clsa_builtin_run(struct clsa_jinja *j,
                                   const struct clsa_builtin *builtin,
                                   struct clsa_value self,
                                   const struct clsa_arguments *a);
struct clsa_value clsa_builtin_value(struct clsa_jinja *j,
                                     const struct clsa_builtin *builtin,
                                     struct clsa_value self);

/* Arguments of a builtin with parameters. */
int64_t clsa_argument_int(struct clsa_jinja *j, struct clsa_value v,
                          const char *name, int64_t absent);
const struct clsa_string *
clsa_argument_text(struct clsa_jinja *j, struct clsa_value v, const char *name);
static inline bool clsa_argument_true(struct clsa_value v, bool absent)
{
    return v.kind == CLSA_ABSENT ? absent : clsa_value_true(v);
}

#endif /* CLSA_JINJA_BUILTIN_H */
