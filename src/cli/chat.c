/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: what the template writes, cut into tokens. Tokens of the session that
 * came before the conversation are not known as messages: what follows them is
 * what the template writes after an answer.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/chat.h"
#include "src/cli/chat_text.h"
#include "src/cli/message.h"

/* An answer that is found again in the text of the template. */
#define ANSWER "clsa-answer-before"

static int add_message(json_t *messages, const char *role, const char *text)
{
    return cli_json_append(messages,
                           json_pack("{ss ss}", "role", role, "content", text));
}

/* Render a request, which is released. */
static int render(const clsa_model *model, json_t *request,
                  struct cli_text *text)
{
    const clsa_chat_template *chat_template;
    clsa_error error;
    char *written;
    size_t size;
    char *json = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!json)
        return cli_fail_memory();
    clsa_status status =
        clsa_model_chat_template(model, &chat_template, &error);
    if (status == CLSA_OK)
        status = clsa_chat_template_render(chat_template, json, strlen(json),
                                           &written, &size, &error);
    free(json);
    if (status)
        return cli_fail_error(&error);
    int added = cli_text_add(text, written, size);
    clsa_free(written);
    return added;
}

/* Where the text after the answer in it begins. */
static int after_answer(const struct cli_text *text, size_t *start)
{
    const char *answer = strstr(text->data, ANSWER);
    if (!answer)
        return cli_fail("the chat template does not write answers as they are: "
                        "use clsa run -i without --chat");
    *start = (size_t)(answer - text->data) + strlen(ANSWER);
    return CLI_DONE;
}

/* A question and its answer. */
static int add_turn(json_t *messages)
{
    CLI_TRY(add_message(messages, "user", "?"));
    return add_message(messages, "assistant", ANSWER);
}

/* The special token that the template writes after an answer, or -1. */
static int find_end(const clsa_model *model, int32_t *end)
{
    struct cli_text text = {0};
    struct cli_ids ids = {0};
    size_t start = 0;
    json_t *messages = json_array();
    *end = -1;
    int status = add_turn(messages);
    if (status)
        json_decref(messages);
    else
        status = render(model, json_pack("{so}", "messages", messages), &text);
    if (status == CLI_DONE)
        status = after_answer(&text, &start);
    if (status == CLI_DONE)
        status = cli_tokenize(model, text.data + start, text.size - start,
                              CLSA_TOKENIZE_SPECIAL, &ids);
    if (status == CLI_DONE && ids.count > 0 &&
        clsa_token_is_special(model, ids.ids[0]))
        *end = ids.ids[0];
    free(ids.ids);
    cli_text_free(&text);
    return status;
}

int cli_chat_open(const clsa_model *model, const char *path, int32_t *end)
{
    const clsa_chat_template *chat_template;
    clsa_error error;
    if (clsa_model_chat_template(model, &chat_template, &error))
        return cli_fail("%s: %s: use clsa run -i without --chat", path,
                        error.message);
    return find_end(model, end);
}

/* ------------------------------------------------------------ conversation */

/* The messages as the template gets them; a new reference. In a session with
   tokens before them they follow another turn. */
static int make_messages(const clsa_model *model,
                         const struct cli_conversation *c, json_t **messages)
{
    size_t i;
    json_t *one, *copy;
    *messages = json_array();
    int status = *messages ? CLI_DONE : cli_fail_memory();
    if (!status && c->base > 0)
        status = add_turn(*messages);
    json_array_foreach(c->messages, i, one)
    {
        if (status)
            break;
        status = cli_chat_guard(model, one, &copy);
        if (!status)
            status = cli_json_append(*messages, copy);
    }
    if (status)
        json_decref(*messages);
    return status;
}

static int make_request(const clsa_model *model,
                        const struct cli_conversation *c, json_t **request)
{
    json_t *messages;
    CLI_TRY(make_messages(model, c, &messages));
    json_t *options = json_copy(c->variables);
    if (options)
        json_object_set_new(options, "add_generation_prompt", json_true());
    *request = json_pack("{so so ss}", "messages", messages, "options", options,
                         "now", c->now);
    return *request ? CLI_DONE : cli_fail_memory();
}

static int tokenize(const clsa_model *model, const struct cli_conversation *c,
                    const clsa_session *session, const struct cli_text *text,
                    struct cli_ids *ids)
{
    size_t start = 0;
    if (c->base > 0)
        CLI_TRY(after_answer(text, &start));
    CLI_TRY(cli_ids_add(ids, clsa_session_tokens(session), (size_t)c->base));
    return cli_chat_tokenize(model, text->data + start, text->size - start,
                             ids);
}

int cli_chat_ids(const clsa_model *model, const struct cli_conversation *c,
                 const clsa_session *session, struct cli_ids *ids, size_t *same)
{
    struct cli_text text = {0};
    json_t *request;
    CLI_TRY(make_request(model, c, &request));
    int status = render(model, request, &text);
    if (!status)
        status = tokenize(model, c, session, &text, ids);
    cli_text_free(&text);
    if (!status && ids->count == 0)
        status = cli_fail("the chat template writes nothing for this message");
    if (!status)
        status = cli_chat_match(model, session, ids, same);
    if (!status && *same == ids->count)
        --*same;
    return status;
}
