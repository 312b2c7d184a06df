/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer: reads the stream of a server, events of lines "data: ...", and notes
 * when its pieces come. What has no text, such as the role of a chat, is no
 * piece.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/load.h"

/* ----------------------------------------------------------------- samples */

void load_samples_add(struct load_samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        const size_t capacity = samples->capacity ? 2 * samples->capacity : 256;
        double *values = realloc(samples->values, capacity * sizeof *values);
        if (!values) {
            samples->failed = true;
            return;
        }
        samples->values = values;
        samples->capacity = capacity;
    }
    samples->values[samples->count++] = value;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double load_samples_at(struct load_samples *samples, double share)
{
    qsort(samples->values, samples->count, sizeof *samples->values, compare);
    const double place = ceil(share * (double)samples->count);
    return samples->values[place < 1 ? 0 : (size_t)place - 1];
}

/* ------------------------------------------------------------------- errors */

static void one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20)
            *text = ' ';
}

void load_error_text(const char *data, size_t size, char why[LOAD_WHY])
{
    json_t *body = json_loadb(data, size, 0, NULL);
    json_t *error = json_object_get(body, "error");
    json_t *message = json_object_get(error, "message");
    const char *text = json_string_value(message ? message : error);
    if (text)
        snprintf(why, LOAD_WHY, "%s", text);
    else
        snprintf(why, LOAD_WHY, "%.*s", (int)(size < 200 ? size : 200), data);
    one_line(why);
    json_decref(body);
}

/* ------------------------------------------------------------------- events */

/* Whether an event has text, of a chat or a completion. */
static bool has_text(const json_t *event)
{
    static const char *const names[] = {"content", "reasoning_content",
                                        "reasoning"};
    json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    json_t *delta = json_object_get(choice, "delta");
    if (json_string_length(json_object_get(choice, "text")) > 0)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_string_length(json_object_get(delta, names[i])) > 0)
            return true;
    return false;
}

static void read_usage(struct load_answer *a, const json_t *usage)
{
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    if (!json_is_object(usage))
        return;
    a->prompt_tokens =
        (uint64_t)json_integer_value(json_object_get(usage, "prompt_tokens"));
    a->tokens = (uint64_t)json_integer_value(
        json_object_get(usage, "completion_tokens"));
    a->cached_tokens =
        (uint64_t)json_integer_value(json_object_get(details, "cached_tokens"));
}

static void take_event(struct load_answer *a, const json_t *event, double now,
                       struct load_samples *gaps)
{
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    read_usage(a, json_object_get(event, "usage"));
    if (json_is_string(json_object_get(choice, "finish_reason")))
        a->done = true;
    if (!has_text(event))
        return;
    if (a->pieces++ == 0)
        a->first = now;
    else
        load_samples_add(gaps, (now - a->last) * 1e3);
    a->last = now;
}

static void take_line(struct load_answer *a, const char *line, size_t size,
                      double now, struct load_samples *gaps)
{
    static const char name[] = "data:";
    const size_t skip = sizeof name - 1;
    if (size < skip || strncmp(line, name, skip) != 0)
        return; /* a comment, or another field */
    json_t *event = json_loadb(line + skip, size - skip, 0, NULL);
    if (json_object_get(event, "error")) {
        a->failed = true;
        load_error_text(line + skip, size - skip, a->why);
    } else if (json_is_object(event)) {
        take_event(a, event, now, gaps);
    }
    json_decref(event); /* NULL: [DONE] */
}

bool load_answer_take(struct load_answer *answer, const char *data, size_t size,
                      double now, struct load_samples *gaps)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        const size_t part = end ? (size_t)(end - data) : size;
        if (cli_text_add(&answer->line, data, part))
            return false;
        if (!end)
            return true;
        take_line(answer, answer->line.data, answer->line.size, now, gaps);
        answer->line.size = 0;
        data += part + 1;
        size -= part + 1;
    }
    return !gaps->failed;
}
