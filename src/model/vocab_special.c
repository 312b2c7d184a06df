/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special ids, which of them are added to a text or end a generation, and the
 * tokens that are cut out of a text.
 */
#include <ctype.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/vocab_read.h"

/* An optional token id; absent, `otherwise` if there is such a token. */
static clsa_status read_id(const struct vocab_reader *r, const char *key,
                           int32_t otherwise, int32_t *id)
{
    uint64_t value = UINT64_MAX;
    CLSA_TRY(clsa_gguf_uint(r->gguf, key, false, 0, r->vocab->count - 1, &value,
                            r->error));
    if (value == UINT64_MAX)
        *id = (size_t)(otherwise + 1) <= r->vocab->count ? otherwise : -1;
    else
        *id = (int32_t)value;
    return CLSA_OK;
}

/* ------------------------------------------------------------------- ends */

/* Names of control tokens that end a turn, in the templates of their models. */
static const char *const end_names[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<turn|>",
    "<|eot|>",
    "<|EOT|>",
    "<EOT>",
    "[EOT]",
    "<|return|>",
    "<|call|>",
    "<|end_of_turn|>",
    "<|endofturn|>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
};

static void add_end(struct clsa_vocab *vocab, int32_t id)
{
    for (size_t i = 0; i < vocab->end_count; i++)
        if (vocab->ends[i] == id)
            return;
    if (id >= 0)
        vocab->ends[vocab->end_count++] = id;
}

/* The control token of a name, -1: none. */
static int32_t find_control(const struct vocab_reader *r, const char *name)
{
    const struct clsa_gguf_string text = {name, strlen(name)},
                                  nothing = {"", 0};
    const int64_t id = clsa_vocab_spelled(r, text, nothing);
    return id >= 0 && r->vocab->kind[id] == CLSA_TOKEN_CONTROL ? (int32_t)id
                                                               : -1;
}

static void add_named_ends(struct vocab_reader *r)
{
    /* With these two, the end of a message does not end an answer. */
    const bool harmony =
        find_control(r, "<|return|>") >= 0 && find_control(r, "<|call|>") >= 0;
    for (size_t i = 0; i < sizeof end_names / sizeof *end_names; i++)
        if (!harmony || strcmp(end_names[i], "<|end|>") != 0)
            add_end(r->vocab, find_control(r, end_names[i]));
}

/* Ends of a text, a turn, a message: GGUF has names for three, and more are in
   a list. */
static clsa_status read_ends(struct vocab_reader *r)
{
    static const char list[] = "tokenizer.ggml.eog_token_ids";
    struct clsa_vocab *vocab = r->vocab;
    int32_t eot, eom, *ids = NULL;
    size_t count;
    CLSA_TRY(read_id(r, "tokenizer.ggml.eot_token_id", -1, &eot));
    CLSA_TRY(read_id(r, "tokenizer.ggml.eom_token_id", -1, &eom));
    CLSA_TRY(clsa_gguf_ints(r->gguf, list, false, &ids, &count, r->error));
    const size_t most = count + 3 + sizeof end_names / sizeof *end_names;
    vocab->ends = clsa_mem_calloc(most, sizeof *vocab->ends);
    clsa_status status = CLSA_OK;
    if (!vocab->ends)
        status = clsa_fail_memory(r->error, list, count);
    for (size_t i = 0; i < count && !status; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab->count)
            status = clsa_fail(r->error, CLSA_ERR_FORMAT,
                               "%s: %s[%zu] is %d, which is not a token",
                               r->gguf->path, list, i, (int)ids[i]);
    if (!status) {
        add_end(vocab, vocab->eos);
        add_end(vocab, eot);
        add_end(vocab, eom);
        add_named_ends(r);
    }
    for (size_t i = 0; i < count && !status; i++)
        add_end(vocab, ids[i]);
    clsa_mem_free(ids);
    return status;
}

/* -------------------------------------------------------------------- ids */

static clsa_status check_add(const struct vocab_reader *r, bool add, int32_t id,
                             const char *name)
{
    if (!add || id >= 0)
        return CLSA_OK;
    return clsa_fail(r->error, CLSA_ERR_FORMAT,
                     "%s: tokenizer.ggml.add_%s_token is set, but "
                     "tokenizer.ggml.%s_token_id is missing",
                     r->gguf->path, name, name);
}

/* How the step Metaspace of a tokenizer.json puts spaces before texts, and
   whether it cuts before each space. */
