/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat_commands: lines of a chat that begin with '/'. What they say goes to
 * standard error: standard output has the answers alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/run.h"

typedef int command_fn(struct cli_run *run, const char *argument);

static bool has_argument(const char *argument)
{
    return argument[0] != '\0';
}

/* The first words of the last question, for messages. */
static void tell(const struct cli_run *run, const char *what)
{
    enum { SHOWN = 60 };
    const char *question = cli_conversation_question(&run->conversation);
    if (question)
        cli_info("%s: %.*s%s", what, SHOWN, question,
                 strlen(question) > SHOWN ? "..." : "");
}

/* -------------------------------------------------------------------- files */

static int save(struct cli_run *run, const char *argument)
{
    const char *path = argument;
    if (!has_argument(path))
        path = run->read_only ? NULL : run->options.session;
    if (!path)
        return cli_fail("/save: give the name of a file");
    CLI_TRY(cli_run_save(run, path));
    cli_info("saved %" PRIu64 " tokens to %s",
             clsa_session_length(run->session), path);
    return CLI_DONE;
}

/* What the chat has stays if the file cannot be loaded. */
static int load(struct cli_run *run, const char *argument)
{
    clsa_session *session = run->session;
    struct cli_conversation conversation = run->conversation;
    if (!has_argument(argument))
        return cli_fail("/load: give the name of a file");
    run->session = NULL;
    memset(&run->conversation, 0, sizeof run->conversation);
    const int status = cli_run_load(run, argument);
    if (status) {
        clsa_session_close(run->session);
        cli_conversation_free(&run->conversation);
        run->session = session;
        run->conversation = conversation;
        return CLI_FAILED;
    }
    clsa_session_close(session);
    cli_conversation_free(&conversation);
    cli_info("loaded %" PRIu64 " tokens, %zu questions",
             clsa_session_length(run->session),
             json_array_size(run->conversation.turns));
    tell(run, "the last question");
    return CLI_DONE;
}

/* -------------------------------------------------------------------- turns */

static int undo(struct cli_run *run, const char *argument)
{
    (void)argument;
    if (json_array_size(run->conversation.turns) > 0)
        tell(run, "taken back");
    return cli_chat_undo(run);
}

static int regen(struct cli_run *run, const char *argument)
{
    (void)argument;
    return cli_chat_regen(run);
}

/* ---------------------------------------------------------------------- set */

/* The options that may change within a chat. */
static const char *const settable[] = {
    "tokens", "temp", "top-k", "top-p", "min-p", "repeat-penalty", "seed"};

static const struct cli_option *find_option(const char *name)
{
    struct cli_option_list list;
    cli_options_collect(&list, &cli_command_chat);
    for (size_t i = 0; i < sizeof settable / sizeof settable[0]; i++)
        if (strcmp(name, settable[i]) == 0)
            return cli_options_find(&list, name, strlen(name));
    return NULL;
}

static void show_option(const struct cli_run *run, const char *name)
{
    const struct cli_option *option = find_option(name);
    const char *place = (const char *)&run->options + option->offset;
    if (option->kind == CLI_REAL)
        cli_info("%s %g", name, *(const double *)(const void *)place);
    else if (*(const uint64_t *)(const void *)place == UINT64_MAX)
        cli_info("%s -1", name);
    else
        cli_info("%s %" PRIu64, name, *(const uint64_t *)(const void *)place);
}

