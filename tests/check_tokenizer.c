/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer and detokenizer with the vocabulary of clsa-tiny: known
 * texts, round trips of any bytes, inputs that a careless pattern or merge
 * would take quadratic time or a deep stack for, streams of tokens that cut
 * characters, and use from several threads.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/model/normalize.h"
#include "src/model/tokenizer.h"
#include "tests/suite.h"
#include "tests/token_texts.h"

#define THREADS     4
#define LONG_SIZE   ((size_t)1 << 20)
#define REPLACEMENT "\xef\xbf\xbd"

static struct clsa_tokenizer *tokenizer;

struct tokens {
    int32_t *ids;
    size_t count;
};

static struct tokens encode(const char *text, size_t size, unsigned flags)
{
    struct clsa_tokens tokens;
    clsa_error error = {CLSA_OK, ""};
    clsa_status status =
        clsa_tokenizer_encode(tokenizer, text, size, flags, &tokens, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    return (struct tokens){tokens.ids, tokens.count};
}

/* The bytes of all tokens in turn are the text again, repaired. No assertion
   for each token: Check notes every one of them in a file. */
static void check_bytes(struct tokens tokens, const char *original,
                        size_t original_size)
{
    struct clsa_normal normal;
    size_t at = 0, n = 0, i;
    ck_assert_int_eq(
        clsa_normal_open(&normal, original, original_size, false, NULL),
        CLSA_OK);
    const char *text = normal.text;
    const size_t size = normal.size;
    for (i = 0; i < tokens.count; i++, at += n) {
        const char *bytes = clsa_tokenizer_bytes(tokenizer, tokens.ids[i], &n);
        if (!bytes || n > size - at || memcmp(text + at, bytes, n) != 0)
            break;
    }
    ck_assert_msg(i == tokens.count && at == size,
                  "token %zu does not have the bytes at %zu", i, at);
    clsa_normal_close(&normal);
}

START_TEST(known_texts)
{
    const struct token_text *t = &token_texts[_i];
    struct tokens tokens = encode(t->text, t->size, t->flags);
    for (size_t i = 0; i < tokens.count && i < t->count; i++)
        ck_assert_msg(tokens.ids[i] == t->ids[i], "%s: token %zu is %d, not %d",
                      t->name, i, tokens.ids[i], t->ids[i]);
    ck_assert_uint_eq(tokens.count, t->count);
    check_bytes(tokens, t->text, t->size);
    clsa_mem_free(tokens.ids);
}
END_TEST

START_TEST(empty_text)
{
    struct tokens tokens = encode("", 0, CLSA_TOKENIZE_SPECIAL);
    ck_assert_uint_eq(tokens.count, 0);
    ck_assert_ptr_nonnull(tokens.ids);
    clsa_mem_free(tokens.ids);
}
END_TEST

START_TEST(special_ids)
{
    size_t size;
    ck_assert_int_eq(clsa_tokenizer_bos(tokenizer), 0);
    ck_assert_int_eq(clsa_tokenizer_eos(tokenizer), 0);
    ck_assert_int_eq(clsa_tokenizer_add_bos(tokenizer), 0);
    ck_assert_int_eq(clsa_tokenizer_special(tokenizer, 2), 1);
    ck_assert_int_eq(clsa_tokenizer_special(tokenizer, 4), 0);
    ck_assert_int_eq(clsa_tokenizer_special(tokenizer, -1), 0);
    ck_assert_int_eq(clsa_tokenizer_special(tokenizer, 8192), 0);
    ck_assert_ptr_null(clsa_tokenizer_bytes(tokenizer, -1, &size));
    ck_assert_ptr_null(clsa_tokenizer_bytes(tokenizer, 8192, &size));
    const char *bytes = clsa_tokenizer_bytes(tokenizer, 2, &size);
    ck_assert_uint_eq(size, 10);
    ck_assert_mem_eq(bytes, "<|im_end|>", size);
}
END_TEST

static uint32_t random_next(uint32_t *state)
{
    return (*state = *state * 1664525u + 1013904223u) >> 8;
}

/* Byte strings of all kinds: `range` of 256 is anything, less is ASCII. */
static void fill_random(char *text, size_t size, uint32_t *state)
{
    uint32_t range = random_next(state) % 2 ? 256 : 128;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(random_next(state) % range);
}

START_TEST(random_bytes)
{
    uint32_t state = 7;
    char text[300];
    for (int i = 0; i < 2000; i++) {
        size_t size = random_next(&state) % sizeof text;
        fill_random(text, size, &state);
        struct tokens tokens = encode(text, size, CLSA_TOKENIZE_SPECIAL);
        check_bytes(tokens, text, size);
        clsa_mem_free(tokens.ids);
    }
}
END_TEST

/* A text of one repeated unit, and how many tokens a mebibyte of it is. */
static const struct {
    const char *unit;
    size_t count;
} repeats[] = {
    {"a", LONG_SIZE},
    {" ", LONG_SIZE},
    {"7", LONG_SIZE},
    {"\n", LONG_SIZE / 2},
    {"\xe6\x97\xa5", LONG_SIZE},
    {"\xff", 3 * LONG_SIZE}, /* U+FFFD has three tokens */
    {"!", LONG_SIZE},
    {"\r\n", LONG_SIZE},
    {" \n", LONG_SIZE / 2},
    {"\t\t ", LONG_SIZE},
    {"'s", LONG_SIZE / 2},
    {"<|im_", LONG_SIZE / 5 * 4},
};

/* A pattern that steps back over all of it, or a merge that scans all of it
   again, would not come to an end. */
START_TEST(long_repeats)
{
    size_t unit = strlen(repeats[_i].unit);
    size_t size = LONG_SIZE / unit * unit;
    size_t expected = repeats[_i].count / unit * unit;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < size; i++)
        text[i] = repeats[_i].unit[i % unit];
    struct tokens tokens = encode(text, size, CLSA_TOKENIZE_SPECIAL);
    check_bytes(tokens, text, size);
    ck_assert_uint_le(tokens.count, expected + 1);
    ck_assert_uint_ge(tokens.count + unit, expected);
    clsa_mem_free(tokens.ids);
    free(text);
}
END_TEST