static clsa_status read_metaspace(struct vocab_reader *r)
{
    static const char key[] = "tokenizer.ggml.metaspace";
    static const struct {
        const char *name;
        enum clsa_prefix prefix;
    } schemes[] = {{"", CLSA_PREFIX_ALWAYS},
                   {"always", CLSA_PREFIX_MISSING},
                   {"first", CLSA_PREFIX_FIRST},
                   {"never", CLSA_PREFIX_NONE}};
    struct clsa_vocab *v = r->vocab;
    struct clsa_gguf_string text = {"", 0};
    size_t i = 0;
    CLSA_TRY(clsa_gguf_text(r->gguf, key, false, &text, r->error));
    CLSA_TRY(clsa_gguf_bool(r->gguf, "tokenizer.ggml.metaspace_split", false,
                            &v->cut_each, r->error));
    while (i < 4 && (text.size != strlen(schemes[i].name) ||
                     memcmp(text.text, schemes[i].name, text.size) != 0))
        i++;
    if (i == 4)
        return clsa_fail(r->error, CLSA_ERR_UNSUPPORTED,
                         "%s: %s is '%.*s', which is not known: first, always "
                         "and never are",
                         r->gguf->path, key, SHOW(text));
    v->prefix = i > 0 || v->add_space ? schemes[i].prefix : CLSA_PREFIX_NONE;
    v->add_space = v->prefix != CLSA_PREFIX_NONE;
    return CLSA_OK;
}

/* Defaults of SentencePiece, for model llama. */
static clsa_status read_ids(struct vocab_reader *r)
{
    struct clsa_vocab *v = r->vocab;
    const bool llama = strcmp(v->model, "llama") == 0;
    const struct clsa_gguf *gguf = r->gguf;
    CLSA_TRY(
        read_id(r, "tokenizer.ggml.bos_token_id", llama ? 1 : -1, &v->bos));
    CLSA_TRY(
        read_id(r, "tokenizer.ggml.eos_token_id", llama ? 2 : -1, &v->eos));
    CLSA_TRY(read_id(r, "tokenizer.ggml.unknown_token_id", llama ? 0 : -1,
                     &v->unknown));
    CLSA_TRY(read_ends(r));
    v->add_bos = v->bos >= 0 && (v->pretoken ? v->pretoken->add_bos : v->chars);
    v->add_space = llama;
    CLSA_TRY(clsa_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", false,
                            &v->add_bos, r->error));
    CLSA_TRY(clsa_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", false,
                            &v->add_eos, r->error));
    CLSA_TRY(clsa_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", false,
                            &v->add_space, r->error));
    v->add_space = v->add_space && v->chars;
    CLSA_TRY(read_metaspace(r));
    CLSA_TRY(check_add(r, v->add_bos, v->bos, "bos"));
    return check_add(r, v->add_eos, v->eos, "eos");
}

/* ----------------------------------------------------------- added tokens */

static bool is_added(const struct clsa_vocab *vocab, size_t i)
{
    return vocab->kind[i] == CLSA_TOKEN_CONTROL ||
           vocab->kind[i] == CLSA_TOKEN_UNKNOWN ||
           vocab->kind[i] == CLSA_TOKEN_USER;
}

/* Notes a user-defined token of spaces only, if it is one. In a text of
   characters, U+2581 is a space there too. */
static bool note_spaces(struct clsa_vocab *vocab, size_t i)
{
    size_t size;
    const char *bytes = clsa_vocab_bytes(vocab, i, &size);
    if (!vocab->chars || vocab->kind[i] != CLSA_TOKEN_USER ||
        size > CLSA_SPACES || strspn(bytes, " ") < size)
        return false;
    vocab->spaces[size] = (int32_t)i;
    if (size > vocab->most_spaces)
        vocab->most_spaces = size;
    return true;
}

static bool has_flag(const struct clsa_vocab *vocab, size_t i, unsigned flag)
{
    return vocab->flags && vocab->flags[i] & flag;
}

/* Added tokens of raw texts, or of normalized texts. */
static clsa_status open_added(struct vocab_reader *r, bool normal,
                              struct clsa_added *added)
{
    struct clsa_vocab *vocab = r->vocab;
    size_t count = 0, size;
    for (size_t i = 0; i < vocab->count; i++)
        count += is_added(vocab, i);
    struct clsa_added_token *tokens = clsa_mem_calloc(count, sizeof *tokens);
    if (!tokens)
        return clsa_fail_memory(r->error, "added tokens", count);
    count = 0;
    for (size_t i = 0; i < vocab->count; i++) {
        if (!is_added(vocab, i) ||
            has_flag(vocab, i, CLSA_ADDED_NORMAL) != normal ||
            (!normal && note_spaces(vocab, i)))
            continue;
        const char *bytes = clsa_vocab_bytes(vocab, i, &size);
        tokens[count++] = (struct clsa_added_token){
            bytes, size, (int32_t)i, vocab->kind[i] == CLSA_TOKEN_USER};
    }
    clsa_added_open(added, tokens, count);
    return CLSA_OK;
}

