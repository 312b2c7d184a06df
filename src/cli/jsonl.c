/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers in lines of JSON, and bytes in them as base64. */
#include <errno.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/jsonl.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

static json_t *error_line(const char *error)
{
    return *error ? json_pack("{ss}", "error", error) : NULL;
}

static json_t *answer_line(const char *line, size_t size, cli_jsonl_fn *answer,
                           void *user)
{
    char error[CLI_JSONL_ERROR] = "";
    json_error_t where;
    json_t *request = json_loadb(line, size, JSON_ALLOW_NUL, &where);
    json_t *result = NULL;
    if (!request)
        snprintf(error, sizeof error, "not JSON: %s", where.text);
    else if (!json_is_object(request))
        snprintf(error, sizeof error, "the line is not an object");
    else
        result = answer(user, request, error);
    json_decref(request);
    return result ? result : error_line(error);
}

int cli_jsonl_print(json_t *line)
{
    if (!line)
        return cli_fail_memory();
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text)
        return cli_fail_memory();
    const bool failed = cli_output_line(text);
    free(text);
    return failed ? CLI_FAILED : CLI_DONE;
}

static int run_file(FILE *in, const char *name, cli_line_fn *answer, void *user)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int status = CLI_DONE;
    while (!status && (size = getline(&line, &capacity, in)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            size--;
        status = answer(user, line, (size_t)size);
        if (!status)
            status = cli_interrupt_check();
    }
    if (!status && ferror(in))
        status = cli_fail("%s: %s", name, strerror(errno));
    free(line);
    return status;
}

int cli_jsonl_lines(const char *file, cli_line_fn *answer, void *user)
{
    if (!file || strcmp(file, "-") == 0)
        return run_file(stdin, "standard input", answer, user);
    FILE *in = fopen(file, "r");
    if (!in)
        return cli_fail("%s: %s", file, strerror(errno));
    const int status = run_file(in, file, answer, user);
    fclose(in);
    return status;
}

struct requests {
    cli_jsonl_fn *answer;
    void *user;
};

/* Blank lines are passed over. */
static int answer_request(void *user, const char *line, size_t size)
{
    const struct requests *r = user;
    size_t blanks = 0;
    while (blanks < size && strchr(" \t\r", line[blanks]) && line[blanks])
        blanks++;
    if (blanks == size)
        return CLI_DONE;
    return cli_jsonl_print(answer_line(line, size, r->answer, r->user));
}

int cli_jsonl_run(const char *file, cli_jsonl_fn *answer, void *user)
{
    struct requests requests = {answer, user};
    return cli_jsonl_lines(file, answer_request, &requests);
}

/* ------------------------------------------------------------------ bytes */

static const char *decode(const char *base64, struct cli_text *text,
                          char error[CLI_JSONL_ERROR])
{
    struct base64_decode_ctx state;
    const size_t length = strlen(base64);
    size_t size = BASE64_DECODE_LENGTH(length);
    uint8_t *bytes = malloc(size + 1);
    base64_decode_init(&state);
    if (bytes && (!base64_decode_update(&state, &size, bytes, length, base64) ||
                  !base64_decode_final(&state)))
        snprintf(error, CLI_JSONL_ERROR, "'base64' is not base64");
    else if (bytes)
        cli_text_add(text, (const char *)bytes, size);
    free(bytes);
    return *error ? NULL : text->data;
}

const char *cli_jsonl_text(const json_t *request, struct cli_text *text,
                           char error[CLI_JSONL_ERROR])
{
    const json_t *plain = json_object_get(request, "text");
    const json_t *base64 = json_object_get(request, "base64");
    if (json_is_string(plain) && !base64)
        return cli_text_add(text, json_string_value(plain),
                            json_string_length(plain))
                   ? NULL
                   : text->data;
    if (json_is_string(base64) && !plain)
        return decode(json_string_value(base64), text, error);
    snprintf(error, CLI_JSONL_ERROR, "give 'text' or 'base64', a string");
    return NULL;
}

json_t *cli_jsonl_base64(const char *bytes, size_t size)
{
    char *text = malloc(BASE64_ENCODE_RAW_LENGTH(size) + 1);
    if (!text)
        return NULL;
    base64_encode_raw(text, size, (const uint8_t *)bytes);
    json_t *json = json_stringn(text, BASE64_ENCODE_RAW_LENGTH(size));
    free(text);
    return json;
}
