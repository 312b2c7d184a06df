/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: lists of JSON objects as lines of text, as CSV and as plots, for the
 * commands that compare policies. Text and CSV have the same columns. Plots
 * are drawn by gnuplot where it is there.
 */
#ifndef CLSA_CLI_TABLE_H
#define CLSA_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A column: a member of the objects, which may be absent or null. */
struct cli_column {
    const char *key; /* NULL: the end of a table */
    int width;       /* of the text; below 0: to the left */
    int decimals;    /* of real numbers */
};

/* Print the line of an object; before the first one the heading. */
void cli_table_line(const struct cli_column *columns, const json_t *object,
                    bool first);

/* Write a list of objects to a file. */
int cli_table_csv(const struct cli_column *columns, const json_t *list,
                  const char *path);

/* A curve for each value of `series`, of the objects that have x and y. */
struct cli_plot {
    const char *title, *x_label, *y_label;
    const char *series, *x, *y; /* members */
    const char *only;           /* NULL, or a member that has to be `value` */
    json_int_t value;
    bool log_x, log_y;
};

/* Draw a plot into a file, SVG. Says so and does nothing without gnuplot, or
   where x has one value only. */
int cli_plot_draw(const struct cli_plot *plot, const json_t *list,
                  const char *path);

#endif /* CLSA_CLI_TABLE_H */
