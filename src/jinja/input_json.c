/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in. jansson refuses integers past 64 bits, which schemas of tools have
 * ("maximum": 18446744073709551615): it gets them as strings that begin with
 * BIG, which become numbers here. What else begins with it is text.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/jinja/input.h"
#include "src/jinja/print.h"

#define BIG "\\u0000integer:" /* in JSON */
static const char big_bytes[] = "\0integer:";
#define BIG_SIZE (sizeof big_bytes - 1)
/* Digits that any 64-bit integer may have. */
#define FITS 18

struct rewriter {
    const char *text;
    size_t size, at;
    char *out;
    size_t used;
};

static void put(struct rewriter *w, const char *data, size_t size)
{
    memcpy(w->out + w->used, data, size);
    w->used += size;
}

static size_t string_end(const struct rewriter *w)
{
    size_t at = w->at + 1;
    while (at < w->size && w->text[at] != '"')
        at += w->text[at] == '\\' ? 2 : 1;
    return at < w->size ? at + 1 : w->size;
}

static void put_number(struct rewriter *w)
{
    size_t end = w->at + (w->text[w->at] == '-');
    const size_t digits = end;
    while (end < w->size && w->text[end] >= '0' && w->text[end] <= '9')
        end++;
    const bool integer =
        end == w->size || !strchr(".eE", w->text[end]) || !w->text[end];
    /* More leading zeros are no JSON: leave them to the parser. */
    const bool big = integer && end - digits > FITS && w->text[digits] != '0';
    if (big)
        put(w, "\"" BIG, sizeof BIG);
    put(w, w->text + w->at, end - w->at);
    if (big)
        put(w, "\"", 1);
    w->at = end;
    while (!integer && w->at < w->size && w->text[w->at] &&
           strchr("+-.eE0123456789", w->text[w->at]))
        put(w, w->text + w->at++, 1);
}

static void rewrite(struct rewriter *w)
{
    while (w->at < w->size) {
        const char c = w->text[w->at];
        if (c == '"') {
            const size_t end = string_end(w);
            put(w, w->text + w->at, end - w->at);
            w->at = end;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            put_number(w);
        } else {
            put(w, &c, 1);
            w->at++;
        }
    }
}

clsa_status clsa_input_parse(json_t **object, const char *text, size_t size,
                             clsa_error *error)
{
    /* A big integer has more digits than the text around it. */
    struct rewriter w = {.text = text, .size = size};
    json_error_t wrong;
    if (size > SIZE_MAX / 4 || !(w.out = clsa_mem_calloc(2 * size + 1, 1)))
        return clsa_fail_memory(error, "the messages", size);
    rewrite(&w);
    json_t *root = json_loadb(w.out, w.used, JSON_ALLOW_NUL, &wrong);
    clsa_mem_free(w.out);
    if (!root && json_error_code(&wrong) == json_error_out_of_memory)
        return clsa_fail_memory(error, "the messages", size);
    if (!root)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "messages: not valid JSON, line %d: %s", wrong.line,
                         wrong.text);
    if (json_is_array(root) && !(root = json_pack("{so}", "messages", root)))
        return clsa_fail_memory(error, "the messages", size);
    if (!json_is_object(root)) {
        json_decref(root);
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "messages: the JSON has to be an object or a list");
    }
    *object = root;
    return CLSA_OK;
}

/* The string of a big integer as one; digits that fit 64 bits as the number. */
static struct clsa_value string_value(struct clsa_jinja *j, const json_t *json)
{
    const char *data = json_string_value(json);
    const size_t size = json_string_length(json);
    int64_t integer;
    if (size <= BIG_SIZE || memcmp(data, big_bytes, BIG_SIZE) != 0)
        return clsa_string_copy(j, data, size);
    struct clsa_value big =
        clsa_string_copy(j, data + BIG_SIZE, size - BIG_SIZE);
    if (clsa_parse_int(big.string->data, big.string->size, &integer))
        return clsa_int(integer);
    for (size_t i = big.string->data[0] == '-'; i < big.string->size; i++)
        if (big.string->data[i] < '0' || big.string->data[i] > '9')
            return clsa_string_copy(j, data, size);
    big.kind = CLSA_BIG;
    return big;
}

static struct clsa_value list_value(struct clsa_jinja *j, const json_t *json)
{
    const size_t count = json_array_size(json);
    const struct clsa_value list = clsa_list_new(j, CLSA_LIST, count);
    for (size_t i = 0; i < count; i++)
        clsa_list_add(j, list.list,
                      clsa_input_value(j, json_array_get(json, i)));
    return list;
}

static struct clsa_value dict_value(struct clsa_jinja *j, const json_t *json)
{
    const struct clsa_value dict = clsa_dict_new(j, CLSA_DICT);
    json_t *all = (json_t *)(uintptr_t)json;
    for (void *i = json_object_iter(all); i;
         i = json_object_iter_next(all, i)) {
        const char *key = json_object_iter_key(i);
        clsa_dict_set(j, dict.dict, clsa_string_copy(j, key, strlen(key)),
                      clsa_input_value(j, json_object_iter_value(i)));
    }
    return dict;
}

struct clsa_value clsa_input_value(struct clsa_jinja *j, const json_t *json)
{
    struct clsa_value value = clsa_none();
    if (j->depth >= CLSA_JINJA_NESTING)
        clsa_jinja_fail(j, "the JSON is nested more than %d deep",
                        CLSA_JINJA_NESTING);
    clsa_jinja_enter(j);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        value = dict_value(j, json);
        break;
    case JSON_ARRAY:
        value = list_value(j, json);
        break;
    case JSON_STRING:
        value = string_value(j, json);
        break;
    case JSON_INTEGER:
        value = clsa_int(json_integer_value(json));
        break;
    case JSON_REAL:
        value = clsa_float(json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value = clsa_bool(json_is_true(json));
        break;
    case JSON_NULL:
        break;
    }
    clsa_jinja_leave(j);
    return value;
}
