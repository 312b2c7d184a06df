/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: whole files and JSON documents. Results are printed as lists with
 * one entry per line, lists of plain numbers on one line.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/files.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

int cli_text_add(struct cli_text *text, const char *data, size_t size)
{
    size_t need = text->size + size + 1;
    if (need <= size)
        return cli_fail_memory();
    if (need > text->capacity) {
        size_t capacity = need > SIZE_MAX / 2 ? need : 2 * need;
        char *grown = realloc(text->data, capacity);
        if (!grown)
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

/* The byte of an escape after its backslash, or -1. *used: how many bytes. */
static int escape_byte(const char *text, size_t *used)
{
    static const char names[] = "nrt'\"\\", bytes[] = "\n\r\t'\"\\";
    unsigned value;
    *used = 1;
    const char *name = *text != '\0' ? strchr(names, *text) : NULL;
    if (name)
        return bytes[name - names];
    if (*text != 'x' || !isxdigit((unsigned char)text[1]) ||
        sscanf(text + 1, "%2x", &value) != 1 || value == 0)
        return -1;
    *used = isxdigit((unsigned char)text[2]) ? 3 : 2;
    return (int)value;
}

void cli_unescape(char *text)
{
    char *to = text;
    while (text && *text != '\0') {
        size_t used;
        const int byte = *text == '\\' ? escape_byte(text + 1, &used) : -1;
        *to++ = byte >= 0 ? (char)byte : *text;
        text += byte >= 0 ? used + 1 : 1;
    }
    if (to)
        *to = '\0';
}

/* Bytes of UTF-16 are no characters of UTF-8; the model would read them as
   whatever they are. */
static void note_encoding(const char *name, const struct cli_text *text)
{
    if (text->size >= 2 && (memcmp(text->data, "\xff\xfe", 2) == 0 ||
                            memcmp(text->data, "\xfe\xff", 2) == 0))
        cli_warning("%s: begins as a text in UTF-16, and is read as UTF-8: "
                    "convert it with iconv -f UTF-16 -t UTF-8",
                    name);
}

static int read_stream(FILE *file, const char *name, struct cli_text *text)
{
    char block[8192];
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0) {
        if (size > CLI_FILE_MAX - text->size)
            return cli_fail("%s: more than %u bytes: give a shorter text", name,
                            CLI_FILE_MAX);
        CLI_TRY(cli_text_add(text, block, size));
    }
    if (ferror(file) && cli_interrupt_seen()) {
        cli_fail("interrupted while reading %s", name);
        return CLI_INTERRUPTED;
    }
    if (ferror(file))
        return cli_fail("%s: %s: cannot be read", name, strerror(errno));
    CLI_TRY(cli_text_add(text, "", 0));
    note_encoding(name, text);
    return CLI_DONE;
}

int cli_file_read(const char *path, struct cli_text *text)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", text);
    FILE *file = fopen(path, "rb");
    if (!file)
        return cli_fail("%s: %s: give the name of a file that can be read",
                        path, strerror(errno));
    int status = read_stream(file, path, text);
    fclose(file);
    return status;
}

int cli_json_parse(const char *path, size_t line, const char *text, size_t size,
                   json_t **json)
{
    static const char mark[] = "\xef\xbb\xbf";
    json_error_t error;
    if (line == 1 && size >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        size -= 3;
    }
    *json = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    if (!*json)
        return cli_fail("%s: line %zu, column %d: not JSON: %s", path,
                        line + (size_t)error.line - 1, error.column,
                        error.text);
    return CLI_DONE;
}

int cli_json_read_list(const char *path, json_t **list)
{
    struct cli_text text = {0};
    int status = cli_file_read(path, &text);
    if (status)
        goto done;
    status = cli_json_parse(path, 1, text.data, text.size, list);
done:
    cli_text_free(&text);
    CLI_TRY(status);
    if (json_is_array(*list))
        return CLI_DONE;
    json_decref(*list);
    return cli_fail("%s: not a JSON list: put the entries in [ ]", path);
}

int cli_json_ids(const json_t *list, uint32_t vocab, const char *where,
                 size_t entry, struct cli_ids *ids)
{
    if (json_array_size(list) == 0)
        return cli_fail("%s: entry %zu: not a list of token ids", where, entry);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id >= (json_int_t)vocab)
            return cli_fail(
                "%s: entry %zu: item %zu is not a token id from 0 to "
                "%lu",
                where, entry, i, (unsigned long)vocab - 1);
    }
    ids->count = json_array_size(list);
    ids->ids = malloc(ids->count * sizeof *ids->ids);
    if (!ids->ids)
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

json_t *cli_json_string(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    struct cli_text valid = {0};
    bool open;
    int status = cli_text_add(&valid, "", 0);
    for (size_t i = 0, n; i < size && !status; i += n) {
        const size_t start = i;
        while ((n = clsa_utf8_length(p + i, size - i)) > 0)
            i += n;
        status = cli_text_add(&valid, text + start, i - start);
        n = i < size ? clsa_utf8_subpart(p + i, size - i, &open) : 0;
        if (n > 0 && !status)
            status = cli_text_add(&valid, CLSA_REPLACEMENT, 3);
    }
    json_t *string = status ? NULL : json_stringn(valid.data, valid.size);
    cli_text_free(&valid);
    return string;
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    char *copy = strdup(text);
    if (!copy)
        return NULL;
    for (char *p = copy; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

/* Errors of stdout itself are found by cli_output_finish. */
int cli_json_print(json_t *json)
{
    size_t count = json_array_size(json);
    if (!json)
        return cli_fail_memory();
    if (count > 0 && json_is_object(json_array_get(json, 0))) {
        for (size_t i = 0; i < count; i++) {
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
