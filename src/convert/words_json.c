/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer.json: byte-level BPE with the pattern of Qwen2. What would cut a
 * text differently is refused by name.
 */
#include <inttypes.h>
#include <string.h>

#include "src/convert/convert.h"
#include "src/convert/json.h"
#include "src/model/vocab.h"

static const char qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static clsa_status refuse(const char *path, const char *what, const char *value,
                          clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: the %s '%.60s' is not supported: only byte-level "
                     "BPE with the pattern of Qwen2 is",
                     path, what, value);
}

/* One step of the pre-tokenizer: the pattern, or the step to bytes. */
static clsa_status check_step(const json_t *step, const char *path, bool *split,
                              bool *bytes, clsa_error *error)
{
    const char *type = text_of(step, "type");
    if (strcmp(type, "Split") == 0) {
        const char *regex = text_of(json_object_get(step, "pattern"), "Regex");
        if (strcmp(regex, qwen2) != 0 || *split ||
            strcmp(text_of(step, "behavior"), "Isolated") != 0 ||
            json_is_true(json_object_get(step, "invert")))
            return refuse(path, "pattern", regex, error);
        *split = true;
        return CLSA_OK;
    }
    if (strcmp(type, "ByteLevel") != 0)
        return refuse(path, "pre-tokenizer", type, error);
    if (json_is_true(json_object_get(step, "add_prefix_space")))
        return refuse(path, "pre-tokenizer option", "add_prefix_space", error);
    /* use_regex is on where it is absent, and has the pattern of GPT-2 */
    if (!json_is_false(json_object_get(step, "use_regex")))
        return refuse(path, "pattern", "use_regex of ByteLevel", error);
    *bytes = true;
    return CLSA_OK;
}

static clsa_status check_pre_tokenizer(const json_t *pre, const char *path,
                                       clsa_error *error)
{
    bool split = false, bytes = false;
    const json_t *steps = json_object_get(pre, "pretokenizers");
    if (strcmp(text_of(pre, "type"), "Sequence") != 0)
        CLSA_TRY(check_step(pre, path, &split, &bytes, error));
    for (size_t i = 0; i < json_array_size(steps); i++)
        CLSA_TRY(
            check_step(json_array_get(steps, i), path, &split, &bytes, error));
    if (!split || !bytes)
        return refuse(path, "pre-tokenizer", text_of(pre, "type"), error);
    return CLSA_OK;
}

static clsa_status check_kind(const json_t *root, const json_t *model,
                              const char *path,
                              const clsa_write_options *options,
                              clsa_error *error)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (strcmp(text_of(model, "type"), "BPE") != 0)
        return refuse(path, "tokenizer model", text_of(model, "type"), error);
    if (json_is_true(json_object_get(model, "byte_fallback")))
        return refuse(path, "model option", "byte_fallback", error);
    if (json_is_true(json_object_get(model, "ignore_merges")))
        return refuse(path, "model option", "ignore_merges", error);
    if (*text_of(model, "continuing_subword_prefix") ||
        *text_of(model, "end_of_word_suffix"))
        return refuse(path, "model option", "subword prefix or suffix", error);
    if (strcmp(text_of(normalizer, "type"), "NFC") == 0)
        clsa_note(options, "normalizer NFC: texts are taken as they are");
    else if (normalizer && !json_is_null(normalizer))
        return refuse(path, "normalizer", text_of(normalizer, "type"), error);
    return check_pre_tokenizer(json_object_get(root, "pre_tokenizer"), path,
                               error);
}

static clsa_status put(struct clsa_words *words, const char *path,
                       const json_t *id, const char *text, int32_t kind,
                       clsa_error *error)
{
    const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (!text || n < 0 || n >= (json_int_t)words->count)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: token '%.60s' has no id below the vocab_size of "
                         "%" PRIu32,
                         path, text ? text : "", words->count);
    const char *old = words->text[n];
    if (old && strcmp(old, text) != 0)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: id %" JSON_INTEGER_FORMAT " is two tokens, "
                         "'%.60s' and '%.60s'",
                         path, n, old, text);
    words->text[n] = text;
    words->kind[n] = kind;
    return CLSA_OK;
}

static clsa_status read_vocabulary(struct clsa_words *words, const json_t *root,
                                   const json_t *model, const char *path,
                                   clsa_error *error)
{
    json_t *vocab = json_object_get(model, "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    const char *text;
    json_t *id;
    if (!json_is_object(vocab))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'model.vocab' is no object", path);
    json_object_foreach(vocab, text, id)
        CLSA_TRY(put(words, path, id, text, CLSA_TOKEN_NORMAL, error));
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const bool special = json_is_true(json_object_get(token, "special"));
        CLSA_TRY(put(words, path, json_object_get(token, "id"),
                     json_string_value(json_object_get(token, "content")),
                     special ? CLSA_TOKEN_CONTROL : CLSA_TOKEN_USER, error));
    }
    return CLSA_OK;
}

/* A merge is "a b" or ["a", "b"]. */
static bool read_merge(struct clsa_words *words, const json_t *merge)
{
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(a) && json_is_string(b) && json_array_size(merge) == 2) {
        clsa_words_merge(words, json_string_value(a), json_string_length(a),
                         json_string_value(b), json_string_length(b));
        return true;
    }
    const char *text = json_string_value(merge);
    const char *space = text ? strchr(text, ' ') : NULL;
    if (!space)
        return false;
    clsa_words_merge(words, text, (size_t)(space - text), space + 1,
                     strlen(space + 1));
    return true;
}

clsa_status clsa_words_json(struct clsa_words *words, const json_t *root,
                            const char *path, const clsa_write_options *options,
                            clsa_error *error)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *merges = json_object_get(model, "merges");
    CLSA_TRY(check_kind(root, model, path, options, error));
    CLSA_TRY(read_vocabulary(words, root, model, path, error));
    if (!json_is_array(merges))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key 'model.merges' is no list", path);
    for (size_t i = 0; i < json_array_size(merges); i++)
        if (!read_merge(words, json_array_get(merges, i)))
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: model.merges[%zu] is not two tokens", path,
                             i);
    return CLSA_OK;
}
