/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of pre-tokenizers, the stages of those that have several, and the
 * way through the stages. In the comments an expression is written as the
 * models' makers do.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/model/chars.h"
#include "src/model/pretoken.h"

/* ------------------------------------------------------ stages of several */

struct range {
    uint32_t first, last;
};

/* Whether a code is in one of `count` ascending ranges. */
static bool in_ranges(const struct range *ranges, size_t count, uint32_t code)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && code >= ranges[low].first;
}

typedef bool in_class(const struct clsa_char *c);

/* CLASS{1,most}, after one white space if `space`. */
static size_t match_class(const char *text, size_t from, size_t end,
                          in_class *is, bool space, size_t most)
{
    size_t at = from;
    struct clsa_char c = clsa_char_at(text + at);
    if (space && (c.class & CLSA_SPACE)) {
        at += c.size;
        if (at == end)
            return 0;
        c = clsa_char_at(text + at);
    }
    if (!is(&c))
        return 0;
    for (at += c.size; at < end && --most > 0; at += c.size) {
        c = clsa_char_at(text + at);
        if (!is(&c))
            break;
    }
    return at - from;
}

static size_t find_class(const char *text, size_t from, size_t end,
                         in_class *is, bool space, size_t most, size_t *length)
{
    size_t at = from;
    while (at < end) {
        *length = match_class(text, at, end, is, space, most);
        if (*length > 0)
            return at;
        at += clsa_char_at(text + at).size;
    }
    *length = 0;
    return end;
}

static bool is_number(const struct clsa_char *c)
{
    return c->class == CLSA_NUMBER;
}

/* \p{N} */
static size_t one_number(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_number, false, 1, n);
}

/* \p{N}{1,3} */
static size_t three_numbers(const char *text, size_t from, size_t end,
                            size_t *n)
{
    return find_class(text, from, end, is_number, false, 3, n);
}

static bool is_break(const struct clsa_char *c)
{
    return c->class == CLSA_BREAK;
}

/* [\r\n] */
static size_t one_break(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_break, false, 1, n);
}

static bool is_letter(const struct clsa_char *c)
{
    return c->class & CLSA_LETTER;
}

/* \s?\p{L}+ */
static size_t letters(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_letter, true, SIZE_MAX, n);
}

static bool is_punct(const struct clsa_char *c)
{
    return c->class == CLSA_PUNCT;
}

/* \s?\p{P}+ */
static size_t puncts(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_punct, true, SIZE_MAX, n);
}

/* U+0800 to U+9FA5 and U+AC00 to U+D7FF: [一-龥ࠀ-一가-퟿] */
static bool is_east_asian(const struct clsa_char *c)
{
    return (c->code >= 0x800 && c->code <= 0x9fa5) ||
           (c->code >= 0xac00 && c->code <= 0xd7ff);
}

static size_t east_asian(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_east_asian, false, SIZE_MAX, n);
}

/* Han, Hiragana and Katakana: [一-龥぀-ゟ゠-ヿ] */
static bool is_cjk(const struct clsa_char *c)
{
    return (c->code >= 0x4e00 && c->code <= 0x9fa5) ||
           (c->code >= 0x3040 && c->code <= 0x30ff);
}

static size_t cjk(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_cjk, false, SIZE_MAX, n);
}

/* The letters of deepseek-llm: those with case, as far as it lists them. */
static bool is_listed(const struct clsa_char *c)
{
    static const struct range listed[] = {
        {0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},
        {0xc0, 0xd6},       {0xd8, 0xf6},       {0xf8, 0x1ba},
        {0x1bc, 0x1bf},     {0x1c4, 0x293},     {0x295, 0x2af},
        {0x370, 0x373},     {0x376, 0x377},     {0x37b, 0x37d},
        {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},
        {0x38c, 0x38c},     {0x38e, 0x3a1},     {0x3a3, 0x3f5},
        {0x3f7, 0x481},     {0x48a, 0x52f},     {0x531, 0x556},
        {0x10a0, 0x10c5},   {0x13a0, 0x13f5},   {0x13f8, 0x13fd},
        {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},
        {0x1d6b, 0x1d77},   {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},
        {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},   {0x1f48, 0x1f4d},
        {0x1f50, 0x1f57},   {0x1f59, 0x1f59},   {0x1f5b, 0x1f5b},
        {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},
        {0x1fb6, 0x1fbc},   {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},
        {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},   {0x1fd6, 0x1fdb},
        {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},
        {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},
        {0x2115, 0x2115},   {0x2119, 0x211d},   {0x2124, 0x2124},
        {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212a, 0x212d},
        {0x212f, 0x2134},   {0x2139, 0x2139},   {0x213c, 0x213f},
        {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2184},
        {0x2c00, 0x2c7b},   {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},
        {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},   {0xa680, 0xa69b},
        {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},
        {0xab70, 0xabbf},   {0xfb00, 0xfb06},   {0xfb13, 0xfb17},
        {0xff21, 0xff3a},   {0xff41, 0xff5a},   {0x10400, 0x1044f},
        {0x104b0, 0x104d3}, {0x104d8, 0x104fb}, {0x10c80, 0x10cb2},
        {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943},
    };
    return in_ranges(listed, sizeof listed / sizeof *listed, c->code);
}

