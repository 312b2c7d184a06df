/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of templates: range, namespace, dict, cycler, joiner, and the
   two that chat templates have besides, raise_exception and strftime_now. */
#include <string.h>
#include <time.h>

#include "src/jinja/evaluate.h"
#include "src/jinja/print.h"

CLSA_BUILTIN(range)
{
    (void)self;
    int64_t from = 0, to = clsa_argument_int(j, a->values[0], "range", 0);
    const int64_t step = clsa_argument_int(j, a->values[2], "range", 1);
    if (a->values[1].kind != CLSA_ABSENT) {
        from = to;
        to = clsa_argument_int(j, a->values[1], "range", 0);
    }
    if (step == 0)
        clsa_jinja_fail(j, "the step of range is 0");
    struct clsa_range *r = clsa_jinja_take(j, 1, sizeof *r);
    const uint64_t width = step > 0 ? (uint64_t)to - (uint64_t)from
                                    : (uint64_t)from - (uint64_t)to;
    const uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    const uint64_t count =
        (step > 0 ? from < to : from > to) ? (width - 1) / by + 1 : 0;
    if (count > CLSA_JINJA_RANGE)
        clsa_jinja_fail_status(j, CLSA_ERR_UNSUPPORTED,
                               "range has more than %d numbers",
                               CLSA_JINJA_RANGE);
    *r = (struct clsa_range){from, step, (size_t)count};
    return (struct clsa_value){.kind = CLSA_RANGE, .range = r};
}

/* Adds the items of a dictionary, or pairs. */
static void add_items(struct clsa_jinja *j, struct clsa_dict *dict,
                      struct clsa_value items)
{
    if (items.kind == CLSA_DICT || items.kind == CLSA_NAMESPACE) {
        for (size_t i = 0; i < items.dict->count; i++)
            clsa_dict_set(j, dict, items.dict->entries[i].key,
                          items.dict->entries[i].value);
        return;
    }
    const struct clsa_list *pairs = clsa_value_items(j, items);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct clsa_list *pair = clsa_value_items(j, pairs->items[i]);
        if (pair->count != 2)
            clsa_jinja_fail(j, "dict needs pairs of keys and values");
        clsa_dict_set(j, dict, pair->items[0], pair->items[1]);
    }
}

static struct clsa_value make_dict(struct clsa_jinja *j, enum clsa_kind kind,
                                   const struct clsa_arguments *a)
{
    const struct clsa_value result = clsa_dict_new(j, kind);
    if (a->count > 1)
        clsa_jinja_fail(j, "dict and namespace take one argument at most");
    if (a->count == 1)
        add_items(j, result.dict, a->values[0]);
    for (size_t i = 0; i < a->named_count; i++)
        clsa_dict_set(
            j, result.dict,
            (struct clsa_value){.kind = CLSA_STRING, .string = a->names[i]},
            a->named[i]);
    return result;
}

CLSA_BUILTIN(dict)
{
    (void)self;
    return make_dict(j, CLSA_DICT, a);
}

CLSA_BUILTIN(namespace)
{
    (void)self;
    return make_dict(j, CLSA_NAMESPACE, a);
}

CLSA_BUILTIN(cycler)
{
    (void)self;
    struct clsa_cycler *state = clsa_jinja_take(j, 1, sizeof *state);
    struct clsa_list *items = clsa_list_new(j, CLSA_LIST, a->count).list;
    if (a->count == 0)
        clsa_jinja_fail(j, "cycler needs at least one value");
    for (size_t i = 0; i < a->count; i++)
        clsa_list_add(j, items, a->values[i]);
    state->items = items;
    return (struct clsa_value){.kind = CLSA_CYCLER, .cycler = state};
}

CLSA_BUILTIN(joiner)
{
    (void)self;
    struct clsa_cycler *state = clsa_jinja_take(j, 1, sizeof *state);
    struct clsa_list *items = clsa_list_new(j, CLSA_LIST, 1).list;
    clsa_list_add(j, items,
                  a->values[0].kind == CLSA_ABSENT ? clsa_text(j, ", ")
                                                   : a->values[0]);
    state->items = items;
    return (struct clsa_value){.kind = CLSA_JOINER, .cycler = state};
}

CLSA_BUILTIN(raise_exception)
{
    (void)self;
    const struct clsa_string *text = clsa_print_str(j, a->values[0]).string;
    clsa_jinja_fail(j, "the template refuses the messages: %.*s",
                    (int)(text->size < 400 ? text->size : 400),
                    text->size > 0 ? text->data : "");
}

/* strftime in English, whatever the locale is. */
static void add_time(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     char conversion)
{
    static const char *const days[] = {"Sunday",    "Monday",   "Tuesday",
                                       "Wednesday", "Thursday", "Friday",
                                       "Saturday"};
    static const char *const months[] = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"};
    char text[64];
    const char format[] = {'%', conversion, '\0'};
    const char *name = NULL;
    if (conversion == 'a' || conversion == 'A')
        name = days[j->now.tm_wday];
    else if (conversion == 'b' || conversion == 'B' || conversion == 'h')
        name = months[j->now.tm_mon];
    else if (conversion == 'p')
        name = j->now.tm_hour < 12 ? "AM" : "PM";
    if (name) {
        const bool whole = conversion == 'A' || conversion == 'B';
        clsa_buffer_add(j, buffer, name,
                        whole               ? strlen(name)
                        : conversion == 'p' ? 2
                                            : 3);
        return;
    }
    if (!strchr("dmyYHIMSjeDFTRCGVuwUWgnt%", conversion))
        clsa_jinja_fail(j, "strftime_now does not know %%%c", conversion);
    clsa_buffer_add(j, buffer, text,
                    strftime(text, sizeof text, format, &j->now));
}

CLSA_BUILTIN(strftime_now)
{
    (void)self;
    struct clsa_buffer buffer = {0};
    const struct clsa_string *format =
        clsa_argument_text(j, a->values[0], "strftime_now");
    for (size_t i = 0; i < format->size; i++) {
        const char c = format->data[i];
        if (c != '%' || i + 1 == format->size) {
            clsa_buffer_add(j, &buffer, &c, 1);
            continue;
        }
        const bool short_number = /* %-d: without zeros or blanks before it */
            format->data[i + 1] == '-' && i + 2 < format->size;
        i += short_number ? 2 : 1;
        const size_t from = buffer.size;
        const char conversion = format->data[i] ? format->data[i] : '?';
        add_time(j, &buffer, conversion);
        while (short_number && buffer.size > from + 1 &&
               (buffer.data[from] == '0' || buffer.data[from] == ' ')) {
            memmove(buffer.data + from, buffer.data + from + 1,
                    buffer.size - from - 1);
            buffer.size--;
        }
    }
    return clsa_buffer_string(j, &buffer);
}

const struct clsa_builtin clsa_functions[] = {
    {"range", range, "start stop step", 1},
    {"dict", dict, "*", 0},
    {"namespace", namespace, "*", 0},
    {"cycler", cycler, "*", 0},
    {"joiner", joiner, "sep", 0},
    {"raise_exception", raise_exception, "message", 1},
    {"strftime_now", strftime_now, "format", 1},
    {0}};