static int show_all(const struct cli_run *run)
{
    const json_t *first = json_array_get(run->conversation.messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    const char *name;
    json_t *value;
    for (size_t i = 0; i < sizeof settable / sizeof settable[0]; i++)
        show_option(run, settable[i]);
    if (role && strcmp(role, "system") == 0)
        cli_info("system %s",
                 json_string_value(json_object_get(first, "content")));
    json_object_foreach(run->conversation.variables, name, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        cli_info("%s %s", name, text ? text : "");
        free(text);
    }
    return CLI_DONE;
}

static int set_option(struct cli_run *run, const struct cli_option *option,
                      const char *value)
{
    if (cli_options_set(&cli_command_chat, option, value, &run->options))
        return CLI_FAILED;
    run->generator.limit = run->options.tokens;
    CLI_TRY(cli_run_sampler(run));
    show_option(run, option->name);
    return CLI_DONE;
}

/* The variable that the template has of a name; "thinking" has two. */
static const char *variable_name(const struct cli_run *run, const char *name)
{
    static const char thinking[] = "enable_thinking";
    clsa_model_info info;
    clsa_model_get_info(run->model, &info, sizeof info);
    const char *text = info.chat_template ? info.chat_template : "";
    if (strcmp(name, "thinking") == 0 && strstr(text, thinking))
        return thinking;
    return strstr(text, name) ? name : NULL;
}

static json_t *variable_value(const char *text)
{
    if (strcmp(text, "on") == 0)
        return json_true();
    if (strcmp(text, "off") == 0)
        return json_false();
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : cli_json_string(text, strlen(text));
}

static int set_variable(struct cli_run *run, const char *name,
                        const char *value)
{
    const char *ours = variable_name(run, name);
    if (!ours)
        return cli_fail(
            "/set: %s is not an option of the sampling, nor a variable "
            "of the chat template; /help lists the options",
            name);
    json_t *json = has_argument(value) ? variable_value(value) : NULL;
    if (has_argument(value) && !json)
        return cli_fail_memory();
    if (cli_conversation_variable(&run->conversation, ours, json))
        return CLI_FAILED;
    cli_info("variable %s of the template: %s", ours,
             has_argument(value) ? value : "not set");
    return CLI_DONE;
}

static int set(struct cli_run *run, const char *argument)
{
    char name[64];
    size_t size = strcspn(argument, " \t");
    if (size == 0)
        return show_all(run);
    if (size >= sizeof name)
        return cli_fail("/set: there is no such option");
    memcpy(name, argument, size);
    name[size] = '\0';
    const char *value = argument + size + strspn(argument + size, " \t");
    if (strcmp(name, "system") == 0)
        return cli_conversation_system(&run->conversation,
                                       has_argument(value) ? value : NULL);
    const struct cli_option *option = find_option(name);
    return option ? set_option(run, option, value)
                  : set_variable(run, name, value);
}

/* ----------------------------------------------------------------- commands */

static int quit(struct cli_run *run, const char *argument)
{
    (void)argument;
    run->ended = true;
    return CLI_DONE;
}

static command_fn help;

static const struct {
    const char *name, *argument, *about;
    command_fn *run;
} commands[] = {
    {"save", "FILE", "save the chat; default: the file of --session", save},
    {"load", "FILE", "go on with a chat that was saved", load},
    {"undo", "", "take back the last question and its answer", undo},
    {"regen", "", "answer the last question again", regen},
    {"set", "NAME VALUE", "change an option; alone: show all", set},
    {"help", "", "print this help", help},
    {"quit", "", "end the chat, as Ctrl-D does", quit}};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int help(struct cli_run *run, const char *argument)
{
    (void)run;
    (void)argument;
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, "  /%s %-*s %s\n", commands[i].name,
                16 - (int)strlen(commands[i].name), commands[i].argument,
                commands[i].about);
    fputs("Options of /set: system TEXT", stderr);
    for (size_t i = 0; i < sizeof settable / sizeof settable[0]; i++)
        fprintf(stderr, ", %s", settable[i]);
    fputs("; variables of the chat template.\n"
          "A message that begins with / is written with //. A line that ends\n"
          "with \\ goes on in the next one, as all do from \"\"\" to \"\"\".\n"
          "Ctrl-C stops an answer.\n",
          stderr);
    return CLI_DONE;
}

bool cli_chat_is_command(struct cli_text *line)
{
    if (line->size < 2 || line->data[0] != '/')
        return false;
    if (line->data[1] == '/') {
        line->size--;
        memmove(line->data, line->data + 1, line->size + 1);
        return false;
    }
    char *end = line->data + line->size - 1;
    if (*end == '\n')
        end--;
    while (end > line->data && (*end == ' ' || *end == '\t'))
        end--;
    if (memchr(line->data, '\n', (size_t)(end - line->data)))
        return false;
    line->size = (size_t)(end - line->data) + 1;
    line->data[line->size] = '\0';
    return true;
}

int cli_chat_command(struct cli_run *run, const char *line)
{
    const char *name = line + 1;
    const size_t size = strcspn(name, " \t");
    const char *argument = name + size + strspn(name + size, " \t");
    for (size_t i = 0; i < COMMANDS; i++)
        if (strlen(commands[i].name) == size &&
            memcmp(commands[i].name, name, size) == 0)
            return commands[i].run(run, argument);
    return cli_fail("/%.*s is not a command: /help lists them; a message that "
                    "begins with / is written with //",
                    (int)size, name);
}