/* \s?[A-Za-zµÀ-Ö...]+ */
static size_t listed_letters(const char *text, size_t from, size_t end,
                             size_t *n)
{
    return find_class(text, from, end, is_listed, true, SIZE_MAX, n);
}

/* ! to / and : to ~, letters between them included, and full-width forms. */
static bool is_mark(const struct clsa_char *c)
{
    static const struct range marks[] = {
        {'!', '/'},       {':', '~'},       {0x2018, 0x201f},
        {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e},
    };
    return in_ranges(marks, sizeof marks / sizeof *marks, c->code);
}

/* \s?[!-/:-~！-／：-～‘-‟　-。]+ */
static size_t marks(const char *text, size_t from, size_t end, size_t *n)
{
    return find_class(text, from, end, is_mark, true, SIZE_MAX, n);
}

/* \s+$ */
static size_t last_spaces(const char *text, size_t from, size_t end, size_t *n)
{
    size_t at = end;
    while (at > from) {
        size_t before = at - 1;
        while (before > from && (text[before] & 0xc0) == 0x80)
            before--;
        if (!(clsa_char_at(text + before).class & CLSA_SPACE))
            break;
        at = before;
    }
    *n = end - at;
    return at;
}

/* ------------------------------------------------------------- the table */

static const struct clsa_pretoken table[] = {
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 "
              "lfm2 ",
     .stages = {clsa_pretoken_llama3},
     .ignore_merges = true,
     .add_bos = true},
    {.names = "smaug-bpe dbrx ", .stages = {clsa_pretoken_llama3}},
    {.names = "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat "
              "a.x-4.0 mellum ",
     .stages = {clsa_pretoken_gpt2}},
    {.names = "smollm starcoder refact ",
     .stages = {one_number, clsa_pretoken_gpt2}},
    {.names = "qwen2 deepseek-r1-qwen megrez ",
     .stages = {clsa_pretoken_qwen2},
     .nfc = true},
    {.names = "qwen35 ", .stages = {clsa_pretoken_qwen35}, .nfc = true},
    {.names = "gpt-4o llama4 kanana2 ",
     .stages = {clsa_pretoken_o200k},
     .ignore_merges = true},
    {.names = "deepseek-llm ",
     .stages = {one_break, listed_letters, marks, last_spaces, east_asian,
                one_number}},
    {.names = "deepseek-coder ",
     .stages = {one_break, letters, puncts, east_asian, one_number}},
    {.names = "deepseek-v3 ",
     .stages = {three_numbers, cjk, clsa_pretoken_deepseek_v3}},
};

const struct clsa_pretoken *clsa_pretoken_find(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (const char *p = table[i].names; *p; p = strchr(p, ' ') + 1)
            if (size > 0 && strncmp(p, name, size) == 0 && p[size] == ' ')
                return &table[i];
    return NULL;
}

void clsa_pretoken_list(char *list, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        used += (size_t)snprintf(
            list + used, capacity - used, "%s%.*s", i ? ", " : "",
            (int)strcspn(table[i].names, " "), table[i].names);
}

/* The end of the piece of a stage that starts at `from`. */
static size_t piece_end(clsa_pretoken_stage *stage, const char *text,
                        size_t from, size_t end)
{
    size_t length;
    const size_t start = stage(text, from, end, &length);
    return start > from ? start : from + length;
}

size_t clsa_pretoken_next(const struct clsa_pretoken *pretoken,
                          struct clsa_pretoken_cursor *cursor, const char *text,
                          size_t size, size_t from)
{
    size_t end = size;
    for (size_t i = 0; pretoken->stages[i]; i++) {
        if (cursor->end[i] <= from)
            cursor->end[i] = piece_end(pretoken->stages[i], text, from, end);
        end = cursor->end[i];
    }
    return end - from;
}
