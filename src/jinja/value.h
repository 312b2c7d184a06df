/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: what expressions of a template are, with the semantics of Python:
 * equality, order, truth, and dictionaries that keep the order of their keys.
 * Lists, dictionaries and namespaces are shared, strings never change and are
 * valid UTF-8.
 */
#ifndef CLSA_JINJA_VALUE_H
#define CLSA_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clsa_jinja;
struct clsa_node;

enum clsa_kind {
    CLSA_ABSENT = 0, /* an argument that was not given */
    CLSA_UNDEFINED,  /* `string` is its name, or NULL */
    CLSA_NONE,
    CLSA_BOOL,
    CLSA_INT,
    CLSA_BIG, /* an integer of the input past 64 bits, as digits */
    CLSA_FLOAT,
    CLSA_STRING,
    CLSA_LIST,
    CLSA_TUPLE,
    CLSA_RANGE,     /* integers that are made when they are asked for */
    CLSA_GENERATOR, /* gives its items once, and is true even if empty */
    CLSA_DICT,
    CLSA_NAMESPACE,
    CLSA_LOOP,
    CLSA_MACRO,
    CLSA_FUNCTION, /* of the library, with the value it is a method of */
    CLSA_CYCLER,
    CLSA_JOINER
};

struct clsa_value {
    enum clsa_kind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        const struct clsa_string *string;
        struct clsa_list *list;
        struct clsa_dict *dict; /* of a namespace too */
        const struct clsa_range *range;
        struct clsa_for_loop *loop;
        struct clsa_macro *macro;
        struct clsa_function *function;
        struct clsa_cycler *cycler;
    };
};

struct clsa_string {
    const char *data;
    size_t size; /* bytes */
    bool ascii;
    bool markup; /* went through safe or escape */
};

struct clsa_list {
    struct clsa_value *items;
    size_t count, capacity;
    bool group; /* of groupby: the first two items are grouper and list */
};

struct clsa_entry {
    struct clsa_value key, value;
};

struct clsa_dict {
    struct clsa_entry *entries;
    size_t count, capacity;
    uint32_t *index;   /* entry + 1 by hash, 0: free; NULL: few entries */
    size_t index_size; /* a power of two */
};

struct clsa_range {
    int64_t start, step;
    size_t count;
};

/* The variable `loop`. */
struct clsa_for_loop {
    const struct clsa_list *items;  /* or NULL: */
    const struct clsa_range *range; /* the items */
    size_t count, at;
    struct clsa_list *last; /* arguments of changed(); NULL: none yet */
};

struct clsa_macro {
    const struct clsa_node *node;
    struct clsa_scope *scope; /* where it was defined */
};

/* Also a joiner: its separator is the one item. */
struct clsa_cycler {
    const struct clsa_list *items;
    size_t at;
};

static inline struct clsa_value clsa_undefined(void)
{
    return (struct clsa_value){.kind = CLSA_UNDEFINED};
}

static inline struct clsa_value clsa_none(void)
{
    return (struct clsa_value){.kind = CLSA_NONE};
}

static inline struct clsa_value clsa_bool(bool truth)
{
    return (struct clsa_value){.kind = CLSA_BOOL, .truth = truth};
}

static inline struct clsa_value clsa_int(int64_t integer)
{
    return (struct clsa_value){.kind = CLSA_INT, .integer = integer};
}

static inline struct clsa_value clsa_float(double real)
{
    return (struct clsa_value){.kind = CLSA_FLOAT, .real = real};
}

/* A string of bytes that stay where they are; of a copy; of a C string that
   stays; the part [from, to) of the bytes of another one. */
struct clsa_value clsa_string_of(struct clsa_jinja *j, const char *data,
                                 size_t size);
struct clsa_value clsa_string_copy(struct clsa_jinja *j, const char *data,
                                   size_t size);
struct clsa_value clsa_text(struct clsa_jinja *j, const char *text);
struct clsa_value clsa_string_part(struct clsa_jinja *j,
                                   const struct clsa_string *s, size_t from,
                                   size_t to);
struct clsa_value clsa_string_markup(struct clsa_jinja *j,
                                     const struct clsa_string *s);
bool clsa_string_is(const struct clsa_string *s, const char *text);

/* A new list of a kind that has items. */
struct clsa_value clsa_list_new(struct clsa_jinja *j, enum clsa_kind kind,
                                size_t capacity);
/* The items of a value in a list of its own. */
struct clsa_list *clsa_list_copy(struct clsa_jinja *j, struct clsa_value v);
void clsa_list_add(struct clsa_jinja *j, struct clsa_list *list,
                   struct clsa_value item);

struct clsa_value clsa_dict_new(struct clsa_jinja *j, enum clsa_kind kind);
void clsa_dict_set(struct clsa_jinja *j, struct clsa_dict *dict,
                   struct clsa_value key, struct clsa_value value);
void clsa_dict_set_text(struct clsa_jinja *j, struct clsa_dict *dict,
                        const char *key, struct clsa_value value);
/* NULL if the key is not there. */
struct clsa_value *clsa_dict_get(struct clsa_jinja *j,
                                 const struct clsa_dict *dict,
                                 struct clsa_value key);
struct clsa_value *clsa_dict_text(struct clsa_jinja *j,
                                  const struct clsa_dict *dict,
                                  const char *key);
/* Without entries, which keep their memory. */
void clsa_dict_clear(struct clsa_dict *dict);
bool clsa_dict_remove(struct clsa_jinja *j, struct clsa_dict *dict,
                      struct clsa_value key);

static inline bool clsa_is_number(struct clsa_value v)
{
    return v.kind == CLSA_BOOL || v.kind == CLSA_INT || v.kind == CLSA_FLOAT ||
           v.kind == CLSA_BIG;
}

/* What Python uses as an int: integers and booleans. */
bool clsa_value_int(struct clsa_value v, int64_t *integer);
double clsa_value_real(struct clsa_value v);

/* Name of a type as Python has it, for messages. */
const char *clsa_value_type(struct clsa_value v);

bool clsa_value_true(struct clsa_value v);
bool clsa_value_equal(struct clsa_jinja *j, struct clsa_value a,
                      struct clsa_value b);
bool clsa_value_same(struct clsa_value a, struct clsa_value b);
/* Below 0, 0, above 0; fails if the two have no order. */
int clsa_value_compare(struct clsa_jinja *j, struct clsa_value a,
                       struct clsa_value b);

/* The items of a value in a list: characters of a string, keys of a dictionary.
   A list or tuple is given as it is, a generator is emptied. Fails if the value
   has no items. */
const struct clsa_list *clsa_value_items(struct clsa_jinja *j,
                                         struct clsa_value v);
bool clsa_value_iterable(struct clsa_value v);

/* Item `at` < count of a loop. */
struct clsa_value clsa_for_loop_item(const struct clsa_for_loop *loop,
                                     size_t at);

/* Number of items or characters; false if the value has no length. */
bool clsa_value_length(struct clsa_value v, size_t *length);

#endif /* CLSA_JINJA_VALUE_H */
