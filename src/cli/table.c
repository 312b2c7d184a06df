/* SPDX-License-Identifier: Apache-2.0 */
/* Text and CSV of lists of objects. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/table.h"

/* The value of a column as text; "" where there is none. */
static void cell(const struct cli_column *column, const json_t *object,
                 char *text, size_t size)
{
    const json_t *value = json_object_get(object, column->key);
    text[0] = '\0';
    if (json_is_string(value))
        snprintf(text, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, size, "%" JSON_INTEGER_FORMAT,
                 json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, size, "%.*f", column->decimals, json_real_value(value));
}

void cli_table_line(const struct cli_column *columns, const json_t *object,
                    bool first)
{
    for (const struct cli_column *c = columns; first && c->key; c++)
        printf("%s%*s", c == columns ? "" : " ", c->width, c->key);
    if (first)
        printf("\n");
    char text[80];
    for (const struct cli_column *c = columns; c->key; c++) {
        cell(c, object, text, sizeof text);
        printf("%s%*s", c == columns ? "" : " ", c->width,
               text[0] == '\0' ? "-" : text);
    }
    printf("\n");
    cli_output_flush();
}

static void write_csv(FILE *file, const struct cli_column *columns,
                      const json_t *list)
{
    for (const struct cli_column *c = columns; c->key; c++)
        fprintf(file, "%s%s", c == columns ? "" : ",", c->key);
    const json_t *object;
    size_t i;
    json_array_foreach(list, i, object)
    {
        for (const struct cli_column *c = columns; c->key; c++) {
            char text[80];
            cell(c, object, text, sizeof text);
            fprintf(file, "%s%s", c == columns ? "\n" : ",", text);
        }
    }
    fprintf(file, "\n");
}

int cli_table_csv(const struct cli_column *columns, const json_t *list,
                  const char *path)
{
    struct clsa_out output = {0};
    int status = cli_output_open(&output, path);
    if (status)
        goto done;
    write_csv(output.file, columns, list);
    status = cli_output_close(&output);
done:
    clsa_out_free(&output);
    return status;
}
