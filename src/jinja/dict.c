/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries: entries in order, and from some number on an index by hash. */
#include <string.h>

#include "src/jinja/jinja.h"

#define FEW 8

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

/* Numbers that are equal have the same hash, whatever their type. */
static uint64_t hash_value(struct clsa_jinja *j, struct clsa_value v)
{
    const uint64_t start = UINT64_C(0xcbf29ce484222325);
    double real;
    uint64_t hash = start;
    switch (v.kind) {
    case CLSA_STRING:
        clsa_jinja_charge(j, v.string->size);
        return mix(start, v.string->data, v.string->size);
    case CLSA_BOOL:
    case CLSA_INT:
    case CLSA_BIG:
    case CLSA_FLOAT:
        real = clsa_value_real(v) + 0.0; /* no -0 */
        return mix(start, &real, sizeof real);
    case CLSA_TUPLE:
        clsa_jinja_enter(j);
        for (size_t i = 0; i < v.list->count; i++)
            hash = hash * 31 + hash_value(j, v.list->items[i]);
        clsa_jinja_leave(j);
        return hash;
    case CLSA_LIST:
    case CLSA_DICT:
        clsa_jinja_fail(j, "%s cannot be a key", clsa_value_type(v));
    default:
        return v.kind;
    }
}

static bool is_key(struct clsa_jinja *j, struct clsa_value a,
                   struct clsa_value b)
{
    if (a.kind == CLSA_STRING && b.kind == CLSA_STRING)
        return a.string->size == b.string->size &&
               (a.string->size == 0 ||
                memcmp(a.string->data, b.string->data, a.string->size) == 0);
    return clsa_value_equal(j, a, b);
}

/* Where an entry of this key is in the index, or belongs. */
static size_t find_slot(struct clsa_jinja *j, const struct clsa_dict *dict,
                        struct clsa_value key)
{
    size_t slot = (size_t)hash_value(j, key) & (dict->index_size - 1);
    while (dict->index[slot] > 0 &&
           !is_key(j, dict->entries[dict->index[slot] - 1].key, key))
        slot = (slot + 1) & (dict->index_size - 1);
    return slot;
}

static void make_index(struct clsa_jinja *j, struct clsa_dict *dict)
{
    dict->index_size = 4 * FEW;
    while (dict->index_size < 4 * dict->count)
        dict->index_size *= 2;
    dict->index = clsa_jinja_take(j, dict->index_size, sizeof *dict->index);
    for (size_t i = 0; i < dict->count; i++)
        dict->index[find_slot(j, dict, dict->entries[i].key)] =
            (uint32_t)(i + 1);
}

struct clsa_value clsa_dict_new(struct clsa_jinja *j, enum clsa_kind kind)
{
    struct clsa_dict *dict = clsa_jinja_take(j, 1, sizeof *dict);
    return (struct clsa_value){.kind = kind, .dict = dict};
}

struct clsa_value *clsa_dict_get(struct clsa_jinja *j,
                                 const struct clsa_dict *dict,
                                 struct clsa_value key)
{
    if (key.kind == CLSA_LIST || key.kind == CLSA_DICT)
        hash_value(j, key); /* fails */
    if (dict->index) {
        const uint32_t at = dict->index[find_slot(j, dict, key)];
        return at > 0 ? &dict->entries[at - 1].value : NULL;
    }
    for (size_t i = 0; i < dict->count; i++)
        if (is_key(j, dict->entries[i].key, key))
            return &dict->entries[i].value;
    return NULL;
}

struct clsa_value *clsa_dict_text(struct clsa_jinja *j,
                                  const struct clsa_dict *dict, const char *key)
{
    const struct clsa_string s = {.data = key, .size = strlen(key)};
    return clsa_dict_get(
        j, dict, (struct clsa_value){.kind = CLSA_STRING, .string = &s});
}

static void grow(struct clsa_jinja *j, struct clsa_dict *dict)
{
    const size_t capacity = 2 * dict->capacity + 4;
    struct clsa_entry *grown = clsa_jinja_take(j, capacity, sizeof *grown);
    if (dict->count > 0)
        memcpy(grown, dict->entries, dict->count * sizeof *grown);
    dict->entries = grown;
    dict->capacity = capacity;
}

void clsa_dict_set(struct clsa_jinja *j, struct clsa_dict *dict,
                   struct clsa_value key, struct clsa_value value)
{
    struct clsa_value *old = clsa_dict_get(j, dict, key);
    if (old) {
        *old = value;
        return;
    }
    if (dict->count == dict->capacity)
        grow(j, dict);
    dict->entries[dict->count++] = (struct clsa_entry){key, value};
    if (dict->index && 2 * dict->count < dict->index_size)
        dict->index[find_slot(j, dict, key)] = (uint32_t)dict->count;
    else if (dict->count > FEW)
        make_index(j, dict);
}

void clsa_dict_set_text(struct clsa_jinja *j, struct clsa_dict *dict,
                        const char *key, struct clsa_value value)
{
    clsa_dict_set(j, dict, clsa_text(j, key), value);
}

bool clsa_dict_remove(struct clsa_jinja *j, struct clsa_dict *dict,
                      struct clsa_value key)
{
    const struct clsa_value *value = clsa_dict_get(j, dict, key);
    if (!value)
        return false;
    const size_t at =
        (size_t)((const struct clsa_entry
                      *)(const void *)((const char *)value -
                                       offsetof(struct clsa_entry, value)) -
                 dict->entries);
    memmove(dict->entries + at, dict->entries + at + 1,
            (dict->count - at - 1) * sizeof *dict->entries);
    dict->count--;
    if (dict->index)
        make_index(j, dict);
    return true;
}

void clsa_dict_clear(struct clsa_dict *dict)
{
    dict->count = 0;
    dict->index = NULL;
    dict->index_size = 0;
}
