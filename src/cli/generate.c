/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate: sample, decode, give out, append. The text held back is always
 * the longest end of the output that begins some stop text.
 */
#include <stdio.h>
#include <string.h>

#include "src/cli/generate.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

const char *cli_end_name(enum cli_end end)
{
    static const char *const names[] = {"text",    "stop",        "tokens",
                                        "context", "interrupted", "output"};
    return names[end];
}

/* Give out the first `size` held bytes. */
static int give(struct cli_generator *g, size_t size)
{
    int status = CLI_DONE;
    if (size == 0)
        return CLI_DONE;
    if (g->collect)
        status = cli_text_add(g->collect, g->held.data, size);
    if (!g->quiet)
        fwrite(g->held.data, 1, size, stdout);
    g->last = g->held.data[size - 1];
    g->held.size -= size;
    memmove(g->held.data, g->held.data + size, g->held.size);
    return status;
}

/* Where the first stop text begins in the held text, or its size. */
static size_t stop_position(const struct cli_generator *g)
{
    size_t first = g->held.size;
    for (size_t i = 0; i < g->stops.count; i++) {
        size_t size = strlen(g->stops.values[i]);
        for (size_t at = 0; at + size <= g->held.size && at < first; at++)
            if (memcmp(g->held.data + at, g->stops.values[i], size) == 0)
                first = at;
    }
    return first;
}

/* Where the part of the held text begins that may become a stop text. */
static size_t hold_position(const struct cli_generator *g)
{
    for (size_t at = 0; at < g->held.size; at++)
        for (size_t i = 0; i < g->stops.count; i++)
            if (strncmp(g->stops.values[i], g->held.data + at,
                        g->held.size - at) == 0)
                return at;
    return g->held.size;
}

/* Decode a token (-1: the rest) into the held text. */
static int decode(struct cli_generator *g, int32_t id)
{
    clsa_error error;
    char *text;
    size_t size;
    if (clsa_detokenize(g->model, &g->decoder, id, &text, &size, &error) !=
        CLSA_OK)
        return cli_fail_error(&error);
    int status = cli_text_add(&g->held, text, size);
    clsa_free(text);
    return status;
}

/* Take a token: *stopped tells whether a stop text is complete. */
static int take(struct cli_generator *g, int32_t id, bool *stopped)
{
    CLI_TRY(decode(g, id));
    size_t stop = stop_position(g);
    *stopped = stop < g->held.size;
    CLI_TRY(give(g, *stopped ? stop : hold_position(g)));
    if (!g->quiet && !*stopped)
        cli_output_flush();
    return CLI_DONE;
}

/* Take the tokens of a stop text out of a session that goes on. */
static int forget_stop(struct cli_generator *g)
{
    uint64_t length = clsa_session_length(g->session);
    g->held.size = 0;
    g->decoder.count = 0;
    if (!g->keep || g->held_tokens == 0)
        return CLI_DONE;
    return cli_session_cut(g->session, length - g->held_tokens);
}

static int append(struct cli_generator *g, int32_t id)
{
    clsa_error error;
    if (clsa_session_append(g->session, &id, 1, NULL, &error) != CLSA_OK)
        return cli_fail_error(&error);
    if (g->held.size == 0 && g->decoder.count == 0)
        g->held_tokens = 0;
    else
        g->held_tokens++;
    return CLI_DONE;
}

/* Whether there is a reason to stop before another token. */
static bool is_over(const struct cli_generator *g, enum cli_end *end)
{
    if (cli_interrupt_seen())
        *end = CLI_END_INTERRUPTED;
    else if (cli_output_flush())
        *end = CLI_END_OUTPUT;
    else if (g->tokens >= g->limit)
        *end = CLI_END_TOKENS;
    else if (clsa_session_length(g->session) >=
             clsa_session_context(g->session))
        *end = CLI_END_CONTEXT;
    else
        return false;
    return true;
}

static int generate(struct cli_generator *g, enum cli_end *end)
{
    clsa_error error;
    bool stopped;
    int32_t id;
    while (!is_over(g, end)) {
        if (clsa_sampler_sample(g->sampler, g->session, &id, &error) != CLSA_OK)
            return cli_fail_error(&error);
        if (id == g->end || cli_is_end(g->model, id)) {
            *end = CLI_END_TEXT;
            break;
        }
        CLI_TRY(take(g, id, &stopped));
        if (stopped) {
            *end = CLI_END_STOP;
            return forget_stop(g);
        }
        g->tokens++;
        if (g->keep || g->tokens < g->limit)
            CLI_TRY(append(g, id));
    }
    CLI_TRY(decode(g, -1));
    return give(g, g->held.size);
}

int cli_generate(struct cli_generator *generator, enum cli_end *end)
{
    double start = cli_seconds();
    generator->tokens = 0;
    generator->last = '\0';
    generator->held.size = 0;
    generator->held_tokens = 0;
    memset(&generator->decoder, 0, sizeof generator->decoder);
    int status = generate(generator, end);
    generator->seconds = cli_seconds() - start;
    cli_output_flush();
    return status;
}
