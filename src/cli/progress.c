/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: the bar, at most ten times a second and only where stderr is a
 * terminal and -q is not given.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/message.h"
#include "src/cli/progress.h"

enum { BAR_WIDTH = 24 };

static struct {
    const char *what, *unit;
    uint64_t done, total;
    double started, drawn;
    bool visible;
} work;

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* " 1:02:03 left" or " 2:03 left"; nothing before there is a rate. */
static void print_left(double seconds)
{
    enum { MOST = 359999 }; /* 99:59:59 */
    if (!(seconds >= 0 && seconds <= MOST))
        return;
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        fprintf(stderr, ", %u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, ", %u:%02u left", s / 60, s % 60);
}

static void draw(double now)
{
    static const char full[] = "########################";
    double share = work.total != 0 ? (double)work.done / (double)work.total : 0;
    int filled = (int)(share * BAR_WIDTH);
    double rate = (double)work.done / (now - work.started + 1e-9);
    fprintf(stderr, "\r%s [%-*.*s] %" PRIu64 "/%" PRIu64 " %s, %.4g/s",
            work.what, BAR_WIDTH, filled, full, work.done, work.total,
            work.unit, rate);
    print_left((double)(work.total - work.done) / rate);
    fputs("\033[K", stderr);
    fflush(stderr);
    work.drawn = now;
    work.visible = true;
}

void cli_progress_start(const char *what, const char *unit, uint64_t total)
{
    work.what = what;
    work.unit = unit;
    work.done = 0;
    work.total = total;
    work.started = work.drawn = cli_seconds();
}

void cli_progress_update(uint64_t done)
{
    work.done = done;
    if (cli_message_level() < 0 || !isatty(STDERR_FILENO))
        return;
    double now = cli_seconds();
    if (now - work.drawn >= 0.1)
        draw(now);
}

void cli_progress_clear(void)
{
    if (work.visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        work.visible = false;
    }
}

void cli_progress_end(void)
{
    cli_progress_clear();
}

int cli_progress_interrupted(void)
{
    if (!work.unit) /* before any progress */
        cli_fail("interrupted");
    else
        cli_fail("interrupted after %" PRIu64 " of %" PRIu64 " %s", work.done,
                 work.total, work.unit);
    return CLI_INTERRUPTED;
}
