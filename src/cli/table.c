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
                    int first)
{
    const struct cli_column *c;
    char text[80];

    for (c = columns; first && c->key != NULL; c++)
        printf("%s%*s", c == columns ? "" : " ", c->width, c->key);
    if (first)
        printf("\n");
    for (c = columns; c->key != NULL; c++) {
        cell(c, object, text, sizeof text);
        printf("%s%*s", c == columns ? "" : " ", c->width,
               text[0] == '\0' ? "-" : text);
    }
    printf("\n");
    cli_output_flush();
}

int cli_table_csv(const struct cli_column *columns, const json_t *list,
                  const char *path)
{
    struct cli_output output = {0};
    const struct cli_column *c;
    const json_t *object;
    char text[80];
    size_t i;
    int status = cli_output_open(&output, path);

    if (status == CLI_DONE) {
        for (c = columns; c->key != NULL; c++)
            fprintf(output.file, "%s%s", c == columns ? "" : ",", c->key);
        json_array_foreach(list, i, object)
        {
            for (c = columns; c->key != NULL; c++) {
                cell(c, object, text, sizeof text);
                fprintf(output.file, "%s%s", c == columns ? "\n" : ",", text);
            }
        }
        fprintf(output.file, "\n");
        status = cli_output_close(&output);
    }
    cli_output_drop(&output);
    return status;
}
