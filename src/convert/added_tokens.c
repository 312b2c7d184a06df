/* SPDX-License-Identifier: Apache-2.0 */
/*
 * added_tokens: what a tokenizer does besides its vocabulary and merges: flags
 * of added tokens, and tokens that a post-processor adds to each text. What the
 * tokenizer here does not do is refused by name.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/convert/convert.h"
#include "src/model/vocab.h"

uint8_t clsa_added_flags(const json_t *token)
{
    static const struct {
        const char *name;
        uint8_t flag;
    } flags[] = {{"rstrip", CLSA_ADDED_RSTRIP},
                 {"lstrip", CLSA_ADDED_LSTRIP},
                 {"single_word", CLSA_ADDED_WORD},
                 {"normalized", CLSA_ADDED_NORMAL}};
    uint8_t all = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (json_is_true(json_object_get(token, flags[i].name)))
            all |= flags[i].flag;
    return all;
}

/* A token that is looked for in normalized texts would have to be normalized,
   too: only NFC leaves one as it is. */
static clsa_status check_normalized(const struct clsa_json_source *s,
                                    const json_t *token,
                                    const struct clsa_json_pipeline *pipeline,
                                    bool normalizes)
{
    const char *text = json_string_value(json_object_get(token, "content"));
    bool ascii = true;
    for (const char *p = text; p && *p; p++)
        ascii &= (unsigned char)*p < 0x80;
    if (!normalizes || (pipeline->nfc && ascii) ||
        !json_is_true(json_object_get(token, "normalized")))
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: added token '%.60s' has the flag 'normalized', which "
                     "is not supported with this normalizer: texts would be "
                     "cut differently",
                     s->path, text ? text : "");
}

/* A token of tokenizer_config.json, by its id as text. One that tokenizer.json
   has stays as it is there. */
static clsa_status add_decoded(struct clsa_checkpoint_vocab *vocab,
                               const struct clsa_json_source *s,
                               const char *key, const json_t *token,
                               bool normalizes)
{
    const char *text = json_string_value(json_object_get(token, "content"));
    char *end;
    const unsigned long long id = strtoull(key, &end, 10);
    if (!text || !*text || !*key || *end || id >= vocab->count)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: added_tokens_decoder: token '%.60s' has no id "
                         "below the vocab_size of %" PRIu32,
                         s->path, text ? text : "", vocab->count);
    const char *old = vocab->text[id];
    if (old && strcmp(old, text) != 0)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: added_tokens_decoder: id %llu is '%.60s', but "
                         "'%.60s' in the vocabulary",
                         s->path, id, text, old);
    if (old && vocab->kind[id] != CLSA_TOKEN_NORMAL)
        return CLSA_OK;
    const bool special = json_is_true(json_object_get(token, "special"));
    CLSA_TRY(check_normalized(s, token, &vocab->pipeline, normalizes));
    vocab->kind[id] = special ? CLSA_TOKEN_CONTROL : CLSA_TOKEN_USER;
    vocab->text[id] = text;
    vocab->flags[id] = clsa_added_flags(token);
    return CLSA_OK;
}

/* -------------------------------------------------------- post-processor */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static clsa_status refuse(const struct clsa_json_source *s, const char *what)
{
    return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                     "%s: post_processor: %.60s is not supported: only one "
                     "token before a text, and one after it, are",
                     s->path, what);
}

/* The id of the special token of a template. */
static clsa_status read_special(const struct clsa_checkpoint_vocab *vocab,
                                const struct clsa_json_source *s,
                                const json_t *template, const char *name,
                                int64_t *id)
{
    const json_t *special =
        json_object_get(json_object_get(template, "special_tokens"), name);
    const json_t *ids = json_object_get(special, "ids");
    if (json_array_size(ids) > 1)
        return refuse(s, name);
    *id = json_array_size(ids) == 1
              ? (int64_t)json_integer_value(json_array_get(ids, 0))
              : clsa_checkpoint_vocab_find(vocab, name);
    if (*id >= 0 && *id < (int64_t)vocab->count && vocab->text[*id])
        return CLSA_OK;
    return clsa_fail(s->error, CLSA_ERR_FORMAT,
                     "%s: post_processor: '%.60s' is not a token", s->path,
                     name);
}

/* TemplateProcessing: what it makes of one text. */
static clsa_status read_template(const struct clsa_checkpoint_vocab *vocab,
                                 const struct clsa_json_source *s,
                                 const json_t *template,
                                 struct clsa_added_ends *ends)
{
    const json_t *single = json_object_get(template, "single");
    bool text = false;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *piece = json_array_get(single, i);
        const json_t *special = json_object_get(piece, "SpecialToken");
        const char *name = text_of(special, "id");
        if (json_object_get(piece, "Sequence") && !text) {
            text = true;
            continue;
        }
        int64_t *id = text ? &ends->last : &ends->first;
        if (!special || *id >= 0)
            return refuse(s, special ? name : "a template of this kind");
        CLSA_TRY(read_special(vocab, s, template, name, id));
    }
    return text ? CLSA_OK : refuse(s, "a template without the text");
}

static clsa_status read_processor(const struct clsa_checkpoint_vocab *vocab,
                                  const struct clsa_json_source *s,
                                  const json_t *processor,
                                  struct clsa_added_ends *ends)
{
    const char *type = text_of(processor, "type");
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(vocab, s, processor, ends);
    if (strcmp(type, "ByteLevel") == 0) /* changes offsets only */
        return CLSA_OK;
    return refuse(s, type);
}

static clsa_status read_processors(const struct clsa_checkpoint_vocab *vocab,
                                   const struct clsa_json_source *s,
                                   struct clsa_added_ends *ends)
{
    const json_t *post = json_object_get(s->object, "post_processor");
    const json_t *list = json_object_get(post, "processors");
    if (!post || json_is_null(post))
        return CLSA_OK;
    if (strcmp(text_of(post, "type"), "Sequence") != 0)
        return read_processor(vocab, s, post, ends);
    for (size_t i = 0; i < json_array_size(list); i++)
        CLSA_TRY(read_processor(vocab, s, json_array_get(list, i), ends));
    return CLSA_OK;
}

clsa_status clsa_added_tokens(struct clsa_checkpoint_vocab *vocab,
                              const struct clsa_folder *folder,
                              const struct clsa_json_source *root,
                              struct clsa_added_ends *ends)
{
    const struct clsa_json_source settings =
        clsa_folder_source(folder, &folder->settings);
    const json_t *normalizer = json_object_get(root->object, "normalizer");
    const json_t *added = json_object_get(root->object, "added_tokens");
    const json_t *list = json_object_get(normalizer, "normalizers");
    const bool normalizes = normalizer && !json_is_null(normalizer) &&
                            (!list || json_array_size(list) > 0);
    const char *key;
    json_t *token;
    ends->first = ends->last = -1;
    for (size_t i = 0; i < json_array_size(added); i++)
        CLSA_TRY(check_normalized(root, json_array_get(added, i),
                                  &vocab->pipeline, normalizes));
    json_object_foreach(
        json_object_get(settings.object, "added_tokens_decoder"), key, token)
    {
        CLSA_TRY(add_decoded(vocab, &settings, key, token, normalizes));
    }
    return read_processors(vocab, root, ends);
}
