/* SPDX-License-Identifier: Apache-2.0 */
/* From the name of an ordinary model and pairs of keys to a file's keys. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_bench.h"
#include "src/arch/random_like.h"
#include "src/base/types.h"
#include "src/model/mix.h"
#include "src/model/network.h"

#define PAIRS_MOST 64
#define VALUE_SIZE 80
#define INDEX_KEYS 400

const char *clsa_shape_name(size_t i)
{
    size_t count = 0;
    while (clsa_like_models[count].name)
        count++;
    return i < count ? clsa_like_models[i].name : NULL;
}

/* --------------------------------------------------------------- pairs */

/* KEY=VALUE of a text, of which they are parts. */
struct pair {
    struct clsa_gguf_string key, value;
};

struct pairs {
    struct pair at[PAIRS_MOST];
    size_t count;
    clsa_error *error;
};

static bool is(const struct clsa_gguf_string *text, const char *word)
{
    return text->size == strlen(word) &&
           memcmp(text->text, word, text->size) == 0;
}

static const struct pair *find(const struct pairs *p, const char *key)
{
    for (size_t i = 0; i < p->count; i++)
        if (is(&p->at[i].key, key))
            return &p->at[i];
    return NULL;
}

static clsa_status refuse(const struct pairs *p, const struct pair *pair,
                          const char *why)
{
    return clsa_fail(p->error, CLSA_ERR_ARGUMENT, "shape: '%.*s=%.*s': %s",
                     (int)pair->key.size, pair->key.text, (int)pair->value.size,
                     pair->value.text, why);
}

/* A later pair takes the place of an earlier one of its key. */
static clsa_status add_pair(struct pairs *p, const char *text, size_t size)
{
    const char *equal = memchr(text, '=', size);
    if (!equal || equal == text || size >= VALUE_SIZE)
        return clsa_fail(p->error, CLSA_ERR_ARGUMENT,
                         "shape: '%.*s' is not KEY=VALUE, with a key of the "
                         "model file, vocab or tied",
                         size < VALUE_SIZE ? (int)size : VALUE_SIZE, text);
    const size_t key = (size_t)(equal - text);
    const struct pair pair = {{text, key}, {equal + 1, size - key - 1}};
    size_t i = 0;
    while (i < p->count && (p->at[i].key.size != key ||
                            memcmp(p->at[i].key.text, text, key) != 0))
        i++;
    if (i == PAIRS_MOST)
        return refuse(p, &pair, "these are too many keys");
    p->at[i] = pair;
    p->count += i == p->count;
    return CLSA_OK;
}

static clsa_status add_pairs(struct pairs *p, const char *text)
{
    for (;;) {
        const size_t size = strcspn(text, ",");
        CLSA_TRY(add_pair(p, text, size));
        if (text[size] == '\0')
            return CLSA_OK;
        text += size + 1;
    }
}

/* -------------------------------------------------------------- values */

/* Digits and nothing else. */
static bool parse_whole(const char *text, size_t size, uint32_t *value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || n > UINT32_MAX / 10)
            return false;
        n = 10 * n + (uint64_t)(text[i] - '0');
    }
    *value = (uint32_t)n;
    return size > 0 && n <= UINT32_MAX;
}

/* N or N*TIMES, at the end of a list. */
static bool add_element(const char *text, size_t size,
                        int32_t list[CLSA_LAYER_LIMIT], size_t *count)
{
    const char *star = memchr(text, '*', size);
    const size_t first = star ? (size_t)(star - text) : size;
    uint32_t value, times = 1;
    if (!parse_whole(text, first, &value) || value > INT32_MAX ||
        (star && !parse_whole(star + 1, size - first - 1, &times)) ||
        times > CLSA_LAYER_LIMIT - *count)
        return false;
    for (uint32_t i = 0; i < times; i++)
        list[(*count)++] = (int32_t)value;
    return true;
}

