/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocab_json: the tokens and merges of tokenizer.json. What would cut a text
 * differently is refused by name.
 */
#include <inttypes.h>
#include <string.h>

#include "src/convert/convert.h"
#include "src/convert/json.h"
#include "src/model/vocab.h"

/* The greater of *last and an id, -1 if it is none. */
static bool count_id(const json_t *id, json_int_t *last)
{
    const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (n > *last)
        *last = n;
    return n >= 0 && n < INT32_MAX;
}

clsa_status clsa_vocab_json_count(const json_t *root, const char *path,
                                  uint32_t *count, clsa_error *error)
{
    json_t *ids = json_object_get(json_object_get(root, "model"), "vocab"), *id;
    const json_t *added = json_object_get(root, "added_tokens");
    json_int_t last = -1;
    const char *text;
    bool good = json_is_object(ids);
    json_object_foreach(ids, text, id) good = count_id(id, &last) && good;
    for (size_t i = 0; i < json_array_size(added); i++)
        good =
            count_id(json_object_get(json_array_get(added, i), "id"), &last) &&
            good;
    if (!good || last < 0)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'model.vocab' or 'added_tokens' has a token "
                         "without an id from 0 to 2147483646",
                         path);
    *count = (uint32_t)last + 1;
    return CLSA_OK;
}

static clsa_status put(struct clsa_checkpoint_vocab *vocab, const char *path,
                       const json_t *id, const char *text, int32_t kind,
                       clsa_error *error)
{
    const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (!text || n < 0 || n >= (json_int_t)vocab->count)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: token '%.60s' has no id below the vocab_size of "
                         "%" PRIu32,
                         path, text ? text : "", vocab->count);
    const char *old = vocab->text[n];
    if (old && strcmp(old, text) != 0)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: id %" JSON_INTEGER_FORMAT " is two tokens, "
                         "'%.60s' and '%.60s'",
                         path, n, old, text);
    vocab->text[n] = text;
    vocab->kind[n] = kind;
    return CLSA_OK;
}

/* "<0x0A>" is a byte in a vocabulary of characters. */
static int32_t kind_of(const struct clsa_checkpoint_vocab *vocab,
                       const char *text)
{
    static const char hex[] = "0123456789ABCDEFabcdef";
    const bool byte = vocab->pipeline.pre && !*vocab->pipeline.pre &&
                      strlen(text) == 6 && strncmp(text, "<0x", 3) == 0 &&
                      strspn(text + 3, hex) == 2 && text[5] == '>';
    return byte ? CLSA_TOKEN_BYTE : CLSA_TOKEN_NORMAL;
}

static clsa_status read_vocabulary(struct clsa_checkpoint_vocab *vocab,
                                   const json_t *root, const json_t *model,
                                   const char *path, clsa_error *error)
{
    json_t *ids = json_object_get(model, "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    const char *text;
    json_t *id;
    if (!json_is_object(ids))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'model.vocab' is not an object", path);
    json_object_foreach(ids, text, id)
        CLSA_TRY(put(vocab, path, id, text, kind_of(vocab, text), error));
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const bool special = json_is_true(json_object_get(token, "special"));
        const json_int_t n = json_integer_value(json_object_get(token, "id"));
        CLSA_TRY(put(vocab, path, json_object_get(token, "id"),
                     json_string_value(json_object_get(token, "content")),
                     special ? CLSA_TOKEN_CONTROL : CLSA_TOKEN_USER, error));
        vocab->flags[n] = clsa_added_flags(token);
    }
    return CLSA_OK;
}

/* A merge is "a b" or ["a", "b"]. */
static bool read_merge(struct clsa_checkpoint_vocab *vocab, const json_t *merge)
{
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(a) && json_is_string(b) && json_array_size(merge) == 2) {
        clsa_checkpoint_vocab_merge(vocab, json_string_value(a),
                                    json_string_length(a), json_string_value(b),
                                    json_string_length(b));
        return true;
    }
    const char *text = json_string_value(merge);
    const char *space = text ? strchr(text, ' ') : NULL;
    if (!space)
        return false;
    clsa_checkpoint_vocab_merge(vocab, text, (size_t)(space - text), space + 1,
                                strlen(space + 1));
    return true;
}

clsa_status clsa_checkpoint_vocab_json(struct clsa_checkpoint_vocab *vocab,
                                       const json_t *root, const char *path,
                                       const clsa_write_options *options,
                                       clsa_error *error)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *merges = json_object_get(model, "merges");
    (void)options;
    CLSA_TRY(clsa_json_pipeline_read(&vocab->pipeline, root, path, error));
    vocab->unknown = json_string_value(json_object_get(model, "unk_token"));
    CLSA_TRY(read_vocabulary(vocab, root, model, path, error));
    if (!json_is_array(merges))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'model.merges' is not a list", path);
    for (size_t i = 0; i < json_array_size(merges); i++)
        if (!read_merge(vocab, json_array_get(merges, i)))
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: model.merges[%zu] is not two tokens", path,
                             i);
    return CLSA_OK;
}