static clsa_status read_added(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    for (size_t i = 0; i <= CLSA_SPACES; i++)
        vocab->spaces[i] = -1;
    CLSA_TRY(open_added(r, false, &vocab->added));
    return open_added(r, true, &vocab->added_normal);
}

/* Whether the name of the model has a word, in any case. */
static bool name_has(const struct clsa_gguf_string *name, const char *word)
{
    const size_t n = strlen(word);
    for (size_t i = 0; i + n <= name->size; i++) {
        size_t same = 0;
        while (same < n &&
               tolower((unsigned char)name->text[i + same]) == word[same])
            same++;
        if (same == n)
            return true;
    }
    return false;
}

/* Phi-3's added tokens take the white space after them, except these. */
static void strip_phi3(struct clsa_vocab *vocab)
{
    static const char *const kept[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < vocab->count; i++) {
        size_t size;
        const char *bytes = clsa_vocab_bytes(vocab, i, &size);
        bool strips = is_added(vocab, i);
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            if (size == strlen(kept[k]) && memcmp(bytes, kept[k], size) == 0)
                strips = false;
        if (strips)
            vocab->flags[i] |= CLSA_ADDED_RSTRIP;
    }
}

/* The lists of tokens with a flag. */
static const struct {
    const char *key;
    uint8_t flag;
} flag_lists[] = {
    {"tokenizer.ggml.rstrip_token_ids", CLSA_ADDED_RSTRIP},
    {"tokenizer.ggml.lstrip_token_ids", CLSA_ADDED_LSTRIP},
    {"tokenizer.ggml.single_word_token_ids", CLSA_ADDED_WORD},
    {"tokenizer.ggml.normalized_token_ids", CLSA_ADDED_NORMAL},
};

static clsa_status need_flags(struct vocab_reader *r)
{
    struct clsa_vocab *vocab = r->vocab;
    if (!vocab->flags && !(vocab->flags = clsa_mem_calloc(vocab->count, 1)))
        return clsa_fail_memory(r->error, "flags of tokens", vocab->count);
    return CLSA_OK;
}

/* *found tells whether there is such a list. */
static clsa_status read_flag(struct vocab_reader *r, const char *key,
                             uint8_t flag, bool *found)
{
    struct clsa_vocab *vocab = r->vocab;
    int32_t *ids = NULL;
    size_t count;
    CLSA_TRY(clsa_gguf_ints(r->gguf, key, false, &ids, &count, r->error));
    *found = ids != NULL;
    clsa_status status = ids ? need_flags(r) : CLSA_OK;
    for (size_t i = 0; i < count && !status; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocab->count)
            status = clsa_fail(r->error, CLSA_ERR_FORMAT,
                               "%s: %s[%zu] is %d, which is not a token",
                               r->gguf->path, key, i, (int)ids[i]);
        else
            vocab->flags[ids[i]] |= flag;
    clsa_mem_free(ids);
    return status;
}

static clsa_status read_flags(struct vocab_reader *r)
{
    struct clsa_gguf_string name = {"", 0};
    bool found, strips = false;
    for (size_t i = 0; i < sizeof flag_lists / sizeof *flag_lists; i++) {
        CLSA_TRY(read_flag(r, flag_lists[i].key, flag_lists[i].flag, &found));
        strips |= found && flag_lists[i].flag == CLSA_ADDED_RSTRIP;
    }
    CLSA_TRY(clsa_gguf_text(r->gguf, "general.name", false, &name, r->error));
    if (strips || !r->vocab->chars ||
        !(name_has(&name, "phi-3") || name_has(&name, "phi3")))
        return CLSA_OK;
    CLSA_TRY(need_flags(r));
    strip_phi3(r->vocab);
    return CLSA_OK;
}

clsa_status clsa_vocab_read_special(struct vocab_reader *r)
{
    CLSA_TRY(read_ids(r));
    CLSA_TRY(read_flags(r));
    return read_added(r);
}