static clsa_status put_list(struct clsa_keys *keys, const char *name,
                            const struct pairs *p, const struct pair *pair)
{
    int32_t list[CLSA_LAYER_LIMIT];
    const char *at = pair->value.text, *end = at + pair->value.size;
    size_t count = 0;
    for (; at < end; at++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        const char *stop = colon ? colon : end;
        if (!add_element(at, (size_t)(stop - at), list, &count))
            return refuse(p, pair, "a list is N:N*TIMES:...");
        at = stop;
    }
    clsa_keys_array(keys, name, CLSA_GGUF_I32, count);
    clsa_bytes_add(&keys->bytes, list, count * sizeof *list);
    return CLSA_OK;
}

static clsa_status put(struct clsa_keys *keys, const char *arch,
                       const struct pairs *p, const struct pair *pair)
{
    char name[2 * VALUE_SIZE], value[VALUE_SIZE], *end;
    const struct clsa_gguf_string *v = &pair->value;
    uint32_t whole;
    snprintf(name, sizeof name, "%s.%.*s", arch, (int)pair->key.size,
             pair->key.text);
    snprintf(value, sizeof value, "%.*s", (int)v->size, v->text);
    if (strpbrk(value, ":*"))
        return put_list(keys, name, p, pair);
    const double number = strtod(value, &end);
    if (parse_whole(v->text, v->size, &whole))
        clsa_keys_u32(keys, name, whole);
    else if (end != value && *end == '\0')
        clsa_keys_f32(keys, name, (float)number);
    else if (is(v, "true") || is(v, "false"))
        clsa_keys_bool(keys, name, value[0] == 't');
    else
        clsa_keys_text(keys, name, v->text, v->size);
    return CLSA_OK;
}

static clsa_status put_all(struct clsa_like *like, const struct pairs *p)
{
    const char *arch = like->model->arch;
    uint32_t value = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct pair *pair = &p->at[i];
        const bool whole =
            parse_whole(pair->value.text, pair->value.size, &value);
        if (is(&pair->key, "vocab")) {
            if (!whole || value == 0 || value > CLSA_SIZE_LIMIT)
                return refuse(p, pair, "not a number of tokens");
            like->vocab = value;
        } else if (is(&pair->key, "tied")) {
            if (!whole || value > 1)
                return refuse(p, pair, "not 0 or 1");
            like->tied = value == 1;
        } else
            CLSA_TRY(put(&like->keys, arch, p, pair));
    }
    return CLSA_OK;
}

/* ---------------------------------------------------------------- keys */

static void put_text(struct clsa_keys *keys, const char *name, const char *text)
{
    clsa_keys_text(keys, name, text, strlen(text));
}

static clsa_status find_model(struct clsa_like *like, const char *shape,
                              clsa_error *error)
{
    const struct clsa_gguf_string name = {shape, strcspn(shape, ",")};
    const struct clsa_like_model *m = clsa_like_models;
    while (m->name && !is(&name, m->name))
        m++;
    if (!m->name)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "shape '%.40s' does not begin with the name of a "
                         "model that is known, such as '%s'",
                         shape, clsa_like_models->name);
    like->model = m;
    like->vocab = m->vocab;
    like->tied = m->tied;
    return CLSA_OK;
}

/* Keys of indexes at three layers, in `text`, which the pairs are parts of.
   Models whose layers have windows, are few, or have sites, get none. */
static clsa_status add_indexes(struct pairs *p, const char *arch,
                               char text[INDEX_KEYS])
{
    const struct clsa_gguf_string *count = &find(p, "block_count")->value;
    uint32_t layers = 0;
    if (!parse_whole(count->text, count->size, &layers))
        return CLSA_OK; /* refused later */
    const uint32_t second = layers / 6 > 3 ? layers / 6 : 3;
    if (strncmp(arch, "gemma", 5) == 0 || layers / 2 <= second ||
        find(p, "attention.indexer.layers"))
        return CLSA_OK;
    snprintf(text, INDEX_KEYS,
             "attention.indexer.layers=2:%" PRIu32 ":%" PRIu32
             ",attention.indexer.head_count=8,attention.indexer.key_length=64"
             ",attention.indexer.top_k=2048,attention.indexer.sink_rows=4"
             ",attention.indexer.recent_rows=512"
             ",attention.indexer.first_window=512",
             second, layers / 2);
    return add_pairs(p, text);
}

