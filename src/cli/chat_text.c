/* SPDX-License-Identifier: Apache-2.0 */
/* chat_text: guards, fragments between special tokens, tokens of one text. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/chat_text.h"
#include "src/cli/message.h"

/* The guard: U+10FFFD. In what users write it is left out. */
#define GUARD      "\xf4\x8f\xbf\xbd"
#define GUARD_SIZE (sizeof GUARD - 1)

/* ------------------------------------------------------------------ guards */

static bool is_guard(const char *text, size_t size)
{
    return size >= GUARD_SIZE && memcmp(text, GUARD, GUARD_SIZE) == 0;
}

/* Add a text without guards. */
static int add_bare(struct cli_text *to, const char *text, size_t size)
{
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && !is_guard(text + i, size - i))
            continue;
        CLI_TRY(cli_text_add(to, text + start, i - start));
        start = i + GUARD_SIZE;
        i += i < size ? GUARD_SIZE - 1 : 0;
    }
    return CLI_DONE;
}

/* Tokens of a text, special ones too, and where they begin. */
struct places {
    clsa_token_place *at;
    size_t count;
};

static int find_places(const clsa_model *model, const char *text, size_t size,
                       struct places *places)
{
    clsa_error error;
    if (clsa_tokenize_places(model, text, size, CLSA_TOKENIZE_SPECIAL,
                             &places->at, &places->count, &error))
        return cli_fail_error(&error);
    return CLI_DONE;
}

static void free_places(struct places *places)
{
    clsa_free(places->at);
    memset(places, 0, sizeof *places);
}

/* Put a guard after the first character of each special token. *found tells
   whether there was one. */
static int guard_once(const clsa_model *model, const struct cli_text *text,
                      struct cli_text *guarded, bool *found)
{
    struct places p = {0};
    size_t from = 0;
    *found = false;
    CLI_TRY(find_places(model, text->data, text->size, &p));
    int status = cli_text_add(guarded, "", 0);
    for (size_t i = 0; i < p.count && !status; i++) {
        const size_t at = p.at[i].start;
        if (!clsa_token_is_special(model, p.at[i].id) || at >= text->size)
            continue;
        size_t n = clsa_utf8_length((const unsigned char *)text->data + at,
                                    text->size - at);
        n = at - from + (n > 0 ? n : 1);
        *found = true;
        status = cli_text_add(guarded, text->data + from, n);
        if (!status)
            status = cli_text_add(guarded, GUARD, GUARD_SIZE);
        from += n;
    }
    if (!status)
        status = cli_text_add(guarded, text->data + from, text->size - from);
    free_places(&p);
    return status;
}

/* The rest of a special token may be another one: until none is left. */
static int guard(const clsa_model *model, struct cli_text *text)
{
    bool found = true;
    while (found) {
        struct cli_text guarded = {0};
        const int status = guard_once(model, text, &guarded, &found);
        cli_text_free(text);
        *text = guarded;
        CLI_TRY(status);
    }
    return CLI_DONE;
}

int cli_chat_guard(const clsa_model *model, json_t *message, json_t **guarded)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    struct cli_text text = {0};
    *guarded = json_copy(message);
    if (!*guarded)
        return cli_fail_memory();
    int status = add_bare(&text, json_string_value(content),
                          json_string_length(content));
    if (!status && strcmp(role, "user") == 0)
        status = guard(model, &text);
    if (!status && json_object_set_new(*guarded, "content",
                                       json_stringn(text.data, text.size)) != 0)
        status = cli_fail_memory();
    if (status)
        json_decref(*guarded);
    cli_text_free(&text);
    return status;
}

/* --------------------------------------------------------------- fragments */

/* Where the fragment that begins with token i ends, at a special token or at
   the end, and whether it has a guard. */
static size_t fragment_end(const clsa_model *model, const struct places *p,
                           size_t i, const char *text, size_t size,
                           bool *guarded)
{
    const size_t from = p->at[i].start;
    while (i < p->count && !clsa_token_is_special(model, p->at[i].id))
        i++;
    const size_t end = i < p->count ? p->at[i].start : size;
    *guarded = false;
    for (size_t at = from; at < end && !*guarded; at++)
        *guarded = is_guard(text + at, end - at);
    return i;
}

