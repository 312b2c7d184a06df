/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: whole files and JSON documents. Results are printed as lists with
 * one entry per line, lists of plain numbers on one line.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/files.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"

int cli_text_add(struct cli_text *text, const char *data, size_t size)
{
    size_t need = text->size + size + 1;

    if (need <= size)
        return cli_fail_memory();
    if (need > text->capacity) {
        size_t capacity = need > SIZE_MAX / 2 ? need : 2 * need;
        char *grown = realloc(text->data, capacity);

        if (grown == NULL)
            return cli_fail_memory();
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
    return CLI_DONE;
}

void cli_text_free(struct cli_text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

static int read_stream(FILE *file, const char *name, struct cli_text *text)
{
    char block[65536];
    size_t size;

    while ((size = fread(block, 1, sizeof block, file)) > 0)
        CLI_TRY(cli_text_add(text, block, size));
    if (ferror(file) && cli_interrupt_seen()) {
        cli_fail("interrupted while reading %s", name);
        return CLI_INTERRUPTED;
    }
    if (ferror(file))
        return cli_fail("%s: %s: cannot be read", name, strerror(errno));
    return cli_text_add(text, "", 0);
}

int cli_file_read(const char *path, struct cli_text *text)
{
    FILE *file;
    int status;

    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", text);
    file = fopen(path, "rb");
    if (file == NULL)
        return cli_fail("%s: %s: give the name of a file that can be read",
                        path, strerror(errno));
    status = read_stream(file, path, text);
    fclose(file);
    return status;
}

int cli_json_parse(const char *path, size_t line, const char *text, size_t size,
                   json_t **json)
{
    json_error_t error;

    *json = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    if (*json == NULL)
        return cli_fail("%s: line %zu, column %d: not JSON: %s", path,
                        line + (size_t)error.line - 1, error.column,
                        error.text);
    return CLI_DONE;
}

int cli_json_read_list(const char *path, json_t **list)
{
    struct cli_text text = {0};
    int status = cli_file_read(path, &text);

    if (status == CLI_DONE)
        status = cli_json_parse(path, 1, text.data, text.size, list);
    cli_text_free(&text);
    if (status == CLI_DONE && !json_is_array(*list)) {
        json_decref(*list);
        status = cli_fail("%s: not a JSON list: put the entries in [ ]", path);
    }
    return status;
}

int cli_json_ids(const json_t *list, uint32_t vocab, const char *where,
                 size_t entry, struct cli_ids *ids)
{
    size_t i;
    json_t *item;

    if (json_array_size(list) == 0)
        return cli_fail("%s: entry %zu: no list of token ids", where, entry);
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_integer_value(item);

        if (!json_is_integer(item) || id < 0 || id >= (json_int_t)vocab)
            return cli_fail("%s: entry %zu: item %zu is no token id from 0 to "
                            "%lu",
                            where, entry, i, (unsigned long)vocab - 1);
    }
    ids->count = json_array_size(list);
    ids->ids = malloc(ids->count * sizeof *ids->ids);
    if (ids->ids == NULL)
        return cli_fail_memory();
    json_array_foreach(list, i, item) ids->ids[i] =
        (int32_t)json_integer_value(item);
    return CLI_DONE;
}

int cli_json_append(json_t *list, json_t *item)
{
    return json_array_append_new(list, item) == 0 ? CLI_DONE
                                                  : cli_fail_memory();
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    char *copy, *p;

    if (string != NULL)
        return string;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (p = copy; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

/* Errors of stdout itself are found by cli_output_finish. */
int cli_json_print(json_t *json)
{
    size_t i, count = json_array_size(json);

    if (json == NULL)
        return cli_fail_memory();
    if (count > 0 && json_is_object(json_array_get(json, 0))) {
        for (i = 0; i < count; i++) {
            fputs(i == 0 ? "[" : ",\n ", stdout);
            json_dumpf(json_array_get(json, i), stdout, 0);
        }
        fputs("]", stdout);
    } else {
        json_dumpf(json, stdout, 0);
    }
    fputc('\n', stdout);
    json_decref(json);
    return CLI_DONE;
}
