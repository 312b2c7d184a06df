/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special_ids: which token begins a text, and which ones end a generation.
 * These are in up to four files, as ids, lists of ids or texts. An id that is
 * no token is refused by name.
 *
 * Ends: eos_token_id of generation_config.json, which a program that generates
 * goes by, or else of the configuration; and eos_token of the tokenizer.
 */
#include <inttypes.h>
#include <string.h>

#include "src/convert/convert.h"
#include "src/model/pretoken.h"

#define ENDS_LIMIT 64

struct ids {
    int32_t id[ENDS_LIMIT];
    uint32_t count;
};

struct reader {
    const struct clsa_folder *folder;
    const struct clsa_checkpoint_vocab *vocab;
};

static clsa_status add(const struct reader *r, struct ids *ids, int64_t id)
{
    for (uint32_t i = 0; i < ids->count; i++)
        if (ids->id[i] == id)
            return CLSA_OK;
    if (ids->count == ENDS_LIMIT)
        return clsa_fail(r->folder->error, CLSA_ERR_UNSUPPORTED,
                         "%s: more than %d tokens end a text", r->folder->path,
                         ENDS_LIMIT);
    ids->id[ids->count++] = (int32_t)id;
    return CLSA_OK;
}

/* An id, or the text of a token. */
static clsa_status add_value(const struct reader *r,
                             const struct clsa_folder_file *file,
                             const char *key, const json_t *value,
                             struct ids *ids)
{
    const char *text = json_string_value(value);
    clsa_error *error = r->folder->error;
    if (text) {
        const int64_t id = clsa_checkpoint_vocab_find(r->vocab, text);
        if (id >= 0)
            return add(r, ids, id);
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is '%.60s', which is not a token",
                         file->path, key, text);
    }
    if (!json_is_integer(value))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is not an id, the text of a token or a "
                         "list of these",
                         file->path, key);
    const json_int_t id = json_integer_value(value);
    if (id < 0 || id >= (json_int_t)r->vocab->count)
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %" JSON_INTEGER_FORMAT
                         ", not from 0 to %" PRIu32
                         ", the last id of the vocabulary",
                         file->path, key, id, r->vocab->count - 1);
    return add(r, ids, id);
}

/* The value of a key, which may belong to the text of several media. */
static const json_t *find_value(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value ? value
                 : json_object_get(json_object_get(object, "text_config"), key);
}

/* One value or a list of them. */
static clsa_status add_key(const struct reader *r,
                           const struct clsa_folder_file *file, const char *key,
                           struct ids *ids)
{
    const json_t *value = find_value(file->object, key);
    if (!value || json_is_null(value))
        return CLSA_OK;
    if (!json_is_array(value))
        return add_value(r, file, key, value, ids);
    for (size_t i = 0; i < json_array_size(value); i++)
        CLSA_TRY(add_value(r, file, key, json_array_get(value, i), ids));
    return CLSA_OK;
}

/* bos_token or eos_token of the tokenizer: a text, or an object with one. */
static clsa_status add_token(const struct reader *r, const char *key,
                             struct ids *ids)
{
    const struct clsa_folder_file *file = &r->folder->settings;
    const json_t *value = json_object_get(file->object, key);
    if (!value || json_is_null(value)) {
        file = &r->folder->words;
        value = json_object_get(file->object, key);
    }
    if (json_is_object(value))
        value = json_object_get(value, "content");
    const char *text = json_string_value(value);
    if (!text)
        return CLSA_OK;
    const int64_t id = clsa_checkpoint_vocab_find(r->vocab, text);
    if (id >= 0)
        return add(r, ids, id);
    clsa_note(r->folder->options,
              "%s '%.60s' of %s is not a token and is left out", key, text,
              clsa_base_name(file->path));
    return CLSA_OK;
}

/* ids of generation_config.json, else of the configuration. */
static clsa_status add_configured(const struct reader *r, const char *key,
                                  struct ids *ids)
{
    struct ids other = {.count = 0};
    const uint32_t before = ids->count;
    CLSA_TRY(add_key(r, &r->folder->generation, key, ids));
    if (ids->count == before)
        return add_key(r, &r->folder->config, key, ids);
    return add_key(r, &r->folder->config, key, &other); /* to be checked */
}

/* Whether texts of a pre-tokenizer begin with bos where nothing says so. */
static bool adds_bos(const struct clsa_checkpoint_vocab *vocab)
{
    const char *pre = vocab->pipeline.pre;
    const struct clsa_pretoken *known = clsa_pretoken_find(pre, strlen(pre));
    return known && known->add_bos;
}

