/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: one turn of `clsa run` or `clsa chat` is a user message that is
 * tokenized and read, and the answer that is generated after it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/line.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/run.h"
#include "src/cli/signals.h"

static void drop_ids(struct cli_ids *ids, size_t count)
{
    ids->count -= count;
    memmove(ids->ids, ids->ids + count, ids->count * sizeof *ids->ids);
}

/* The message as the beginning of a text. One that is written with bos gets no
   second one. */
static int begin_ids(struct cli_run *run, struct cli_ids *ids)
{
    clsa_model_info info;
    clsa_model_get_info(run->model, &info, sizeof info);
    CLI_TRY(cli_tokenize(run->model, run->message.data, run->message.size,
                         CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_BOS, ids));
    if (ids->count >= 2 && info.bos >= 0 && ids->ids[0] == info.bos &&
        ids->ids[1] == info.bos)
        drop_ids(ids, 1);
    return CLI_DONE;
}

/* What the session begins with is not read again: the prompt of a command that
   is given twice, or one that a prepared session holds the first part of.
   *begins tells whether it is so; else `ids` is empty. */
static int continue_ids(struct cli_run *run, struct cli_ids *ids, bool *begins)
{
    const size_t length = (size_t)clsa_session_length(run->session);
    CLI_TRY(begin_ids(run, ids));
    const size_t same = clsa_min(length, ids->count);
    *begins = same > 0 && memcmp(ids->ids, clsa_session_tokens(run->session),
                                 same * sizeof *ids->ids) == 0;
    if (*begins)
        cli_verbose("the session begins with %zu tokens of the prompt", same);
    drop_ids(ids, *begins ? same : ids->count);
    return CLI_DONE;
}

/* Tokens of the user message. Without a session yet it will be empty. */
static int make_ids(struct cli_run *run, struct cli_ids *ids)
{
    bool begins = false;
    if (!run->session || clsa_session_length(run->session) == 0)
        return begin_ids(run, ids);
    if (run->turns == 0)
        CLI_TRY(continue_ids(run, ids, &begins));
    if (begins)
        return CLI_DONE;
    return cli_tokenize(run->model, run->message.data, run->message.size,
                        CLSA_TOKENIZE_SPECIAL, ids);
}

/* A new session whose context holds the prompt and what is to be generated. */
static int open_session(struct cli_run *run, size_t prompt)
{
    const struct cli_run_options *o = &run->options;
    uint64_t need = 0;
    if (!o->interactive && !o->session && o->tokens != UINT64_MAX)
        need = prompt + o->tokens;
    return cli_session_open(&o->common, run->model, need, NULL, &run->session);
}

static int check_context(const struct cli_run *run, size_t count)
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

int cli_run_read(struct cli_run *run, const int32_t *ids, size_t count)
{
    clsa_append_options how = {.want = CLSA_WANT_LAST};
    uint64_t before = clsa_session_length(run->session);
    double start = cli_seconds();
    CLI_TRY(check_context(run, count));
    if (run->options.tokens == 0)
        how.want = CLSA_WANT_NONE;
    cli_progress_start("reading", "prompt tokens", count);
    int status = cli_append(run->session, ids, count, &how, 0);
    cli_progress_end();
    run->prompt_tokens += clsa_session_length(run->session) - before;
    CLI_TRY(status);
    double seconds = cli_seconds() - start;
    cli_verbose("read %zu tokens in %.2f s, %.1f tokens/s", count, seconds,
                (double)count / (seconds + 1e-9));
    return CLI_DONE;
}

/* A session that was saved without logits: its last token is read again. */
static int read_last(struct cli_run *run)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    const uint64_t length = clsa_session_length(run->session) - 1;
    const int32_t id = clsa_session_tokens(run->session)[length];
    CLI_TRY(cli_session_cut(run->session, length));
    return cli_append(run->session, &id, 1, &last, CLI_QUIET);
}

static int read_message(struct cli_run *run, struct cli_ids *ids)
{
    CLI_TRY(make_ids(run, ids));
    if (!run->session)
        CLI_TRY(open_session(run, ids->count));
    if (ids->count > 0)
        return cli_run_read(run, ids->ids, ids->count);
    if (clsa_session_length(run->session) == 0)
        return cli_fail("the prompt is empty: give at least one character");
    if (run->options.tokens > 0 && !clsa_session_logits(run->session))
        return read_last(run);
    return CLI_DONE;
}

/* Read the user message; without one the session goes on as it is. */
static int read_turn(struct cli_run *run)
{
    struct cli_ids ids = {0};
    if (run->options.chat && run->message.size > 0)
        return cli_chat_ask(run);
    int status = read_message(run, &ids);
    free(ids.ids);
    return status;
}

static int interrupted(const struct cli_run *run)
{
    cli_fail("interrupted after %" PRIu64 " generated tokens",
             run->generator.tokens);
    return CLI_INTERRUPTED;
}

