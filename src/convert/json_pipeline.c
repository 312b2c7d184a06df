/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that are known. Makers write a line break in an expression as an
 * escape or as itself: both are the escape here.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/json_pipeline.h"

/* ------------------------------------------------------- the expressions */

static const char llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^"
    "\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen35[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p"
    "{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s"
    "+";
static const char o200k[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p"
    "{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]"
    "?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?"
    "i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]"
    "*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+"
    "(?!\\S)|\\s+";
static const char breaks[] = "[\\r\\n]";
static const char three[] = "\\p{N}{1,3}";
static const char cjk[] =
    "[\344\270\200-\351\276\245\343\201\200-\343\202\237\343\202\240-"
    "\343\203\277]+";
static const char deepseek[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\"
    "p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+";
static const char listed[] =
    "\\s?[A-Za-z\302\265\303\200-\303\226\303\230-\303\266\303\270-\306\272"
    "\306\274-\306\277\307\204-\312\223\312\225-\312\257\315\260-\315\263"
    "\315\266\315\267\315\273-\315\275\315\277\316\206\316\210-\316\212"
    "\316\214\316\216-\316\241\316\243-\317\265\317\267-\322\201\322\212-"
    "\324\257\324\261-\325\226\341\202\240-\341\203\205\341\216\240-"
    "\341\217\265\341\217\270-\341\217\275\341\262\220-\341\262\272"
    "\341\262\275-\341\262\277\341\264\200-\341\264\253\341\265\253-"
    "\341\265\267\341\265\271-\341\266\232\341\270\200-\341\274\225"
    "\341\274\230-\341\274\235\341\274\240-\341\275\205\341\275\210-"
    "\341\275\215\341\275\220-\341\275\227\341\275\231\341\275\233"
    "\341\275\235\341\275\237-\341\275\275\341\276\200-\341\276\264"
    "\341\276\266-\341\276\274\341\276\276\341\277\202-\341\277\204"
    "\341\277\206-\341\277\214\341\277\220-\341\277\223\341\277\226-"
    "\341\277\233\341\277\240-\341\277\254\341\277\262-\341\277\264"
    "\341\277\266-\341\277\274\342\204\202\342\204\207\342\204\212-"
    "\342\204\223\342\204\225\342\204\231-\342\204\235\342\204\244"
    "\342\204\246\342\204\250\342\204\252-\342\204\255\342\204\257-"
    "\342\204\264\342\204\271\342\204\274-\342\204\277\342\205\205-"
    "\342\205\211\342\205\216\342\206\203\342\206\204\342\260\200-"
    "\342\261\273\342\261\276-\342\263\244\342\263\253-\342\263\256"
    "\342\263\262\342\263\263\352\231\200-\352\231\255\352\232\200-"
    "\352\232\233\352\234\242-\352\235\257\352\235\261-\352\236\207"
    "\352\236\213-\352\236\216\352\255\260-\352\256\277\357\254\200-"
    "\357\254\206\357\254\223-\357\254\227\357\274\241-\357\274\272"
    "\357\275\201-\357\275\232\360\220\220\200-\360\220\221\217"
    "\360\220\222\260-\360\220\223\223\360\220\223\230-\360\220\223\273"
    "\360\220\262\200-\360\220\262\262\360\220\263\200-\360\220\263\262"
    "\360\221\242\240-\360\221\243\237\360\236\244\200-\360\236\245\203]+";
static const char marks[] =
    "\\s?[!-/:-~\357\274\201-\357\274\217\357\274\232-\357\275\236"
    "\342\200\230-\342\200\237\343\200\200-\343\200\202]+";
static const char last[] = "\\s+$";
static const char asian[] =
    "[\344\270\200-\351\276\245\340\240\200-\344\270\200\352\260\200-"
    "\355\237\277]+";
static const char letters[] = "\\s?\\p{L}+";
static const char puncts[] = "\\s?\\p{P}+";

/* \p{N} one by one, which is also a step Digits; and a step ByteLevel, with the
   expression of GPT-2 or without one. */
static const char digit[] = "\\p{N}", byte_level[] = "";

#define STEPS 7

static const struct {
    const char *pre;
    const char *steps[STEPS + 1];
    bool ignore_merges; /* which of two is meant */
} known[] = {
    {"llama-bpe", {llama3, byte_level}, true},
    {"smaug-bpe", {llama3, byte_level}, false},
    {"qwen2", {qwen2, byte_level}, false},
    {"qwen35", {qwen35, byte_level}, false},
    {"gpt-4o", {o200k, byte_level}, true},
    {"gpt-2", {gpt2}, false},
    {"gpt-2", {gpt2, byte_level}, false},
    {"smollm", {digit, gpt2}, false},
    {"smollm", {digit, gpt2, byte_level}, false},
    {"deepseek-llm",
     {breaks, listed, marks, last, asian, digit, byte_level},
     false},
    {"deepseek-coder",
     {breaks, letters, puncts, asian, digit, byte_level},
     false},
    {"deepseek-v3", {three, cjk, deepseek, byte_level}, false},
};

/* --------------------------------------------------------------- reading */

struct reader {
    const char *path;
    const char *steps[STEPS]; /* of the table, or read */
    size_t count;
    char *texts[STEPS]; /* those that were read, to be released */
    size_t text_count;
    clsa_error *error;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_type(const json_t *step, const char *type)
{
    return strcmp(text_of(step, "type"), type) == 0;
}

static clsa_status refuse(const char *path, const char *what, const char *value,
                          clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "%s: the %s '%.60s' is not supported: texts would be cut "
                     "differently",
                     path, what, value);
}

/* An expression with escapes for line breaks. */
static clsa_status add_text(struct reader *r, const char *regex)
{
    char *text = clsa_mem_calloc(2 * strlen(regex) + 1, 1), *to = text;
    if (!text)
        return clsa_fail_memory(r->error, "an expression", strlen(regex));
    for (const char *p = regex; *p; p++) {
        if (*p == '\r' || *p == '\n')
            *to++ = '\\';
        *to++ = (char)(*p == '\r' ? 'r' : *p == '\n' ? 'n' : *p);
    }
    r->texts[r->text_count++] = text;
    r->steps[r->count++] = text;
    return CLSA_OK;
}

static clsa_status add_split(struct reader *r, const json_t *step)
{
    const char *regex = text_of(json_object_get(step, "pattern"), "Regex");
    if (!*regex || strcmp(text_of(step, "behavior"), "Isolated") != 0 ||
        json_is_true(json_object_get(step, "invert")))
        return refuse(r->path, "pre-tokenizer", "Split", r->error);
    return add_text(r, regex);
}

static clsa_status add_step(struct reader *r, const json_t *step)
{
    if (r->count == STEPS)
        return refuse(r->path, "pre-tokenizer", "Sequence", r->error);
    if (is_type(step, "Split"))
        return add_split(r, step);
    if (is_type(step, "Digits") &&
        json_is_true(json_object_get(step, "individual_digits"))) {
        r->steps[r->count++] = digit;
        return CLSA_OK;
    }
    if (!is_type(step, "ByteLevel"))
        return refuse(r->path, "pre-tokenizer", text_of(step, "type"),
                      r->error);
    if (json_is_true(json_object_get(step, "add_prefix_space")))
        return refuse(r->path, "pre-tokenizer option", "add_prefix_space",
                      r->error);
    /* use_regex is on where it is absent */
    r->steps[r->count++] =
        json_is_false(json_object_get(step, "use_regex")) ? byte_level : gpt2;
    return CLSA_OK;
}

static bool same_steps(const struct reader *r, const char *const *steps)
{
    size_t i = 0;
    for (; i < r->count && steps[i]; i++)
        if (strcmp(r->steps[i], steps[i]) != 0)
            return false;
    return i == r->count && !steps[i];
}

static clsa_status find_pre(const struct reader *r,
                            struct clsa_json_pipeline *pipeline)
{
    pipeline->pre = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (same_steps(r, known[i].steps) &&
            (!pipeline->pre ||
             known[i].ignore_merges == pipeline->ignore_merges))
            pipeline->pre = known[i].pre;
    if (pipeline->pre)
        return CLSA_OK;
    return refuse(r->path, "pattern", r->count ? r->steps[0] : "", r->error);
}

static clsa_status read_steps(struct reader *r, const json_t *pre)
{
    const json_t *steps = json_object_get(pre, "pretokenizers");
    if (!is_type(pre, "Sequence"))
        return add_step(r, pre);
    for (size_t i = 0; i < json_array_size(steps); i++)
        CLSA_TRY(add_step(r, json_array_get(steps, i)));
    return CLSA_OK;
}

/* Whether a normalizer changes nothing. */
static bool is_nothing(const json_t *normalizer)
{
    return !normalizer || json_is_null(normalizer) ||
           (is_type(normalizer, "Sequence") &&
            json_array_size(json_object_get(normalizer, "normalizers")) == 0);
}

/* Byte-level BPE. */
static clsa_status read_bytes(struct clsa_json_pipeline *pipeline,
                              const json_t *root, const char *path,
                              clsa_error *error)
{
    struct reader r = {.path = path, .error = error};
    const json_t *normalizer = json_object_get(root, "normalizer");
    pipeline->model = "gpt2";
    pipeline->nfc = is_type(normalizer, "NFC");
    if (!is_nothing(normalizer) && !pipeline->nfc)
        return refuse(path, "normalizer", text_of(normalizer, "type"), error);
    clsa_status status = read_steps(&r, json_object_get(root, "pre_tokenizer"));
    if (!status)
        status = find_pre(&r, pipeline);
    for (size_t i = 0; i < r.text_count; i++)
        clsa_mem_free(r.texts[i]);
    return status;
}

/* A step of the normalizer of characters: U+2581 before the text, or for each
   space. */
static clsa_status read_spaces(struct clsa_json_pipeline *pipeline,
                               const json_t *step, bool *replaced,
                               const char *path, clsa_error *error)
{
    static const char sign[] = "\342\226\201";
    const json_t *pattern = json_object_get(step, "pattern");
    if (is_type(step, "Prepend") && !*replaced && !pipeline->add_space &&
        strcmp(text_of(step, "prepend"), sign) == 0)
        pipeline->add_space = true;
    else if (is_type(step, "Replace") && !*replaced &&
             strcmp(text_of(pattern, "String"), " ") == 0 &&
             strcmp(text_of(step, "content"), sign) == 0)
        *replaced = true;
    else
        return refuse(path, "normalizer", text_of(step, "type"), error);
    return CLSA_OK;
}

/* Whether a pre-tokenizer has nothing to cut after spaces are replaced. */
static bool cuts_nothing(const json_t *pre)
{
    return !pre || json_is_null(pre) ||
           (is_type(pre, "Split") &&
            strcmp(text_of(json_object_get(pre, "pattern"), "String"), " ") ==
                0);
}

/* Metaspace: replaces spaces, puts one before a text, and may cut there. */
static clsa_status read_metaspace(struct clsa_json_pipeline *pipeline,
                                  const json_t *step, const char *path,
                                  clsa_error *error)
{
    static const char *const schemes[] = {"always", "first", "never"};
    const char *scheme = text_of(step, "prepend_scheme");
    size_t i = 0;
    if (!*scheme)
        scheme = schemes[0];
    if (json_is_false(json_object_get(step, "add_prefix_space")))
        scheme = schemes[2];
    while (i < 3 && strcmp(scheme, schemes[i]) != 0)
        i++;
    if (i == 3)
        return refuse(path, "scheme of the pre-tokenizer Metaspace", scheme,
                      error);
    if (strcmp(text_of(step, "replacement"), "\342\226\201") != 0)
        return refuse(path, "replacement of the pre-tokenizer Metaspace",
                      text_of(step, "replacement"), error);
    pipeline->metaspace = schemes[i];
    pipeline->add_space = i < 2;
    pipeline->cut_each = !json_is_false(json_object_get(step, "split"));
    return CLSA_OK;
}

/* BPE of characters with tokens for bytes. */
static clsa_status read_chars(struct clsa_json_pipeline *pipeline,
                              const json_t *root, const char *path,
                              clsa_error *error)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *list = json_object_get(normalizer, "normalizers");
    const json_t *pre = json_object_get(root, "pre_tokenizer");
    bool replaced = false;
    pipeline->model = "gemma4";
    pipeline->pre = "";
    if (is_nothing(normalizer) && is_type(pre, "Metaspace"))
        return read_metaspace(pipeline, pre, path, error);
    if (!is_type(normalizer, "Sequence"))
        CLSA_TRY(read_spaces(pipeline, normalizer, &replaced, path, error));
    for (size_t i = 0; i < json_array_size(list); i++)
        CLSA_TRY(read_spaces(pipeline, json_array_get(list, i), &replaced, path,
                             error));
    if (!replaced)
        return refuse(path, "normalizer", text_of(normalizer, "type"), error);
    if (!cuts_nothing(pre))
        return refuse(path, "pre-tokenizer", text_of(pre, "type"), error);
    return CLSA_OK;
}

clsa_status clsa_json_pipeline_read(struct clsa_json_pipeline *pipeline,
                                    const json_t *root, const char *path,
                                    clsa_error *error)
{
    const json_t *model = json_object_get(root, "model");
    *pipeline = (struct clsa_json_pipeline){
        .ignore_merges = json_is_true(json_object_get(model, "ignore_merges")),
    };
    if (!is_type(model, "BPE"))
        return refuse(path, "tokenizer model", text_of(model, "type"), error);
    if (*text_of(model, "continuing_subword_prefix") ||
        *text_of(model, "end_of_word_suffix"))
        return refuse(path, "model option", "subword prefix or suffix", error);
    if (json_is_true(json_object_get(model, "byte_fallback")))
        return read_chars(pipeline, root, path, error);
    return read_bytes(pipeline, root, path, error);
}
