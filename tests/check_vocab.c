/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening of vocabularies, good and damaged ones, each written to a small
 * GGUF file, and what only shows in vocabularies other than clsa-tiny's:
 * user-defined tokens, bytes without a token, a bos token.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/model/tokenizer.h"
#include "tests/suite.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LIST(...)    ((const char *const[]){__VA_ARGS__, NULL})

/* What a file has; what is NULL or 0 is as in clean_file(). */
struct file {
    const char *model, *pre;
    const char *const *tokens;
    const char *types; /* a digit for each token */
    const char *const *merges;
    unsigned bos; /* id + 1 */
    int add_bos;
    unsigned rstrip;  /* id + 1; 0: none takes the white space after it */
    const char *omit; /* key to leave out */
    unsigned vocab;   /* as told to clsa_tokenizer_open */
};

/* The last one is a space. */
static const char *const clean_tokens[] = {
    "<|end|>", "<|end|>>", "[unused]", "a",        "b", "c",
    "ab",      "bc",       "abc",      "\304\240", NULL};
static const char *const clean_merges[] = {"b c", "a b", "a bc", "ab c", NULL};

static struct file clean_file(struct file file)
{
    if (!file.model)
        file.model = "gpt2";
    if (!file.pre)
        file.pre = "qwen2";
    if (!file.tokens)
        file.tokens = clean_tokens;
    if (!file.types)
        file.types = "3451111111";
    if (!file.merges)
        file.merges = clean_merges;
    if (!file.bos)
        file.bos = 1;
    if (!file.vocab)
        file.vocab = 10;
    return file;
}

static void put(FILE *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        putc((int)(value >> 8 * i & 255), out);
}

static void put_string(FILE *out, const char *text)
{
    put(out, strlen(text), 8);
    fputs(text, out);
}

static void put_array(FILE *out, enum clsa_gguf_type type, size_t count)
{
    put(out, type, 4);
    put(out, count, 8);
}

