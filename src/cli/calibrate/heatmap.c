/* SPDX-License-Identifier: Apache-2.0 */
/* A heat map in SVG: rectangles, numbers at both sides, a title for each cell.
 */
#include <stdio.h>

#include "src/cli/calibrate/heatmap.h"
#include "src/cli/message.h"
#include "src/cli/output.h"

enum { CELL = 18, LEFT = 70, TOP = 150, BARS = 80, EDGE = 30 };

/* From white to dark blue. */
static void color(float value, char text[8])
{
    const float v = value < 0 ? 0 : value > 1 ? 1 : value;
    snprintf(text, 8, "#%02x%02x%02x", (unsigned)(255 - v * 247),
             (unsigned)(255 - v * 207), (unsigned)(255 - v * 148));
}

static void draw_cell(FILE *to, const struct cli_heatmap *map, size_t row,
                      size_t column)
{
    const float value = map->matrix[row * map->n + column];
    char fill[8];
    color(value, fill);
    fprintf(to,
            "<rect x='%zu' y='%zu' width='%d' height='%d' fill='%s'>"
            "<title>%zu, %zu: %.3f</title></rect>\n",
            LEFT + CELL * column, TOP + CELL * row, CELL, CELL, fill, row,
            column, (double)value);
}

static void draw_bar(FILE *to, const struct cli_heatmap *map, size_t i)
{
    const double height = (double)map->bars[i] * (BARS - 10);
    fprintf(to,
            "<rect x='%zu' y='%.1f' width='%d' height='%.1f' fill='#777'>"
            "<title>%zu: %.3f</title></rect>\n",
            LEFT + CELL * i + 2, TOP - 24 - height, CELL - 4, height, i,
            (double)map->bars[i]);
}

static void draw_numbers(FILE *to, size_t i)
{
    fprintf(to,
            "<text x='%d' y='%zu' text-anchor='end'>%zu</text>\n"
            "<text x='%zu' y='%d' text-anchor='middle'>%zu</text>\n",
            LEFT - 6, TOP + CELL * i + 13, i, LEFT + CELL * i + CELL / 2,
            TOP - 8, i);
}

static void draw_labels(FILE *to, const struct cli_heatmap *map)
{
    const size_t middle = CELL * map->n / 2;
    fprintf(to,
            "<text x='%d' y='24' font-size='15'>%s</text>\n"
            "<text x='%d' y='48'>%s</text>\n"
            "<text x='%zu' y='%zu' text-anchor='middle'>%s</text>\n"
            "<text transform='translate(24 %zu) rotate(-90)' "
            "text-anchor='middle'>%s</text>\n",
            LEFT, map->title, LEFT, map->above, LEFT + middle,
            TOP + CELL * map->n + 20, map->columns, TOP + middle, map->rows);
}

static void draw(FILE *to, const struct cli_heatmap *map)
{
    const size_t side = CELL * map->n;
    fprintf(to,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%zu' height='%zu' "
            "font-family='sans-serif' font-size='11'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n",
            LEFT + side + EDGE, TOP + side + EDGE);
    draw_labels(to, map);
    for (size_t i = 0; i < map->n; i++) {
        draw_numbers(to, i);
        draw_bar(to, map, i);
        for (size_t j = 0; j < map->n; j++)
            draw_cell(to, map, i, j);
    }
    for (size_t i = 0; i < map->marked_count; i++)
        fprintf(to,
                "<rect x='%d' y='%zu' width='%zu' height='%d' fill='none' "
                "stroke='#d00' stroke-width='1.5'/>\n",
                LEFT, TOP + CELL * (size_t)map->marked[i], side, CELL);
    fprintf(to, "</svg>\n");
}

int cli_heatmap_draw(const struct cli_heatmap *map, const char *path)
{
    struct clsa_out out = {.file = NULL};
    CLI_TRY(cli_output_open(&out, path));
    draw(out.file, map);
    const int status = cli_output_close(&out);
    clsa_out_free(&out);
    return status;
}