/* A fragment with guards, whose special tokens are plain text. */
static int add_plain(const clsa_model *model, const char *text, size_t size,
                     struct cli_ids *ids)
{
    struct cli_text bare = {0};
    int status = add_bare(&bare, text, size);
    if (!status)
        status = cli_tokenize(model, bare.data, bare.size, 0, ids);
    cli_text_free(&bare);
    return status;
}

static int add_ids(const struct places *p, size_t from, size_t end,
                   struct cli_ids *ids)
{
    int32_t *list = malloc((end - from + 1) * sizeof *list);
    if (!list)
        return cli_fail_memory();
    for (size_t i = from; i < end; i++)
        list[i - from] = p->at[i].id;
    const int status = cli_ids_add(ids, list, end - from);
    free(list);
    return status;
}

int cli_chat_tokenize(const clsa_model *model, const char *text, size_t size,
                      struct cli_ids *ids)
{
    struct places p = {0};
    CLI_TRY(find_places(model, text, size, &p));
    int status = CLI_DONE;
    for (size_t i = 0, end; i < p.count && !status; i = end) {
        bool guarded;
        end = fragment_end(model, &p, i, text, size, &guarded);
        const size_t stop = end < p.count ? p.at[end].start : size;
        if (guarded)
            status = add_plain(model, text + p.at[i].start,
                               stop - p.at[i].start, ids);
        else
            status = add_ids(&p, i, end + (end == i), ids);
        end += end == i;
    }
    free_places(&p);
    return status;
}

/* ----------------------------------------------------------------- session */

/* A place in the bytes of tokens. */
struct cursor {
    const int32_t *ids;
    size_t count, at; /* tokens */
    const char *bytes;
    size_t left; /* bytes of the token before `at` that were not compared */
};

/* Take the next token if the last one is done; false at the end and at a
   special token. */
static bool fill(const clsa_model *model, struct cursor *c)
{
    while (c->left == 0) {
        if (c->at == c->count || clsa_token_is_special(model, c->ids[c->at]))
            return false;
        c->bytes = clsa_token_bytes(model, c->ids[c->at], &c->left);
        c->at++;
        if (!c->bytes)
            return false;
    }
    return true;
}

/* Whether both go on with the same text up to where a token of both ends. */
static bool same_text(const clsa_model *model, struct cursor *a,
                      struct cursor *b)
{
    do {
        if (!fill(model, a) || !fill(model, b))
            return false;
        const size_t n = a->left < b->left ? a->left : b->left;
        if (memcmp(a->bytes, b->bytes, n) != 0)
            return false;
        a->bytes += n;
        b->bytes += n;
        a->left -= n;
        b->left -= n;
    } while (a->left > 0 || b->left > 0);
    return true;
}

/* Replace `count` ids at a place by others. */
static int replace(struct cli_ids *ids, size_t at, size_t count,
                   const int32_t *with, size_t with_count)
{
    if (with_count > count)
        CLI_TRY(cli_ids_add(ids, with, with_count - count)); /* room */
    else
        ids->count -= count - with_count;
    const size_t after = ids->count - at - with_count;
    memmove(ids->ids + at + with_count, ids->ids + at + count,
            after * sizeof *ids->ids);
    memcpy(ids->ids + at, with, with_count * sizeof *ids->ids);
    return CLI_DONE;
}

int cli_chat_match(const clsa_model *model, const clsa_session *session,
                   struct cli_ids *ids, size_t *same)
{
    const int32_t *tokens = clsa_session_tokens(session);
    const size_t count = (size_t)clsa_session_length(session);
    size_t i = 0;
    while (i < count && i < ids->count) {
        if (tokens[i] == ids->ids[i]) {
            i++;
            continue;
        }
        struct cursor ours = {.ids = tokens, .count = count, .at = i};
        struct cursor theirs = {.ids = ids->ids, .count = ids->count, .at = i};
        if (!same_text(model, &ours, &theirs))
            break;
        CLI_TRY(replace(ids, i, theirs.at - i, tokens + i, ours.at - i));
        i = ours.at;
    }
    *same = i;
    return CLI_DONE;
}
