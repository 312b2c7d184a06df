/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pattern of Qwen2,
 *
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}
 *   |  ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
 *
 * written so that it cuts the same pieces but hardly ever steps back, so that
 * no input of any length runs into a limit of PCRE2:
 *
 * - Repeats of a class that cannot match what follows them are possessive.
 * - \s*[\r\n]+ goes to the last line break of a run of white space. Here this
 *   is "other white space, then line breaks" as often as possible.
 * - \s+(?!\S) steps back once at most, there are no line breaks to look for.
 * - White space is \p{Z}, tab to return and U+0085, which is White_Space of
 *   Unicode; \s of PCRE2 would take U+180E as well.
 *
 * One of the alternatives matches any character: the pattern is anchored.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "src/base/mem.h"
#include "src/model/pretoken.h"

#define BLANK  "\\t\\x0b\\x0c\\x85\\p{Z}"
#define SPACE  "\\r\\n" BLANK
#define LETTER "\\p{L}"
#define NUMBER "\\p{N}"

static const char pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    "|[^\\r\\n" LETTER NUMBER "]?+" LETTER "++"
    "|" NUMBER "| ?+[^" SPACE LETTER NUMBER "]++[\\r\\n]*+"
    "|(?:[" BLANK "]*+[\\r\\n]++)++"
    "|[" SPACE "]+(?![^" SPACE "])"
    "|[" SPACE "]++";

struct clsa_pretoken {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static clsa_status fail_pcre2(clsa_error *error, int code, const char *what)
{
    PCRE2_UCHAR text[128] = "";
    pcre2_get_error_message(code, text, sizeof text);
    clsa_status status = code == PCRE2_ERROR_NOMEMORY ||
                                 code == PCRE2_ERROR_HEAP_FAILED ||
                                 code == PCRE2_ERROR_HEAPLIMIT ||
                                 code == PCRE2_ERROR_JIT_STACKLIMIT
                             ? CLSA_ERR_MEMORY
                             : CLSA_ERR_UNSUPPORTED;
    return clsa_fail(error, status, "%s: PCRE2: %s", what, (char *)text);
}

clsa_status clsa_pretoken_open(struct clsa_pretoken **pretoken,
                               clsa_error *error)
{
    int code;
    PCRE2_SIZE at;
    struct clsa_pretoken *p = clsa_mem_calloc(1, sizeof *p);
    if (!p)
        return clsa_fail_memory(error, "the tokenizer", sizeof *p);
    p->limits = pcre2_match_context_create(NULL);
    p->code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
    if (!p->code || !p->limits) {
        clsa_status status = fail_pcre2(
            error, p->code ? PCRE2_ERROR_NOMEMORY : code, "tokenizer pattern");
        clsa_pretoken_close(p);
        return status;
    }
    pcre2_set_match_limit(p->limits, UINT32_MAX);
    /* May be refused where code cannot be made executable; matching then
       interprets the pattern. */
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    *pretoken = p;
    return CLSA_OK;
}

void clsa_pretoken_close(struct clsa_pretoken *pretoken)
{
    if (!pretoken)
        return;
    pcre2_code_free(pretoken->code);
    pcre2_match_context_free(pretoken->limits);
    clsa_mem_free(pretoken);
}

struct clsa_pretoken_match *
clsa_pretoken_match_open(const struct clsa_pretoken *pretoken)
{
    return (struct clsa_pretoken_match *)pcre2_match_data_create_from_pattern(
        pretoken->code, NULL);
}

void clsa_pretoken_match_close(struct clsa_pretoken_match *match)
{
    pcre2_match_data_free((pcre2_match_data *)match);
}

clsa_status clsa_pretoken_next(const struct clsa_pretoken *pretoken,
                               struct clsa_pretoken_match *match,
                               const char *text, size_t size, size_t from,
                               size_t *length, clsa_error *error)
{
    pcre2_match_data *data = (pcre2_match_data *)match;
    /* Without this option each call would validate all that follows. */
    int code = pcre2_match(pretoken->code, (PCRE2_SPTR)text, size, from,
                           PCRE2_NO_UTF_CHECK, data, pretoken->limits);
    if (code < 0)
        return fail_pcre2(error, code, "cutting text into pieces");
    *length = pcre2_get_ovector_pointer(data)[1] - from;
    return CLSA_OK;
}