static void put_strings(FILE *out, const char *const *list)
{
    size_t count = 0;
    while (list[count])
        count++;
    put_array(out, CLSA_GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        put_string(out, list[i]);
}

/* The name and type of a key, unless it is to be left out. */
static int put_key(FILE *out, const struct file *file, const char *name,
                   enum clsa_gguf_type type)
{
    char key[64];
    if (file->omit && strcmp(file->omit, name) == 0)
        return 0;
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    put_string(out, key);
    put(out, type, 4);
    return 1;
}

static void put_file(FILE *out, const struct file *file)
{
    fputs("GGUF", out);
    put(out, 3, 4);
    put(out, 0, 8);
    put(out, (file->omit ? 6 : 7) + (file->rstrip ? 1 : 0), 8);
    if (put_key(out, file, "model", CLSA_GGUF_STRING))
        put_string(out, file->model);
    if (put_key(out, file, "pre", CLSA_GGUF_STRING))
        put_string(out, file->pre);
    if (put_key(out, file, "tokens", CLSA_GGUF_ARRAY))
        put_strings(out, file->tokens);
    if (put_key(out, file, "token_type", CLSA_GGUF_ARRAY)) {
        put_array(out, CLSA_GGUF_I32, strlen(file->types));
        for (const char *p = file->types; *p; p++)
            put(out, (uint64_t)(*p - '0'), 4);
    }
    if (put_key(out, file, "merges", CLSA_GGUF_ARRAY))
        put_strings(out, file->merges);
    if (put_key(out, file, "bos_token_id", CLSA_GGUF_U32))
        put(out, file->bos - 1, 4);
    if (put_key(out, file, "add_bos_token", CLSA_GGUF_BOOL))
        put(out, (uint64_t)file->add_bos, 1);
    if (file->rstrip &&
        put_key(out, file, "rstrip_token_ids", CLSA_GGUF_ARRAY)) {
        put_array(out, CLSA_GGUF_I32, 1);
        put(out, file->rstrip - 1, 4);
    }
    fwrite((const char[32]){0}, 1, 32, out); /* up to the alignment */
}

static clsa_status open_file(struct clsa_tokenizer **tokenizer,
                             struct file file, clsa_error *error)
{
    char path[] = "check_vocab-XXXXXX";
    struct clsa_gguf *gguf;
    file = clean_file(file);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *out = fdopen(fd, "wb");
    put_file(out, &file);
    ck_assert_int_eq(fclose(out), 0);
    clsa_status status = clsa_gguf_open(&gguf, path, error);
    unlink(path);
    ck_assert_msg(status == CLSA_OK, "%s", error->message);
    status = clsa_tokenizer_open(tokenizer, gguf, file.vocab, error);
    clsa_gguf_close(gguf);
    return status;
}

static const struct {
    struct file file;
    clsa_status status;
    const char *message; /* what follows the name of the file */
} damaged[] = {
    {{.model = "bert"},
     CLSA_ERR_UNSUPPORTED,
     "tokenizer.ggml.model is 'bert': only 'gpt2', 'llama' and 'gemma4' are"},
    {{.pre = "gpt-3"},
     CLSA_ERR_UNSUPPORTED,
     "tokenizer.ggml.pre is 'gpt-3', a pre-tokenizer that is not known: "
     "supported are llama-bpe, smaug-bpe, gpt-2, smollm, qwen2, qwen35, "
     "gpt-4o, deepseek-llm, deepseek-coder, deepseek-v3"},
    {{.pre = ""}, CLSA_ERR_UNSUPPORTED, "tokenizer.ggml.pre is ''"},
    {{.pre = "qwen"}, CLSA_ERR_UNSUPPORTED, "tokenizer.ggml.pre is 'qwen'"},
    {{.omit = "pre"}, CLSA_ERR_FORMAT, "tokenizer.ggml.pre"},
    {{.omit = "tokens"}, CLSA_ERR_FORMAT, "tokenizer.ggml.tokens"},
    {{.omit = "token_type"}, CLSA_ERR_FORMAT, "tokenizer.ggml.token_type"},
    {{.omit = "merges"}, CLSA_ERR_FORMAT, "tokenizer.ggml.merges"},
    {{.vocab = 11},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens has 10 tokens, but the embedding has 11"},
    {{.types = "345111111"},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.token_type has 9 entries for 10 tokens"},
    {{.types = "3451111116"},
     CLSA_ERR_UNSUPPORTED,
     "tokenizer.ggml.token_type[9] is 6"},
    {{.types = "0451111111"},
     CLSA_ERR_UNSUPPORTED,
     "tokenizer.ggml.token_type[0] is 0"},
    {{.tokens = LIST("a", "b", "a"), .types = "111", .vocab = 3},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens[2] 'a' is the same as [0]"},
    {{.tokens = LIST("a", "b", ""), .types = "113", .vocab = 3},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens[2] is empty"},
    {{.tokens = LIST("a", "b c"), .types = "11", .vocab = 2},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens[1] 'b c' is not in the byte alphabet of GPT-2"},
    {{.tokens = LIST("a", "\305\204"), .types = "11", .vocab = 2},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens[1] '\305\204' is not in the byte alphabet"},
    {{.tokens = LIST("\346\227\245"), .types = "1", .vocab = 1},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.tokens[0] '\346\227\245' is not in the byte alphabet"},
    {{.merges = LIST("a b", "abc")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[1] 'abc' is not two tokens"},
    {{.merges = LIST("a ")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0] 'a ' is not two tokens"},
    {{.merges = LIST(" a")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0] ' a' is not two tokens"},
    {{.merges = LIST("")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0] '' is not two tokens"},
    {{.merges = LIST("a b c")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0]: 'b c' is not a normal token"},
    {{.merges = LIST("a x")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0]: 'x' is not a normal token"},
    {{.merges = LIST("a b", "c a")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[1]: 'ca' is not a normal token"},
    {{.merges = LIST("<|end|> a")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[0]: '<|end|>' is not a normal token"},
    {{.merges = LIST("a b", "b c", "a b")},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.merges[2] 'a b' appears twice"},
    {{.bos = 11}, CLSA_ERR_FORMAT, "tokenizer.ggml.bos_token_id"},
    {{.add_bos = 1, .omit = "bos_token_id"},
     CLSA_ERR_FORMAT,
     "tokenizer.ggml.add_bos_token is set, but"},
};

START_TEST(damaged_files)
{
    struct clsa_tokenizer *tokenizer = NULL;
    clsa_error error = {CLSA_OK, ""};
    clsa_status status = open_file(&tokenizer, damaged[_i].file, &error);
    ck_assert_ptr_null(tokenizer);
    ck_assert_msg(status == damaged[_i].status, "status %d: %s", (int)status,
                  error.message);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strncmp(error.message, "check_vocab-", 12) == 0, "%s",
                  error.message);
    ck_assert_msg(strstr(error.message, damaged[_i].message), "%s",
                  error.message);
}
END_TEST

/* Texts in the clean vocabulary. */
static const struct {
    const char *text;
    unsigned flags;
    const char *ids; /* a digit for each token */
} texts[] = {
    {"abc", 0, "8"}, /* through "bc", the first rule */
    {"abab", 0, "66"},
    {"cba", 0, "543"},
    {"aabcbc", 0, "387"},
    {"abc abc", 0, "898"},
    {"<|end|>", CLSA_TOKENIZE_SPECIAL, "0"},
    {"a<|end|>>b", CLSA_TOKENIZE_SPECIAL, "314"},
    {"<|end|><|end|>>", CLSA_TOKENIZE_SPECIAL, "01"},
    {"ab", CLSA_TOKENIZE_BOS, "06"},
    {"", CLSA_TOKENIZE_BOS, "0"},
    {"ab", CLSA_TOKENIZE_SPECIAL, "6"},
    {"ab<|end|>>", 0, "61"}, /* user-defined: in any text */
};

START_TEST(small_vocabulary)
{
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    struct clsa_tokens tokens;
    clsa_status status =
        open_file(&tokenizer, (struct file){.add_bos = 1}, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    status =
        clsa_tokenizer_encode(tokenizer, texts[_i].text, strlen(texts[_i].text),
                              texts[_i].flags, &tokens, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    ck_assert_uint_eq(tokens.count, strlen(texts[_i].ids));
    for (size_t i = 0; i < tokens.count; i++)
        ck_assert_int_eq(tokens.ids[i], texts[_i].ids[i] - '0');
    clsa_mem_free(tokens.ids);
    clsa_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(no_bos)
{
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    struct clsa_tokens tokens;
    clsa_status status =
        open_file(&tokenizer, (struct file){.omit = "bos_token_id"}, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    ck_assert_int_eq(clsa_tokenizer_bos(tokenizer), -1);
    ck_assert_int_eq(clsa_tokenizer_eos(tokenizer), -1);
    ck_assert_int_eq(clsa_tokenizer_encode(tokenizer, "a", 1, CLSA_TOKENIZE_BOS,
                                           &tokens, &error),
                     CLSA_OK);
    ck_assert_uint_eq(tokens.count, 1);
    clsa_mem_free(tokens.ids);
    clsa_tokenizer_close(tokenizer);
}
END_TEST

/* Special text that is not cut out, and unused tokens which never are, are
   text; bytes of it without a token are left out. */
START_TEST(byte_without_token)
{
    static const char *const lacking[] = {"ab<|end|>c", "ab[zzzz]c",
                                          "ab\377\303c"};
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    struct clsa_tokens tokens;
    ck_assert_int_eq(open_file(&tokenizer, (struct file){0}, &error), CLSA_OK);
    const size_t size = strlen(lacking[_i]);
    ck_assert_int_eq(clsa_tokenizer_encode(tokenizer, lacking[_i], size,
                                           CLSA_TOKENIZE_PLACES, &tokens,
                                           &error),
                     CLSA_OK);
    ck_assert_uint_eq(tokens.count, 2);
    ck_assert_int_eq(tokens.ids[0], 6); /* ab */
    ck_assert_int_eq(tokens.ids[1], 5); /* c */
    ck_assert_uint_eq(tokens.starts[0], 0);
    ck_assert_uint_ge(tokens.starts[1], 2);
    ck_assert_uint_le(tokens.starts[1], size - 1);
    clsa_mem_free(tokens.ids);
    clsa_mem_free(tokens.starts);
    clsa_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(token_kinds)
{
    static const char *const bytes[] = {"<|end|>", "<|end|>>", ""};
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    size_t size;
    ck_assert_int_eq(open_file(&tokenizer, (struct file){0}, &error), CLSA_OK);
    for (int32_t id = 0; id < 3; id++) {
        const char *token = clsa_tokenizer_bytes(tokenizer, id, &size);
        ck_assert_uint_eq(size, strlen(bytes[id]));
        ck_assert_mem_eq(token, bytes[id], size);
        ck_assert_int_eq(clsa_tokenizer_special(tokenizer, id), id == 0);
    }
    ck_assert_int_eq(*clsa_tokenizer_bytes(tokenizer, 9, &size), ' ');
    ck_assert_uint_eq(size, 1);
    clsa_tokenizer_close(tokenizer);
}
END_TEST

/* What a token takes is no text, but an added token in it is one, and what
   follows that is text again, as in Hugging Face's tokenizers
   (AddedVocabulary::find_matches). */
START_TEST(taken_space)
{
    static const struct {
        const char *text, *ids;
        size_t starts[5];
    } cases[] = {
        {"<|end|>  a", "01", {0, 9}},
        {"<|end|> \n a", "0321", {0, 8, 9, 10}},
        {"<|end|>\n \na", "03231", {0, 7, 8, 9, 10}},
    };
    const struct file file = {.tokens = LIST("<|end|>", "a", "\304\240", "\n"),
                              .types = "3114",
                              .merges = LIST(NULL),
                              .vocab = 4,
                              .rstrip = 1};
    struct clsa_tokenizer *tokenizer;
    clsa_error error = {CLSA_OK, ""};
    struct clsa_tokens tokens;
    const char *text = cases[_i].text;
    ck_assert_msg(open_file(&tokenizer, file, &error) == CLSA_OK, "%s",
                  error.message);
    ck_assert_int_eq(
        clsa_tokenizer_encode(tokenizer, text, strlen(text),
                              CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_PLACES,
                              &tokens, &error),
        CLSA_OK);
    ck_assert_uint_eq(tokens.count, strlen(cases[_i].ids));
    for (size_t i = 0; i < tokens.count; i++) {
        ck_assert_int_eq(tokens.ids[i], cases[_i].ids[i] - '0');
        ck_assert_uint_eq(tokens.starts[i], cases[_i].starts[i]);
    }
    clsa_mem_free(tokens.ids);
    clsa_mem_free(tokens.starts);
    clsa_tokenizer_close(tokenizer);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vocab");
    TCase *opening = tcase_create("open");
    tcase_add_loop_test(opening, damaged_files, 0, (int)COUNT(damaged));
    suite_add_tcase(s, opening);
    TCase *use = tcase_create("use");
    tcase_add_loop_test(use, small_vocabulary, 0, (int)COUNT(texts));
    tcase_add_test(use, no_bos);
    tcase_add_loop_test(use, byte_without_token, 0, 3);
    tcase_add_test(use, token_kinds);
    tcase_add_loop_test(use, taken_space, 0, 3);
    suite_add_tcase(s, use);
    return suite_run(s, CK_FORK_GETENV);
}
