/* SPDX-License-Identifier: Apache-2.0 */
/* heatmap: a square matrix as an SVG, and the bars of a vector above it. */
#ifndef CLSA_CLI_CALIBRATE_HEATMAP_H
#define CLSA_CLI_CALIBRATE_HEATMAP_H

#include <stddef.h>
#include <stdint.h>

/* matrix [n][n] and bars [n] of 0..1. Rows in `marked` have a frame. */
struct cli_heatmap {
    const char *title, *rows, *columns, *above;
    size_t n;
    const float *matrix, *bars;
    const uint32_t *marked;
    size_t marked_count;
};

/* Draw it into a file; reports what went wrong. */
int cli_heatmap_draw(const struct cli_heatmap *map, const char *path);

#endif /* CLSA_CLI_CALIBRATE_HEATMAP_H */
