/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat_turns: the session follows the conversation. A turn keeps the tokens
 * that the template writes again, drops the others, and reads what is new.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "src/cli/chat.h"
#include "src/cli/message.h"
#include "src/cli/run.h"

int cli_chat_begin(struct cli_run *run)
{
    const char *system = run->options.system;
    const uint64_t base = run->session ? clsa_session_length(run->session) : 0;
    CLI_TRY(cli_conversation_start(&run->conversation, base));
    if (system && base > 0)
        cli_warning("--system: has no effect in a session that has begun");
    else if (system)
        return cli_conversation_system(&run->conversation, system);
    return CLI_DONE;
}

/* ---------------------------------------------------------------- question */

static int check_context(const struct cli_run *run, size_t count)
{
    const uint64_t context = clsa_session_context(run->session);
    if (count <= context)
        return CLI_DONE;
    return cli_fail("the chat of %zu tokens does not fit a context of %" PRIu64
                    ": use a larger -c or a shorter message",
                    count, context);
}

/* The session drops its tokens from `same` on, and reads the rest of `ids`. */
static int follow(struct cli_run *run, const struct cli_ids *ids, size_t same)
{
    const uint64_t length = clsa_session_length(run->session);
    if (same < length)
        cli_verbose("the template writes %" PRIu64
                    " tokens of the session in another way",
                    length - same);
    CLI_TRY(cli_session_cut(run->session, same));
    return cli_run_read(run, ids->ids + same, ids->count - same);
}

/* Write down how the session will change. */
static int note_turn(struct cli_run *run, size_t messages, size_t same,
                     size_t count)
{
    const size_t length = (size_t)clsa_session_length(run->session);
    struct cli_turn turn = {
        .messages = messages, .kept = same, .prompt = count};
    int status = cli_ids_add(
        &turn.dropped, clsa_session_tokens(run->session) + same, length - same);
    if (!status)
        status = cli_conversation_turn(&run->conversation, &turn);
    free(turn.dropped.ids);
    return status;
}

int cli_chat_ask(struct cli_run *run)
{
    struct cli_conversation *c = &run->conversation;
    const size_t messages = json_array_size(c->messages);
    struct cli_ids ids = {0};
    size_t same = 0;
    CLI_TRY(cli_conversation_ask(c, &run->message));
    int status = cli_chat_ids(run->model, c, run->session, &ids, &same);
    if (!status)
        status = check_context(run, ids.count);
    if (!status)
        status = note_turn(run, messages, same, ids.count);
    if (status)
        cli_conversation_cut(c, messages);
    else
        status = follow(run, &ids, same);
    if (!status)
        status = cli_conversation_answer(c, "", 0);
    free(ids.ids);
    return status;
}

/* Vocabularies that put a space before a text take it off the answer. */
static int add_answer(struct cli_run *run)
{
    const struct cli_text *text = &run->collected;
    clsa_vocab_info info;
    clsa_error error;
    size_t skip = 0;
    if (clsa_model_vocab_info(run->model, &info, sizeof info, &error))
        return cli_fail_error(&error);
    if (info.add_space_prefix && text->size > 0 && text->data[0] == ' ' &&
        cli_conversation_answer_size(&run->conversation) == 0)
        skip = 1;
    if (text->size == 0)
        return CLI_DONE;
    return cli_conversation_answer(&run->conversation, text->data + skip,
                                   text->size - skip);
}

int cli_chat_answered(struct cli_run *run)
{
    struct cli_conversation *c = &run->conversation;
    if (json_array_size(c->turns) > 0)
        return add_answer(run);
    /* the session went on without a question */
    c->base = clsa_session_length(run->session);
    return CLI_DONE;
}

/* --------------------------------------------------------------- take back */

int cli_chat_forget(struct cli_run *run)
{
    struct cli_conversation *c = &run->conversation;
    struct cli_turn turn;
    bool found;
    CLI_TRY(cli_conversation_last(c, &turn, &found));
    if (!found)
        return CLI_DONE;
    cli_conversation_cut(c, turn.messages);
    cli_conversation_forget_turn(c);
    free(turn.dropped.ids);
    return CLI_DONE;
}

int cli_chat_undo(struct cli_run *run)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    struct cli_conversation *c = &run->conversation;
    struct cli_turn turn;
    bool found;
    CLI_TRY(cli_conversation_last(c, &turn, &found));
    if (!found)
        return cli_fail("there is no question to take back");
    cli_conversation_cut(c, turn.messages);
    cli_conversation_forget_turn(c);
    int status = cli_session_cut(run->session, turn.kept);
    if (!status && turn.dropped.count > 0)
        status = cli_append(run->session, turn.dropped.ids, turn.dropped.count,
                            &last, CLI_QUIET);
    free(turn.dropped.ids);
    return status;
}

/* The session up to where the last answer begins, with logits. */
static int back_to_question(struct cli_run *run)
{
    static const clsa_append_options last = {.want = CLSA_WANT_LAST};
    struct cli_turn turn;
    bool found;
    CLI_TRY(cli_conversation_last(&run->conversation, &turn, &found));
    if (!found)
        return cli_fail("there is no answer to give again");
    free(turn.dropped.ids);
    if (turn.prompt > clsa_session_length(run->session))
        return cli_fail("the session does not have the last question any more: "
                        "ask it again");
    const int32_t id = clsa_session_tokens(run->session)[turn.prompt - 1];
    CLI_TRY(cli_conversation_no_answer(&run->conversation));
    CLI_TRY(cli_session_cut(run->session, turn.prompt - 1));
    return cli_append(run->session, &id, 1, &last, CLI_QUIET);
}

int cli_chat_regen(struct cli_run *run)
{
    CLI_TRY(back_to_question(run));
    return cli_run_answer(run);
}
