/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The variables of a chat template: messages, tools, documents,
 * add_generation_prompt, the bos and eos tokens, and the variables of the
 * options.
 *
 * A rendering that ends with the last message writes a mark after it and is cut
 * there, as the transformers library does: what the template strips before the
 * mark is stripped.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/jinja/input.h"
#include "src/jinja/sequence.h"
#include "src/jinja/text.h"

#define MARK "CONTINUE_FINAL_MESSAGE_TAG"

static struct clsa_value *get(struct clsa_jinja *j, struct clsa_value dict,
                              const char *key)
{
    return clsa_dict_text(j, dict.dict, key);
}

static void set(struct clsa_jinja *j, const char *name, struct clsa_value value)
{
    clsa_dict_set_text(j, j->globals->variables, name, value);
}

/* ---------------------------------------------------------------- messages */

/* The thoughts of a message have several names; templates read any of them. */
static struct clsa_value with_thoughts(struct clsa_jinja *j,
                                       struct clsa_value message)
{
    static const char *const names[] = {"reasoning_content", "thinking",
                                        "reasoning"};
    const struct clsa_value *thoughts = NULL;
    for (size_t i = 0; i < 3; i++) {
        const struct clsa_value *value = get(j, message, names[i]);
        if (!thoughts && value && value->kind != CLSA_NONE)
            thoughts = value;
    }
    if (!thoughts)
        return message;
    const struct clsa_value copy = clsa_dict_new(j, CLSA_DICT);
    clsa_dict_set_text(j, copy.dict, "thinking", *thoughts);
    for (size_t i = 0; i < message.dict->count; i++)
        clsa_dict_set(j, copy.dict, message.dict->entries[i].key,
                      message.dict->entries[i].value);
    clsa_dict_set_text(j, copy.dict, "reasoning_content", *thoughts);
    return copy;
}

static struct clsa_value message_list(struct clsa_jinja *j,
                                      struct clsa_value request)
{
    struct clsa_value *all = get(j, request, "messages");
    if (!all || all->kind != CLSA_LIST)
        clsa_jinja_fail(j, "messages: a list is needed");
    for (size_t i = 0; i < all->list->count; i++) {
        if (all->list->items[i].kind != CLSA_DICT)
            clsa_jinja_fail(j, "messages: message %zu is not an object", i + 1);
        all->list->items[i] = with_thoughts(j, all->list->items[i]);
    }
    return *all;
}

/* ------------------------------------------------------------ continuation */

/* A string with the mark after it; *end receives it without. */
static struct clsa_value marked(struct clsa_jinja *j, struct clsa_value text,
                                struct clsa_continuation *end)
{
    struct clsa_buffer buffer = {0};
    end->text = text.string;
    clsa_buffer_add(j, &buffer, text.string->data, text.string->size);
    clsa_buffer_add_text(j, &buffer, MARK " ");
    return clsa_buffer_string(j, &buffer);
}

/* The last part of a content that has text. */
static bool mark_part(struct clsa_jinja *j, const struct clsa_list *parts,
                      struct clsa_continuation *end)
{
    for (size_t i = parts->count; i > 0; i--) {
        const struct clsa_value part = parts->items[i - 1];
        struct clsa_value *text =
            part.kind == CLSA_DICT ? get(j, part, "text") : NULL;
        if (!text || text->kind != CLSA_STRING)
            continue;
        *text = marked(j, *text, end);
        return true;
    }
    return false;
}

/* Mark the last message. `field` is CLSA_BOOL true for its content, or the name
   of another field. */
static void mark_last(struct clsa_jinja *j, struct clsa_value messages,
                      struct clsa_value field, struct clsa_continuation *end)
{
    if (!clsa_value_true(field))
        return;
    if (messages.list->count == 0)
        clsa_jinja_fail(j, "continue_final_message: there is no message");
    if (field.kind != CLSA_STRING)
        field = clsa_text(j, "content");
    const struct clsa_value last =
        messages.list->items[messages.list->count - 1];
    struct clsa_value *content = clsa_dict_get(j, last.dict, field);
    const bool parts = content && content->kind == CLSA_LIST;
    if (parts ? !mark_part(j, content->list, end)
              : !content || content->kind != CLSA_STRING)
        clsa_jinja_fail(j, "continue_final_message: the last message has no "
                           "text to go on with");
    if (parts)
        return;
    const struct clsa_value text = marked(j, *content, end);
    static const char *const same[] = {"reasoning_content", "thinking",
                                       "reasoning"};
    const bool thoughts = clsa_string_is(field.string, same[0]) ||
                          clsa_string_is(field.string, same[1]) ||
                          clsa_string_is(field.string, same[2]);
    for (size_t i = 0; thoughts && i < 3; i++) {
        struct clsa_value *other = get(j, last, same[i]);
        if (other && other != content && clsa_value_equal(j, *other, *content))
            *other = text;
    }
    *content = text;
}

