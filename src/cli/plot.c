/* SPDX-License-Identifier: Apache-2.0 */
/* Plots: a script for gnuplot, and the SVG that it prints. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/table.h"

static bool gnuplot_is_there(void)
{
    const char *at = getenv("PATH");
    char path[4096];
    while (at && *at != '\0') {
        size_t length = strcspn(at, ":");
        if (length + sizeof "/gnuplot" <= sizeof path) {
            snprintf(path, sizeof path, "%.*s/gnuplot", (int)length, at);
            if (length > 0 && access(path, X_OK) == 0)
                return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

static bool has_point(const struct cli_plot *plot, const json_t *object)
{
    return json_is_number(json_object_get(object, plot->x)) &&
           json_is_number(json_object_get(object, plot->y)) &&
           json_is_string(json_object_get(object, plot->series)) &&
           (!plot->only || json_integer_value(json_object_get(
                               object, plot->only)) == plot->value);
}

static const char *series_of(const struct cli_plot *plot, const json_t *object)
{
    return json_string_value(json_object_get(object, plot->series));
}

/* Whether a series begins with object `at` of the list. */
static bool is_first(const struct cli_plot *plot, const json_t *list, size_t at)
{
    const char *name = series_of(plot, json_array_get(list, at));
    for (size_t i = 0; i < at; i++)
        if (has_point(plot, json_array_get(list, i)) &&
            strcmp(series_of(plot, json_array_get(list, i)), name) == 0)
            return false;
    return true;
}

static void write_series(FILE *script, const struct cli_plot *plot,
                         const json_t *list, const char *name)
{
    const json_t *object;
    size_t i;
    json_array_foreach(list, i, object)
    {
        if (has_point(plot, object) &&
            strcmp(series_of(plot, object), name) == 0)
            fprintf(script, "%.10g %.10g\n",
                    json_number_value(json_object_get(object, plot->x)),
                    json_number_value(json_object_get(object, plot->y)));
    }
    fprintf(script, "e\n");
}

/* Names of policies need no quoting: letters, digits and colons. */
static void write_script(FILE *script, const struct cli_plot *plot,
                         const json_t *list)
{
    const char *comma = "";
    fprintf(script,
            "set terminal svg size 860,520 dynamic background 'white'\n"
            "set title \"%s\"\nset xlabel \"%s\"\nset ylabel \"%s\"\n"
            "set key outside right noenhanced\nset grid\n%s%splot ",
            plot->title, plot->x_label, plot->y_label,
            plot->log_x ? "set logscale x 2\n" : "",
            plot->log_y ? "set logscale y\n" : "");
    const json_t *object;
    size_t i;
    json_array_foreach(list, i, object) if (has_point(plot, object) &&
                                            is_first(plot, list, i))
    {
        fprintf(script, "%s'-' with linespoints title '%s'", comma,
                series_of(plot, object));
        comma = ", ";
    }
    fprintf(script, "\n");
    json_array_foreach(list, i, object) if (has_point(plot, object) &&
                                            is_first(plot, list, i))
        write_series(script, plot, list, series_of(plot, object));
}

/* Copy what gnuplot makes of a script to a file. */
static int run_gnuplot(const char *script, FILE *to)
{
    char command[300];
    snprintf(command, sizeof command, "gnuplot '%s'", script);
    FILE *svg = popen(command, "r");
    if (!svg)
        return cli_fail("gnuplot: %s", strerror(errno));
    char block[8192];
    size_t n;
    while ((n = fread(block, 1, sizeof block, svg)) > 0)
        fwrite(block, 1, n, to);
    int ended = pclose(svg);
    if (ended == -1 || !WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
        return cli_fail("gnuplot failed");
    return CLI_DONE;
}

static int draw(const struct cli_plot *plot, const json_t *list, FILE *to)
{
    char name[] = "/tmp/clsa-plot-XXXXXX";
    int fd = mkstemp(name), status = CLI_FAILED;
    FILE *script = fd < 0 ? NULL : fdopen(fd, "w");
    if (!script) {
        cli_fail("%s: %s", name, strerror(errno));
    } else {
        write_script(script, plot, list);
        if (fclose(script) == 0)
            status = run_gnuplot(name, to);
        else
            cli_fail("%s: %s", name, strerror(errno));
    }
    if (fd >= 0)
        unlink(name);
    return status;
}

/* Whether there are points at two places of x: what a curve needs. */
static bool has_curve(const struct cli_plot *plot, const json_t *list)
{
    const json_t *object, *first = NULL;
    size_t i;
    json_array_foreach(list, i, object)
    {
        if (!has_point(plot, object))
            continue;
        if (!first)
            first = json_object_get(object, plot->x);
        else if (!json_equal(first, json_object_get(object, plot->x)))
            return true;
    }
    return false;
}

int cli_plot_draw(const struct cli_plot *plot, const json_t *list,
                  const char *path)
{
    struct clsa_out output = {0};
    if (!has_curve(plot, list)) {
        cli_warning("%s: not drawn, all values have the same %s", path,
                    plot->x);
        return CLI_DONE;
    }
    if (!gnuplot_is_there()) {
        cli_warning("%s: not drawn, gnuplot is not installed", path);
        return CLI_DONE;
    }
    int status = cli_output_open(&output, path);
    if (status)
        goto done;
    if ((status = draw(plot, list, output.file)))
        goto done;
    status = cli_output_close(&output);
done:
    clsa_out_free(&output);
    return status;
}
