/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: one turn of `clsa run` is a text of the user that is tokenised and
 * read, and the answer that is generated after it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/cli/chat.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/run.h"

/* Tokens of what the user said. Without a session yet it will be empty. */
static int make_ids(struct cli_run *run, struct cli_ids *ids)
{
    unsigned flags = CLSA_TOKENIZE_SPECIAL;

    if (run->options.chat && run->text.size > 0)
        return cli_chat_turn(run->model, run->session, &run->text, ids);
    if (run->session == NULL || clsa_session_length(run->session) == 0)
        flags |= CLSA_TOKENIZE_BOS;
    return cli_tokenize(run->model, run->text.data, run->text.size, flags, ids);
}

/* A new session that has room for the prompt and what is to be generated. */
static int open_session(struct cli_run *run, size_t prompt)
{
    const struct cli_run_options *o = &run->options;
    uint64_t need = 0;

    if (!o->interactive && !o->session && o->tokens != UINT64_MAX)
        need = prompt + o->tokens;
    return cli_session_open(&o->common, run->model, need, NULL, &run->session);
}

static int check_room(const struct cli_run *run, size_t count)
{
    uint64_t length = clsa_session_length(run->session);
    uint64_t context = clsa_session_context(run->session);

    if (count <= context - length)
        return CLI_DONE;
    if (length > 0)
        return cli_fail("prompt: %zu tokens after the %" PRIu64
                        " of the session do not fit a context of %" PRIu64
                        ": use a larger -c or a shorter prompt",
                        count, length, context);
    return cli_fail("prompt: %zu tokens do not fit a context of %" PRIu64
                    ": use a larger -c or a shorter prompt",
                    count, context);
}

static int read_ids(struct cli_run *run, const struct cli_ids *ids)
{
    clsa_append how = {.want = CLSA_WANT_LAST};
    uint64_t before = clsa_session_length(run->session);
    double start = cli_seconds(), seconds;
    int status;

    CLI_TRY(check_room(run, ids->count));
    if (run->options.tokens == 0)
        how.want = CLSA_WANT_NONE;
    cli_progress_start("reading", "prompt tokens", ids->count);
    status = cli_append(run->session, ids->ids, ids->count, &how, 0);
    cli_progress_end();
    run->prompt_tokens += clsa_session_length(run->session) - before;
    seconds = cli_seconds() - start;
    if (status == CLI_DONE)
        cli_detail("read %zu tokens in %.2f s, %.1f tokens/s", ids->count,
                   seconds, (double)ids->count / (seconds + 1e-9));
    return status;
}

/* Read what the user said; with nothing said the session goes on as it is. */
static int read_turn(struct cli_run *run)
{
    struct cli_ids ids = {0};
    int status = make_ids(run, &ids);

    if (status == CLI_DONE && run->session == NULL)
        status = open_session(run, ids.count);
    if (status == CLI_DONE && ids.count > 0)
        status = read_ids(run, &ids);
    else if (status == CLI_DONE && clsa_session_length(run->session) == 0)
        status = cli_fail("prompt: it is empty: give at least one character");
    else if (status == CLI_DONE && run->options.tokens > 0 &&
             clsa_session_logits(run->session) == NULL)
        status = cli_fail("session %s: it was saved by a run that only read "
                          "(-n 0): give a prompt",
                          run->options.session);
    free(ids.ids);
    return status;
}

static int interrupted(const struct cli_run *run)
{
    cli_fail("interrupted after %" PRIu64 " generated tokens",
             run->generator.tokens);
    return CLI_INTERRUPTED;
}

static int answer(struct cli_run *run)
{
    struct cli_generator *g = &run->generator;

    g->session = run->session;
    CLI_TRY(cli_generate(g, &run->end));
    if (g->collect == NULL && g->last != '\n' && g->limit > 0)
        putchar('\n');
    cli_output_flush();
    if (g->limit > 0)
        cli_detail(
            "generated %" PRIu64 " tokens in %.2f s, %.1f tokens/s, end: %s",
            g->tokens, g->seconds, (double)g->tokens / (g->seconds + 1e-9),
            cli_end_name(run->end));
    if (run->end == CLI_END_INTERRUPTED)
        return interrupted(run);
    return CLI_DONE;
}

/* Take a line as the next turn. *more is 0 at the end of input. In plain text
   the session gets what the screen shows: the end of the answer's line and
   the user's line. */
static int next_line(struct cli_run *run, int *more)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int status = CLI_DONE;

    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        fputs("> ", stdout);
        cli_output_flush();
    }
    errno = 0;
    size = getline(&line, &capacity, stdin);
    *more = size > 0;
    run->text.size = 0;
    if (size > 0 && run->options.chat && line[size - 1] == '\n')
        size--;
    else if (size > 0 && run->generator.tokens > 0 &&
             run->generator.last != '\n')
        status = cli_text_add(&run->text, "\n", 1);
    if (size > 0 && status == CLI_DONE)
        status = cli_text_add(&run->text, line, (size_t)size);
    free(line);
    if (size < 0 && cli_interrupt_seen())
        status = interrupted(run);
    return status;
}

int cli_run_turns(struct cli_run *run, int have_prompt)
{
    int more = 1;

    if (have_prompt) {
        CLI_TRY(read_turn(run));
        CLI_TRY(answer(run));
    }
    while (run->options.interactive && run->end != CLI_END_OUTPUT) {
        if (run->end == CLI_END_CONTEXT)
            return cli_fail("the context of %" PRIu64 " tokens is full: use a "
                            "larger -c",
                            clsa_session_context(run->session));
        CLI_TRY(next_line(run, &more));
        if (!more)
            break;
        if (run->text.size == 0)
            continue;
        CLI_TRY(read_turn(run));
        CLI_TRY(answer(run));
    }
    return CLI_DONE;
}