static clsa_status put_bos(struct clsa_keys *keys, const struct reader *r,
                           int64_t first)
{
    const struct clsa_json_source settings =
        clsa_folder_source(r->folder, &r->folder->settings);
    const json_t *said = json_object_get(settings.object, "add_bos_token");
    struct ids token = {.count = 0}, configured = {.count = 0};
    bool add_bos = first >= 0;
    CLSA_TRY(clsa_json_bool(&settings, "add_bos_token", &add_bos));
    CLSA_TRY(add_token(r, "bos_token", &token));
    CLSA_TRY(add_configured(r, "bos_token_id", &configured));
    int64_t bos = token.count ? token.id[0] : -1;
    if (bos < 0 && configured.count)
        bos = configured.id[0];
    if (first >= 0) {
        clsa_note(r->folder->options,
                  "bos, '%.60s', begins every text, as the post_processor of "
                  "tokenizer.json says%s",
                  r->vocab->text[first],
                  json_is_false(said) ? ", though add_bos_token is false" : "");
        bos = first;
    }
    if (bos >= 0)
        clsa_keys_u32(keys, "tokenizer.ggml.bos_token_id", (uint32_t)bos);
    if (said || first >= 0 || !adds_bos(r->vocab))
        clsa_keys_bool(keys, "tokenizer.ggml.add_bos_token",
                       add_bos || first >= 0);
    if (!add_bos || bos >= 0)
        return CLSA_OK;
    return clsa_fail(settings.error, CLSA_ERR_FORMAT,
                     "%s: add_bos_token is true, but there is no bos_token",
                     settings.path);
}

/* GGUF has three names for tokens that end something; all end a generation. */
static void put_ends(struct clsa_keys *keys, const struct reader *r,
                     const struct ids *ends)
{
    static const char *const names[] = {"tokenizer.ggml.eos_token_id",
                                        "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id"};
    for (uint32_t i = 0; i < ends->count && i < 3; i++)
        clsa_keys_u32(keys, names[i], (uint32_t)ends->id[i]);
    if (ends->count > 3) {
        clsa_keys_array(keys, "tokenizer.ggml.eog_token_ids", CLSA_GGUF_I32,
                        ends->count);
        clsa_bytes_add(&keys->bytes, ends->id, ends->count * sizeof *ends->id);
    }
    if (ends->count == 0)
        clsa_note(r->folder->options,
                  "no token ends a text: the configuration has no "
                  "eos_token_id, the tokenizer no eos_token");
}

/* Whether texts end with eos, and with which token; that one comes first. */
static clsa_status put_eos(struct clsa_keys *keys, const struct reader *r,
                           int64_t last, struct ids *ends)
{
    const struct clsa_json_source settings =
        clsa_folder_source(r->folder, &r->folder->settings);
    struct ids token = {.count = 0};
    bool add_eos = false;
    CLSA_TRY(clsa_json_bool(&settings, "add_eos_token", &add_eos));
    CLSA_TRY(add_token(r, "eos_token", &token));
    if (last < 0 && !add_eos)
        return CLSA_OK;
    if (last < 0 && token.count)
        last = token.id[0];
    if (last < 0)
        return clsa_fail(settings.error, CLSA_ERR_FORMAT,
                         "%s: add_eos_token is true, but there is no eos_token",
                         settings.path);
    uint32_t i = 0;
    while (i < ends->count && ends->id[i] != last)
        i++;
    if (i == ends->count)
        return clsa_fail(r->folder->error, CLSA_ERR_UNSUPPORTED,
                         "%s: texts end with '%.60s', which does not end a "
                         "generation: this is not supported",
                         r->folder->path, r->vocab->text[last]);
    for (; i > 0; i--)
        ends->id[i] = ends->id[i - 1];
    ends->id[0] = last;
    clsa_keys_bool(keys, "tokenizer.ggml.add_eos_token", true);
    return CLSA_OK;
}

clsa_status clsa_special_ids(struct clsa_keys *keys,
                             const struct clsa_folder *folder,
                             const struct clsa_checkpoint_vocab *vocab,
                             const struct clsa_added_ends *added)
{
    const struct reader r = {folder, vocab};
    struct ids ends = {.count = 0};
    CLSA_TRY(put_bos(keys, &r, added->first));
    CLSA_TRY(add_configured(&r, "eos_token_id", &ends));
    CLSA_TRY(add_token(&r, "eos_token", &ends));
    CLSA_TRY(put_eos(keys, &r, added->last, &ends));
    put_ends(keys, &r, &ends);
    return CLSA_OK;
}