/* White space that ends in something else is one piece and what is left. */
START_TEST(long_indent)
{
    char *text = malloc(LONG_SIZE);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', LONG_SIZE);
    text[0] = '\n';
    memcpy(text + LONG_SIZE - 4, " the", 4);
    struct tokens tokens = encode(text, LONG_SIZE, 0);
    struct tokens end = encode(" the", 4, 0);
    check_bytes(tokens, text, LONG_SIZE);
    ck_assert_uint_eq(end.count, 1);
    ck_assert_int_eq(tokens.ids[tokens.count - 1], end.ids[0]);
    clsa_mem_free(tokens.ids);
    clsa_mem_free(end.ids);
    free(text);
}
END_TEST

/* Adds one token to the stream and its text to `out`; what comes out is whole
   characters each time. */
static size_t decode(clsa_detokenizer *state, int32_t id, char *out)
{
    char *text;
    size_t size;
    clsa_error error = {CLSA_OK, ""};
    clsa_status status =
        clsa_tokenizer_decode(tokenizer, state, id, &text, &size, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    ck_assert(clsa_utf8_valid(text, size));
    ck_assert_int_eq(text[size], 0);
    ck_assert_uint_le(state->count, 3);
    memcpy(out, text, size);
    clsa_mem_free(text);
    return size;
}

static size_t decode_all(struct tokens tokens, char *out)
{
    clsa_detokenizer state = {0};
    size_t size = 0;
    for (size_t i = 0; i < tokens.count; i++)
        size += decode(&state, tokens.ids[i], out + size);
    size += decode(&state, -1, out + size);
    ck_assert_uint_eq(state.count, 0);
    return size;
}

START_TEST(stream_known_texts)
{
    const struct token_text *t = &token_texts[_i];
    char out[1024];
    struct tokens tokens = encode(t->text, t->size, t->flags);
    size_t size = decode_all(tokens, out);
    struct clsa_normal normal;
    ck_assert_int_eq(clsa_normal_open(&normal, t->text, t->size, false, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(size, normal.size);
    ck_assert_mem_eq(out, normal.text, size);
    clsa_normal_close(&normal);
    clsa_mem_free(tokens.ids);
}
END_TEST

/* Bytes, and what becomes of them with @ for U+FFFD. */
static const struct {
    const char *bytes;
    size_t size;
    const char *text;
} invalid[] = {
    {BYTES("ok"), "ok"},
    {BYTES("\377"), "@"},
    {BYTES("a\303("), "a@("},
    {BYTES("\342\202"), "@"},
    {BYTES("\342\202\254\342\202"), "\342\202\254@"},
    {BYTES("\360\237\222\360\237\222\251"), "@\360\237\222\251"},
    {BYTES("\300\257\340\200\277\360\201\202A"), "@@@@@@@@A"},
    {BYTES("\355\240\200\355\277\277\355\257A"), "@@@@@@@@A"},
    {BYTES("\364\221\222\223\377A\200\277B"), "@@@@@A@@B"},
    {BYTES("\341\200\342\360\221\222\361\277A"), "@@@@A"},
    {BYTES("\200\200x\365\200"), "@@x@@"},
};

/* Tokens of the bytes, whatever they are; encode() would replace them. */
static struct tokens byte_tokens(const char *bytes, size_t size)
{
    const struct clsa_vocab *vocab = clsa_tokenizer_vocab(tokenizer);
    struct tokens tokens = {clsa_mem_calloc(size, sizeof(int32_t)), size};
    for (size_t i = 0; i < size; i++)
        tokens.ids[i] = vocab->byte_id[(unsigned char)bytes[i]];
    return tokens;
}

START_TEST(stream_invalid)
{
    char out[64], expected[64];
    size_t size = 0;
    for (const char *p = invalid[_i].text; *p; p++) {
        size_t n = *p == '@' ? 3 : 1;
        memcpy(expected + size, n == 3 ? REPLACEMENT : p, n);
        size += n;
    }
    struct tokens tokens = byte_tokens(invalid[_i].bytes, invalid[_i].size);
    ck_assert_uint_eq(decode_all(tokens, out), size);
    ck_assert_mem_eq(out, expected, size);
    clsa_mem_free(tokens.ids);
}
END_TEST

START_TEST(stream_errors)
{
    clsa_detokenizer state = {.count = 2};
    clsa_error error = {CLSA_OK, ""};
    char *text = NULL;
    memcpy(state.state, "\xe2\x82", 2);
    ck_assert_int_eq(
        clsa_tokenizer_decode(tokenizer, &state, 8192, &text, NULL, &error),
        CLSA_ERR_ARGUMENT);
    ck_assert_str_eq(error.message, "8192 is not a token");
    ck_assert_uint_eq(state.count, 2);
    ck_assert_ptr_null(text);
    state.count = 4;
    ck_assert_int_eq(
        clsa_tokenizer_decode(tokenizer, &state, 5, &text, NULL, NULL),
        CLSA_ERR_ARGUMENT);
}
END_TEST

/* The result is counted, as Check cannot assert on another thread. */
static void *encode_texts(void *wrong)
{
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < TOKEN_TEXTS; i++) {
            const struct token_text *t = &token_texts[i];
            struct clsa_tokens k;
            if (clsa_tokenizer_encode(tokenizer, t->text, t->size, t->flags, &k,
                                      NULL) != CLSA_OK) {
                ++*(size_t *)wrong;
                continue;
            }
            if (k.count != t->count ||
                memcmp(k.ids, t->ids, k.count * sizeof *k.ids) != 0)
                ++*(size_t *)wrong;
            clsa_mem_free(k.ids);
        }
    }
    return NULL;
}

START_TEST(threads)
{
    pthread_t thread[THREADS];
    size_t wrong[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, encode_texts, &wrong[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        ck_assert_uint_eq(wrong[i], 0);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("tokenizer");
    TCase *encoding = tcase_create("encode");
    tcase_set_timeout(encoding, 300);
    tcase_add_loop_test(encoding, known_texts, 0, (int)TOKEN_TEXTS);
    tcase_add_test(encoding, empty_text);
    tcase_add_test(encoding, special_ids);
    tcase_add_test(encoding, random_bytes);
    tcase_add_loop_test(encoding, long_repeats, 0,
                        sizeof repeats / sizeof *repeats);
    tcase_add_test(encoding, long_indent);
    tcase_add_test(encoding, threads);
    suite_add_tcase(s, encoding);
    TCase *decoding = tcase_create("decode");
    tcase_add_loop_test(decoding, stream_known_texts, 0, (int)TOKEN_TEXTS);
    tcase_add_loop_test(decoding, stream_invalid, 0,
                        sizeof invalid / sizeof *invalid);
    tcase_add_test(decoding, stream_errors);
    suite_add_tcase(s, decoding);
    return s;
}

static clsa_status open_model(clsa_error *error)
{
    const char *path = getenv("CLSA_TEST_MODEL"), *top = getenv("srcdir");
    char built[4096];
    struct clsa_gguf *gguf;
    snprintf(built, sizeof built, "%s/models/clsa-tiny-q8_0.gguf",
             top ? top : ".");
    CLSA_TRY(clsa_gguf_open(&gguf, path ? path : built, error));
    clsa_status status = clsa_tokenizer_open(&tokenizer, gguf, 8192, error);
    clsa_gguf_close(gguf); /* the tokenizer has copies of all it needs */
    return status;
}

int main(void)
{
    clsa_error error = {CLSA_OK, ""};
    if (open_model(&error) != CLSA_OK) {
        fprintf(stderr, "check_tokenizer: %s\n", error.message);
        return EXIT_FAILURE;
    }
    int status = suite_run(suite(), CK_FORK_GETENV);
    clsa_tokenizer_close(tokenizer);
    return status;
}
