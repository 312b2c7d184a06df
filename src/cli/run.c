/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: reads a prompt and generates what follows, in one go or in turns. The
 * session file, where there is one, is written at the end whatever that was,
 * so that an interrupted run can go on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/chat.h"
#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/run.h"

static const struct cli_option run_table[] = {
    {.kind = CLI_FLAG,
     .letter = 'i',
     .name = "interactive",
     .help = "interactive: continue with lines of standard input",
     .offset = offsetof(struct cli_run_options, interactive)},
    {.kind = CLI_FLAG,
     .name = "chat",
     .help = "use prompt and lines as messages of a chat",
     .offset = offsetof(struct cli_run_options, chat)},
    {0}};

/* ------------------------------------------------------------------ set-up */

static int check_usage(const struct cli_run_options *o, int operands,
                       const char *operand)
{
    const struct cli_command *self =
        o->commands ? &cli_command_chat : &cli_command_run;
    bool from_stdin = operands > 0 || (o->file && strcmp(o->file, "-") == 0);
    if (operands > 1 || (operands == 1 && strcmp(operand, "-") != 0))
        return cli_usage(self,
                         "unexpected argument '%s': give a prompt "
                         "with -p TEXT",
                         operand);
    if (!!o->prompt + !!o->file + operands > 1)
        return cli_usage(self, "give only one of -p, -f and -");
    if (o->interactive && from_stdin)
        return cli_usage(self, "-i: standard input cannot be the prompt too");
    if (o->interactive && o->common.json)
        return cli_usage(self, "--json: does not go with %s",
                         o->commands ? "a chat" : "-i");
    if (o->session && o->session_ro)
        return cli_usage(self, "give either --session or --session-ro");
    if (!o->prompt && !o->file && !operands && !o->interactive && !o->session &&
        !o->session_ro)
        return cli_usage(self, "give a prompt with -p TEXT, -f FILE or -");
    return CLI_DONE;
}

static int read_prompt(struct cli_run *run, bool from_stdin)
{
    const struct cli_run_options *o = &run->options;
    if (o->escape) {
        cli_unescape(o->prompt);
        cli_unescape(o->system);
    }
    if (o->prompt)
        return cli_text_add(&run->message, o->prompt, strlen(o->prompt));
    if (o->file || from_stdin)
        return cli_file_read(from_stdin ? "-" : o->file, &run->message);
    return cli_text_add(&run->message, "", 0);
}