static void report_answer(const struct cli_run *run)
{
    const struct cli_generator *g = &run->generator;
    if (!g->quiet && g->last != '\n' && g->limit > 0)
        putchar('\n');
    cli_output_flush();
    if (g->limit > 0)
        cli_verbose(
            "generated %" PRIu64 " tokens in %.2f s, %.1f tokens/s, end: %s",
            g->tokens, g->seconds, (double)g->tokens / (g->seconds + 1e-9),
            cli_end_name(run->end));
}

int cli_run_answer(struct cli_run *run)
{
    struct cli_generator *g = &run->generator;
    g->session = run->session;
    run->collected.size = 0;
    CLI_TRY(cli_generate(g, &run->end));
    report_answer(run);
    if (run->options.chat)
        CLI_TRY(cli_chat_answered(run));
    if (run->end == CLI_END_INTERRUPTED)
        return interrupted(run);
    if (run->end == CLI_END_CONTEXT &&
        (!run->options.interactive || run->options.commands))
        cli_warning("the context of %" PRIu64 " tokens is full: the answer "
                    "ends here; use a larger -c",
                    clsa_session_context(run->session));
    return CLI_DONE;
}

/* Whether the user goes on after a failure: in a conversation when an answer
   is stopped, in a chat after any other, too. */
static bool goes_on(struct cli_run *run, int status)
{
    if (status == CLI_INTERRUPTED)
        return run->options.interactive && run->session &&
               cli_interrupt_forget();
    const bool on = status == CLI_FAILED && run->options.commands;
    run->failed |= on;
    return on;
}

/* A message that is not read whole is taken back; if the user goes on, from the
   session, too. */
static int take_back(struct cli_run *run, uint64_t length, size_t turns,
                     bool on)
{
    const bool is_turn = json_array_size(run->conversation.turns) > turns;
    if (is_turn && on)
        return cli_chat_undo(run);
    if (is_turn)
        return cli_chat_forget(run);
    return on && !run->options.chat ? cli_session_cut(run->session, length)
                                    : CLI_DONE;
}

/* One message and its answer. Ctrl-C in a conversation stops the answer, or
   takes back a message that is not read yet, and the user goes on. */
static int turn(struct cli_run *run)
{
    const uint64_t before =
        run->session ? clsa_session_length(run->session) : 0;
    const size_t turns = json_array_size(run->conversation.turns);
    int status = read_turn(run);
    const bool is_read = status == CLI_DONE;
    if (is_read)
        status = cli_run_answer(run);
    run->turns++;
    const bool on = status != CLI_DONE && goes_on(run, status);
    if (!is_read)
        CLI_TRY(take_back(run, before, turns, on));
    return on ? CLI_DONE : status;
}

/* A line as the message. In plain text the session gets what the screen shows:
   the end of the answer's line and the user's line. */
static int take_line(struct cli_run *run, const char *line, size_t size)
{
    if (run->options.chat && line[size - 1] == '\n')
        size--;
    else if (run->generator.tokens > 0 && run->generator.last != '\n')
        CLI_TRY(cli_text_add(&run->message, "\n", 1));
    return cli_text_add(&run->message, line, size);
}

/* Ctrl-C at the prompt of a chat leaves the line, and not the chat. */
static bool leaves_line(const struct cli_run *run)
{
    if (!run->options.commands || !cli_line_is_edited() ||
        !cli_interrupt_forget())
        return false;
    cli_info("/quit or Ctrl-D ends the chat");
    return true;
}

/* Take a line as the next turn. *more is false at the end of input. */
static int next_line(struct cli_run *run, bool *more)
{
    struct cli_text line = {0};
    run->message.size = 0;
    int status = cli_lines_read("> ", &line, more);
    if (status)
        goto done;
    if (*more && run->options.commands && cli_chat_is_command(&line))
        status = cli_chat_command(run, line.data);
    else if (*more)
        status = take_line(run, line.data, line.size);
    else if (cli_interrupt_seen() && leaves_line(run))
        *more = true;
    else if (cli_interrupt_seen())
        status = interrupted(run);
done:
    cli_text_free(&line);
    return status;
}

static int conversation(struct cli_run *run)
{
    bool more = true;
    while (run->end != CLI_END_OUTPUT && !run->ended) {
        if (run->end == CLI_END_CONTEXT && !run->options.commands)
            return cli_fail("the context of %" PRIu64 " tokens is full: use a "
                            "larger -c",
                            clsa_session_context(run->session));
        int status = next_line(run, &more);
        if (!more)
            return status;
        if (!status && run->message.size > 0)
            status = turn(run);
        if (status && !goes_on(run, status))
            return status;
    }
    return CLI_DONE;
}

int cli_run_turns(struct cli_run *run, bool have_prompt)
{
    if (have_prompt)
        CLI_TRY(turn(run));
    if (run->options.interactive)
        CLI_TRY(conversation(run));
    return run->failed && !cli_line_is_edited() ? CLI_FAILED : CLI_DONE;
}
