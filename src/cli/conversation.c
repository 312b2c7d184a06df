/* SPDX-License-Identifier: Apache-2.0 */
/* conversation: messages, turns and variables as JSON. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/conversation.h"
#include "src/cli/message.h"

static int set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? CLI_DONE
                                                        : cli_fail_memory();
}

int cli_conversation_start(struct cli_conversation *c, uint64_t base)
{
    const time_t clock = time(NULL);
    struct tm now;
    json_decref(c->messages);
    json_decref(c->turns);
    c->messages = json_array();
    c->turns = json_array();
    c->base = base;
    localtime_r(&clock, &now);
    strftime(c->now, sizeof c->now, "%Y-%m-%dT%H:%M:%S", &now);
    if (!c->variables)
        c->variables = json_object();
    return c->messages && c->turns && c->variables ? CLI_DONE
                                                   : cli_fail_memory();
}

void cli_conversation_free(struct cli_conversation *c)
{
    json_decref(c->messages);
    json_decref(c->turns);
    json_decref(c->variables);
    memset(c, 0, sizeof *c);
}

/* --------------------------------------------------------------- variables */

int cli_conversation_variable(struct cli_conversation *c, const char *name,
                              json_t *value)
{
    static const char *const ours[] = {"messages", "add_generation_prompt",
                                       "continue_final_message"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcmp(name, ours[i]) == 0) {
            json_decref(value);
            cli_fail("template variable %s: is set by the chat itself", name);
            return CLI_USAGE;
        }
    if (value)
        return set(c->variables, name, value);
    json_object_del(c->variables, name);
    return CLI_DONE;
}

int cli_conversation_variables(struct cli_conversation *c, const char *text)
{
    json_error_t error;
    json_t *value, *given = json_loads(text, 0, &error);
    const char *name;
    int status = CLI_DONE;
    if (!c->variables && !(c->variables = json_object()))
        status = cli_fail_memory();
    if (!json_is_object(given)) {
        cli_fail("--template-vars: not a JSON object, such as "
                 "{\"enable_thinking\": false}: %s",
                 given ? text : error.text);
        status = CLI_USAGE;
    }
    json_object_foreach(given, name, value)
    {
        if (!status)
            status = cli_conversation_variable(c, name, json_incref(value));
    }
    json_decref(given);
    return status;
}

/* ---------------------------------------------------------------- messages */

static json_t *message(const char *role, const char *text, size_t size)
{
    return json_pack("{ss so}", "role", role, "content",
                     cli_json_string(text, size));
}

static const char *role_of(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role ? role : "";
}

static json_t *last_message(const struct cli_conversation *c)
{
    const size_t count = json_array_size(c->messages);
    return count > 0 ? json_array_get(c->messages, count - 1) : NULL;
}

int cli_conversation_system(struct cli_conversation *c, const char *text)
{
    const json_t *first = json_array_get(c->messages, 0);
    const bool was = first && strcmp(role_of(first), "system") == 0;
    if (was)
        json_array_remove(c->messages, 0);
    const int moved = (text ? 1 : 0) - (was ? 1 : 0);
    size_t i;
    json_t *turn;
    json_array_foreach(c->turns, i, turn)
    {
        json_t *count = json_object_get(turn, "messages");
        json_integer_set(count, json_integer_value(count) + moved);
    }
    if (!text)
        return CLI_DONE;
    return json_array_insert_new(c->messages, 0,
                                 message("system", text, strlen(text))) == 0
               ? CLI_DONE
               : cli_fail_memory();
}

int cli_conversation_ask(struct cli_conversation *c,
                         const struct cli_text *text)
{
    return cli_json_append(c->messages,
                           message("user", text->data, text->size));
}

int cli_conversation_answer(struct cli_conversation *c, const char *text,
                            size_t size)
{
    json_t *last = last_message(c);
    if (!last || strcmp(role_of(last), "assistant") != 0)
        return cli_json_append(c->messages, message("assistant", text, size));
    const json_t *before = json_object_get(last, "content");
    struct cli_text all = {0};
    int status = cli_text_add(&all, json_string_value(before),
                              json_string_length(before));
    if (!status)
        status = cli_text_add(&all, text, size);
    if (!status)
        status = set(last, "content", cli_json_string(all.data, all.size));
    cli_text_free(&all);
    return status;
}

size_t cli_conversation_answer_size(const struct cli_conversation *c)
{
    const json_t *last = last_message(c);
    return last && strcmp(role_of(last), "assistant") == 0
               ? json_string_length(json_object_get(last, "content"))
               : 0;
}

int cli_conversation_no_answer(struct cli_conversation *c)
{
    json_t *last = last_message(c);
    if (!last || strcmp(role_of(last), "assistant") != 0)
        return CLI_DONE;
    return set(last, "content", json_string(""));
}

void cli_conversation_cut(struct cli_conversation *c, size_t count)
{
    while (json_array_size(c->messages) > count)
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

const char *cli_conversation_question(const struct cli_conversation *c)
{
    for (size_t i = json_array_size(c->messages); i > 0; i--) {
        const json_t *one = json_array_get(c->messages, i - 1);
        if (strcmp(role_of(one), "user") == 0)
            return json_string_value(json_object_get(one, "content"));
    }
    return NULL;
}

/* ------------------------------------------------------------------- turns */

int cli_conversation_turn(struct cli_conversation *c,
                          const struct cli_turn *turn)
{
    json_t *dropped = json_array();
    int status = dropped ? CLI_DONE : cli_fail_memory();
    for (size_t i = 0; i < turn->dropped.count && !status; i++)
        status = cli_json_append(dropped, json_integer(turn->dropped.ids[i]));
    if (status) {
        json_decref(dropped);
        return status;
    }
    return cli_json_append(
        c->turns,
        json_pack("{sI sI sI so}", "messages", (json_int_t)turn->messages,
                  "kept", (json_int_t)turn->kept, "prompt",
                  (json_int_t)turn->prompt, "dropped", dropped));
}

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

int cli_conversation_last(const struct cli_conversation *c,
                          struct cli_turn *turn, bool *found)
{
    const size_t count = json_array_size(c->turns);
    *found = count > 0;
    if (!*found)
        return CLI_DONE;
    const json_t *last = json_array_get(c->turns, count - 1);
    const json_t *dropped = json_object_get(last, "dropped");
    *turn = (struct cli_turn){.messages = (size_t)number(last, "messages"),
                              .kept = number(last, "kept"),
                              .prompt = number(last, "prompt")};
    turn->dropped.count = json_array_size(dropped);
    turn->dropped.ids =
        malloc((turn->dropped.count + 1) * sizeof *turn->dropped.ids);
    if (!turn->dropped.ids)
        return cli_fail_memory();
    for (size_t i = 0; i < turn->dropped.count; i++)
        turn->dropped.ids[i] =
            (int32_t)json_integer_value(json_array_get(dropped, i));
    return CLI_DONE;
}

void cli_conversation_forget_turn(struct cli_conversation *c)
{
    const size_t count = json_array_size(c->turns);
    if (count > 0)
        json_array_remove(c->turns, count - 1);
}