int cli_run_sampler(struct cli_run *run)
{
    struct cli_run_options *o = &run->options;
    if (o->seed == UINT64_MAX &&
        getrandom(&o->seed, sizeof o->seed, 0) == sizeof o->seed)
        o->seed &= INT64_MAX;
    clsa_sampler_options options;
    clsa_sampler_options_init(&options);
    options.temperature = (float)o->temperature;
    options.top_k = (uint32_t)o->top_k;
    options.top_p = (float)o->top_p;
    options.min_p = (float)o->min_p;
    options.repeat_penalty = (float)o->repeat_penalty;
    options.seed = o->seed;
    clsa_sampler *sampler;
    clsa_error error;
    if (clsa_sampler_open(&sampler, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    clsa_sampler_close(run->sampler);
    run->sampler = run->generator.sampler = sampler;
    return CLI_DONE;
}

int cli_run_load(struct cli_run *run, const char *path)
{
    clsa_session_options options;
    clsa_error error;
    bool found = false;
    cli_session_options(&run->options.common, run->model, 0, &options);
    if (clsa_session_load(&run->session, run->model, path, &options, &error) !=
        CLSA_OK)
        return cli_fail_option(&error);
    cli_session_notice(run->session);
    cli_verbose("session %s: %" PRIu64 " tokens", path,
                clsa_session_length(run->session));
    if (run->options.chat)
        CLI_TRY(cli_conversation_load(&run->conversation, run->session, path,
                                      &found));
    return found || !run->options.chat ? CLI_DONE : cli_chat_begin(run);
}

/* Load the session file if it is there; else the session stays NULL. */
static int load_session(struct cli_run *run)
{
    const char *path = run->options.session;
    struct stat info;
    if (!path)
        return CLI_DONE;
    if (!run->read_only && stat(path, &info) != 0 && errno == ENOENT)
        return CLI_DONE;
    return cli_run_load(run, path);
}

/* --------------------------------------------------------------------- end */

static int print_json(const struct cli_run *run)
{
    const struct cli_text *text = &run->collected;
    json_t *list = json_array();
    CLI_TRY(cli_json_append(
        list, json_pack("{sI sI sI ss ss ss%}", "prompt_tokens",
                        (json_int_t)run->prompt_tokens, "tokens",
                        (json_int_t)run->generator.tokens, "seed",
                        (json_int_t)run->options.seed, "attention",
                        cli_attention(&run->options.common, run->model), "end",
                        cli_end_name(run->end), "text",
                        text->data ? text->data : "", text->size)));
    return cli_json_print(list);
}

int cli_run_save(const struct cli_run *run, const char *path)
{
    clsa_error error;
    if (run->options.chat)
        CLI_TRY(cli_conversation_save(&run->conversation, run->session, path));
    if (clsa_session_save(run->session, path, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

static int save_session(const struct cli_run *run, int status)
{
    if (!run->options.session || run->read_only || !run->session ||
        clsa_session_length(run->session) == 0)
        return status;
    const int saved = cli_run_save(run, run->options.session);
    if (!saved)
        cli_verbose("saved %" PRIu64 " tokens to %s",
                    clsa_session_length(run->session), run->options.session);
    return status == CLI_DONE ? saved : status;
}

static void report_memory(const struct cli_run *run)
{
    clsa_session_stats stats;
    clsa_session_get_stats(run->session, &stats, sizeof stats);
    cli_verbose("seed %" PRIu64 ", cache %.1f MiB, windows %.1f MiB, working "
                "set %.1f MiB",
                run->options.seed, (double)stats.cache_bytes / 1048576,
                (double)stats.window_bytes / 1048576,
                (double)stats.working_bytes / 1048576);
}

/* Which rows are read, and whose index says so. */
static void report_policy(const struct cli_run *run)
{
    clsa_model_info info;
    clsa_model_get_info(run->model, &info, sizeof info);
    cli_verbose("attention %s, index %s",
                cli_attention(&run->options.common, run->model),
                info.index_file[0] != '\0' ? info.index_file
                : info.index_sites > 0     ? "of the model file"
                                           : "none");
}

static int run_model(struct cli_run *run, bool have_prompt)
{
    struct cli_run_options *o = &run->options;
    struct cli_generator *g = &run->generator;
    *g = (struct cli_generator){
        .model = run->model,
        .limit = o->tokens,
        .stops = o->stops,
        .end = -1,
        .keep = o->session || o->interactive,
        .collect = o->common.json || o->chat ? &run->collected : NULL,
        .quiet = o->common.json};
    CLI_TRY(cli_run_sampler(run));
    if (o->chat)
        CLI_TRY(cli_chat_open(run->model, cli_model_path(&o->common), &g->end));
    if (o->variables)
        CLI_TRY(cli_conversation_variables(&run->conversation, o->variables));
    report_policy(run);
    CLI_TRY(load_session(run));
    if (!run->session && (o->interactive || o->chat)) {
        CLI_TRY(
            cli_session_open(&o->common, run->model, 0, NULL, &run->session));
        CLI_TRY(cli_chat_begin(run));
    }
    int status = cli_run_turns(run, have_prompt);
    if (run->session)
        report_memory(run);
    if (o->common.json && (status == CLI_DONE || status == CLI_INTERRUPTED))
        print_json(run);
    return save_session(run, status);
}

static void run_close(struct cli_run *run)
{
    clsa_sampler_close(run->sampler);
    clsa_session_close(run->session);
    clsa_model_close(run->model);
    cli_text_free(&run->message);
    cli_text_free(&run->collected);
    cli_text_free(&run->generator.held);
    cli_conversation_free(&run->conversation);
    cli_texts_free(&run->options.stops);
}

/* A session that is there and cannot be saved is used all the same. */
static int check_session(struct cli_run *run)
{
    struct cli_run_options *o = &run->options;
    if (o->session_ro) {
        o->session = o->session_ro;
        run->read_only = true;
        return CLI_DONE;
    }
    if (!o->session)
        return CLI_DONE;
    if (access(o->session, R_OK) != 0 || !cli_output_is_fixed(o->session))
        return cli_output_check(o->session);
    cli_warning("%s: its folder cannot be written: the session is used, and "
                "not saved",
                o->session);
    run->read_only = true;
    return CLI_DONE;
}

static int run_arguments(struct cli_run *run, int argc, char **argv)
{
    struct cli_run_options *o = &run->options;
    int first;
    CLI_TRY(
        cli_options_parse(o->commands ? &cli_command_chat : &cli_command_run,
                          argc, argv, o, &first));
    if (first == 0)
        return CLI_DONE;
    const int operands = argc - first;
    CLI_TRY(check_usage(o, operands, argv[first]));
    CLI_TRY(check_session(run));
    if (o->system && !o->chat)
        cli_warning("--system: has no effect without --chat");
    if (o->variables && !o->chat)
        cli_warning("--template-vars: has no effect without --chat");
    CLI_TRY(read_prompt(run, operands > 0));
    CLI_TRY(cli_model_open(&o->common, &run->model));
    return run_model(run,
                     o->prompt || o->file || operands > 0 || !o->interactive);
}

static int run_either(int argc, char **argv, bool is_chat)
{
    struct cli_run run = {.options = {.common = CLI_COMMON_INIT,
                                      .tokens = UINT64_MAX,
                                      .seed = UINT64_MAX,
                                      .temperature = 0.8,
                                      .top_k = 40,
                                      .top_p = 0.95,
                                      .min_p = 0.05,
                                      .repeat_penalty = 1,
                                      .interactive = is_chat,
                                      .chat = is_chat,
                                      .commands = is_chat},
                          .end = CLI_END_TOKENS};
    int status = run_arguments(&run, argc, argv);
    run_close(&run);
    return status;
}

static int run_run(int argc, char **argv)
{
    return run_either(argc, argv, false);
}

static int chat_run(int argc, char **argv)
{
    return run_either(argc, argv, true);
}

const struct cli_command cli_command_run = {
    .name = "run",
    .usage = "[-p TEXT | -f FILE | -]",
    .operands = true,
    .summary = "Generate the text that follows a prompt.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = run_table,
    .shared = cli_run_table,
    .run = run_run};

const struct cli_command cli_command_chat = {.name = "chat",
                                             .usage = "[-p TEXT | -f FILE]",
                                             .summary = "Talk with a model.",
                                             .groups = CLI_GROUP_MODEL |
                                                       CLI_GROUP_SESSION,
                                             .shared = cli_run_table,
                                             .run = chat_run};