clsa_status clsa_like_open(struct clsa_like *like, const char *shape, int type,
                           bool text, clsa_error *error)
{
    struct pairs pairs = {.error = error};
    char vocab_size[VALUE_SIZE], indexes[INDEX_KEYS];
    CLSA_TRY(find_model(like, shape, error));
    const struct clsa_like_model *m = like->model;
    const char *more = strchr(shape, ',');
    CLSA_TRY(add_pairs(&pairs, m->keys));
    if (more)
        CLSA_TRY(add_pairs(&pairs, more + 1));
    if (!text)
        CLSA_TRY(add_indexes(&pairs, m->arch, indexes));
    if (!text && more) /* once more, over the keys of indexes */
        CLSA_TRY(add_pairs(&pairs, more + 1));
    put_text(&like->keys, "general.architecture", m->arch);
    put_text(&like->keys, "general.type", "model");
    put_text(&like->keys, "general.name", "random weights");
    CLSA_TRY(put_all(like, &pairs));
    snprintf(vocab_size, sizeof vocab_size, "%s.vocab_size", m->arch);
    clsa_keys_u32(&like->keys, vocab_size, like->vocab);
    clsa_keys_u32(&like->keys, "general.alignment", CLSA_GGUF_ALIGNMENT);
    clsa_keys_u32(&like->keys, "general.file_type",
                  clsa_mix_known(type)
                      ? clsa_mix_file_number(type)
                      : clsa_type_file_number((clsa_type)type));
    clsa_keys_u32(&like->keys, "general.quantization_version", 2);
    return text ? clsa_like_vocab(&like->keys, m->pre, like->vocab, error)
                : CLSA_OK;
}

void clsa_like_close(struct clsa_like *like)
{
    clsa_bytes_free(&like->keys.bytes);
}

/* ------------------------------------------------------------- factors */

bool clsa_like_has(const struct clsa_like *like, const char *tensor)
{
    switch (like->model->rope) {
    case CLSA_LIKE_LLAMA3:
    case CLSA_LIKE_QUARTER:
        return strcmp(tensor, "rope_freqs.weight") == 0;
    case CLSA_LIKE_LONGROPE:
        return strncmp(tensor, "rope_factors_", 13) == 0;
    default:
        return false;
    }
}

/* Pair i of n: slow ones are divided by the factor, fast ones are not. */
static float llama3(size_t i, size_t n, double factor)
{
    const double original = 8192, base = 500000, pi = 3.14159265358979323846;
    const double wave = 2 * pi * pow(base, (double)i / (double)n);
    if (wave < original / 4)
        return 1;
    if (wave > original)
        return (float)factor;
    const double share = (original / wave - 1) / 3;
    return (float)(1 / ((1 - share) / factor + share));
}

void clsa_like_factors(const struct clsa_like *like, const char *tensor,
                       float *factors, size_t n)
{
    const bool wide = strstr(tensor, "_long") != NULL;
    for (size_t i = 0; i < n; i++) {
        const float part = (float)i / (float)n;
        switch (like->model->rope) {
        case CLSA_LIKE_LLAMA3:
            factors[i] = llama3(i, n, like->model->factor);
            break;
        case CLSA_LIKE_QUARTER:
            factors[i] = part < 0.25f ? 1 : 1e30f;
            break;
        default:
            factors[i] = wide ? 1 + 63 * part * part : 1;
        }
    }
}