size_t clsa_input_end(struct clsa_jinja *j, const struct clsa_buffer *text,
                      const struct clsa_continuation *end)
{
    const struct clsa_string all = {.data = text->data, .size = text->size};
    const struct clsa_string mark = {.data = MARK, .size = sizeof MARK - 1};
    if (!end->text)
        return text->size;
    const struct clsa_string *bare =
        clsa_text_strip(j, end->text, NULL, CLSA_STRIP_LEFT | CLSA_STRIP_RIGHT)
            .string;
    size_t at = SIZE_MAX;
    for (size_t next = clsa_find(j, &all, &mark, 0); next != SIZE_MAX;
         next = clsa_find(j, &all, &mark, next + 1))
        at = next;
    j->line = 0;
    if (at == SIZE_MAX || clsa_find(j, &all, bare, 0) == SIZE_MAX)
        clsa_jinja_fail(j, "continue_final_message: the template does not "
                           "write the text of the last message as it is");
    if (at + mark.size < all.size && all.data[at + mark.size] == ' ')
        return at;
    const struct clsa_string before = {.data = all.data, .size = at};
    return clsa_text_strip(j, &before, NULL, CLSA_STRIP_RIGHT).string->size;
}

/* --------------------------------------------------------------- variables */

/* YYYY-MM-DDTHH:MM:SS as the local time; without it the clock is asked. */
static void set_time(struct clsa_jinja *j, const struct clsa_value *now)
{
    struct tm t = {0};
    char rest;
    if (!now || now->kind == CLSA_NONE) {
        const time_t clock = time(NULL);
        localtime_r(&clock, &j->now);
        return;
    }
    char text[20] = "";
    if (now->kind == CLSA_STRING && now->string->size == sizeof text - 1)
        memcpy(text, now->string->data, sizeof text - 1);
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c", &t.tm_year, &t.tm_mon,
               &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec, &rest) != 6)
        clsa_jinja_fail(j, "now: a time as 2025-03-14T15:09:26 is needed");
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    struct tm filled = t;
    timegm(&filled);
    if (filled.tm_mday != t.tm_mday || filled.tm_mon != t.tm_mon ||
        filled.tm_hour != t.tm_hour || filled.tm_min != t.tm_min)
        clsa_jinja_fail(j, "now: there is no such time");
    j->now = filled;
}

static void set_token(struct clsa_jinja *j, struct clsa_value request,
                      const char *name, const char *token)
{
    const struct clsa_value *given = get(j, request, name);
    if (given && given->kind != CLSA_NONE && given->kind != CLSA_STRING)
        clsa_jinja_fail(j, "%s: a string is needed", name);
    if (given && given->kind == CLSA_STRING)
        set(j, name, *given);
    else if (!given && token)
        set(j, name, clsa_string_copy(j, token, strlen(token)));
}

static void check_keys(struct clsa_jinja *j, struct clsa_value request)
{
    static const char *const known[] = {"messages", "tools", "documents",
                                        "options",  "now",   "bos_token",
                                        "eos_token"};
    for (size_t i = 0; i < request.dict->count; i++) {
        const struct clsa_string *key = request.dict->entries[i].key.string;
        size_t k = 0;
        while (k < 7 && !clsa_string_is(key, known[k]))
            k++;
        if (k == 7)
            clsa_jinja_fail(j,
                            "unknown key '%.*s': variables of the template "
                            "belong in \"options\"",
                            (int)(key->size % 100), key->data);
    }
}

/* A list of the request, or none. */
static void set_list(struct clsa_jinja *j, struct clsa_value request,
                     const char *name)
{
    const struct clsa_value *list = get(j, request, name);
    if (list && list->kind != CLSA_LIST && list->kind != CLSA_NONE)
        clsa_jinja_fail(j, "%s: a list is needed", name);
    set(j, name, list ? *list : clsa_none());
}

void clsa_input_variables(struct clsa_jinja *j, const json_t *request,
                          const char *bos, const char *eos,
                          struct clsa_continuation *end)
{
    const struct clsa_value all = clsa_input_value(j, request);
    check_keys(j, all);
    const struct clsa_value messages = message_list(j, all);
    const struct clsa_value *options = get(j, all, "options");
    struct clsa_value going_on = clsa_bool(false);
    if (options && options->kind == CLSA_NONE)
        options = NULL;
    if (options && options->kind != CLSA_DICT)
        clsa_jinja_fail(j, "options: an object is needed");
    set_time(j, get(j, all, "now"));
    set_token(j, all, "bos_token", bos);
    set_token(j, all, "eos_token", eos);
    set(j, "add_generation_prompt", clsa_bool(false));
    for (size_t i = 0; options && i < options->dict->count; i++) {
        const struct clsa_entry *e = &options->dict->entries[i];
        if (clsa_string_is(e->key.string, "continue_final_message"))
            going_on = e->value;
        else
            clsa_dict_set(j, j->globals->variables, e->key, e->value);
    }
    mark_last(j, messages, going_on, end);
    set(j, "messages", messages);
    set_list(j, all, "tools");
    set_list(j, all, "documents");
}
