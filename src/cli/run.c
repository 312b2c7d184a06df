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

#include "src/cli/chat.h"
#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/run.h"

/* The option of a member of run_options. */
#define AT(member) offsetof(struct cli_run_options, member)

static const struct cli_option run_table[] = {
    {.kind = CLI_TEXT,
     .letter = 'p',
     .name = "prompt",
     .argument = "TEXT",
     .help = "the text to go on from",
     .offset = AT(prompt)},
    {.kind = CLI_FILE,
     .letter = 'f',
     .name = "file",
     .argument = "FILE",
     .help = "take the prompt from a file",
     .offset = AT(file)},
    {.kind = CLI_SIZE,
     .letter = 'n',
     .name = "tokens",
     .argument = "N",
     .help = "generate at most N tokens; 0 only reads the prompt",
     .offset = AT(tokens),
     .max = UINT32_MAX},
    {.kind = CLI_REAL,
     .name = "temp",
     .argument = "T",
     .help = "temperature, 0 is greedy; default: 0.8",
     .offset = AT(temperature),
     .high = 100},
    {.kind = CLI_SIZE,
     .name = "top-k",
     .argument = "K",
     .help = "sample from the K best, 0 is all; default: 40",
     .offset = AT(top_k),
     .max = UINT32_MAX},
    {.kind = CLI_REAL,
     .name = "top-p",
     .argument = "P",
     .help = "sample from the best that make up P; default: 0.95",
     .offset = AT(top_p),
     .high = 1},
    {.kind = CLI_REAL,
     .name = "min-p",
     .argument = "P",
     .help = "leave out less than P of the best; default: 0.05",
     .offset = AT(min_p),
     .high = 1},
    {.kind = CLI_REAL,
     .name = "repeat-penalty",
     .argument = "R",
     .help = "divide what came lately by R; default: 1, off",
     .offset = AT(repeat_penalty),
     .low = 0.01,
     .high = 100},
    {.kind = CLI_SIZE,
     .name = "seed",
     .argument = "S",
     .help = "same seed, same text; default: a random one",
     .offset = AT(seed),
     .max = INT64_MAX},
    {.kind = CLI_TEXTS,
     .name = "stop",
     .argument = "TEXT",
     .help = "end before this text; may be given several times",
     .offset = AT(stops)},
    {.kind = CLI_FILE,
     .name = "session",
     .argument = "FILE",
     .help = "go on from FILE if it is there, save to it at the end",
     .offset = AT(session)},
    {.kind = CLI_FLAG,
     .letter = 'i',
     .name = "interactive",
     .help = "go on in turns with lines of standard input",
     .offset = AT(interactive)},
    {.kind = CLI_FLAG,
     .name = "chat",
     .help = "take prompt and lines as turns of a ChatML chat",
     .offset = AT(chat)},
    {0}};

/* ------------------------------------------------------------------ set-up */

static int check_usage(const struct cli_run_options *o, int operands,
                       const char *operand)
{
    const struct cli_command *self = &cli_command_run;
    int from_stdin = operands > 0 || (o->file && strcmp(o->file, "-") == 0);

    if (operands > 1 || (operands == 1 && strcmp(operand, "-") != 0))
        return cli_usage(self,
                         "unexpected argument '%s': give a prompt "
                         "with -p TEXT",
                         operand);
    if ((o->prompt != NULL) + (o->file != NULL) + operands > 1)
        return cli_usage(self, "give only one of -p, -f and -");
    if (o->interactive && from_stdin)
        return cli_usage(self, "-i: standard input cannot be the prompt too");
    if (o->interactive && o->common.json)
        return cli_usage(self, "--json: does not go with -i");
    if (!o->prompt && !o->file && !operands && !o->interactive && !o->session)
        return cli_usage(self, "give a prompt with -p TEXT, -f FILE or -");
    return CLI_DONE;
}

static int read_prompt(struct cli_run *run, int from_stdin)
{
    const struct cli_run_options *o = &run->options;

    if (o->prompt != NULL)
        return cli_text_add(&run->text, o->prompt, strlen(o->prompt));
    if (o->file != NULL || from_stdin)
        return cli_file_read(from_stdin ? "-" : o->file, &run->text);
    return cli_text_add(&run->text, "", 0);
}

static int open_sampler(struct cli_run *run)
{
    struct cli_run_options *o = &run->options;
    clsa_sampler_options options;
    clsa_error error;

    if (o->seed == UINT64_MAX &&
        getrandom(&o->seed, sizeof o->seed, 0) == sizeof o->seed)
        o->seed &= INT64_MAX;
    clsa_sampler_options_init(&options);
    options.temperature = (float)o->temperature;
    options.top_k = (uint32_t)o->top_k;
    options.top_p = (float)o->top_p;
    options.min_p = (float)o->min_p;
    options.repeat_penalty = (float)o->repeat_penalty;
    options.seed = o->seed;
    if (clsa_sampler_open(&run->sampler, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    return CLI_DONE;
}

/* Load the session file if it is there; else the session stays NULL. */
static int load_session(struct cli_run *run)
{
    const struct cli_run_options *o = &run->options;
    clsa_session_options options;
    clsa_error error;
    struct stat info;

    if (o->session == NULL)
        return CLI_DONE;
    if (stat(o->session, &info) != 0 && errno == ENOENT)
        return CLI_DONE;
    cli_session_options(&o->common, run->model, 0, &options);
    if (clsa_session_load(&run->session, run->model, o->session, &options,
                          &error) != CLSA_OK)
        return cli_fail_option(&error);
    cli_detail("session %s: %" PRIu64 " tokens", o->session,
               clsa_session_length(run->session));
    return CLI_DONE;
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
                        text->data != NULL ? text->data : "", text->size)));
    return cli_json_print(list);
}

static int save_session(const struct cli_run *run, int status)
{
    clsa_error error;

    if (run->options.session == NULL || run->session == NULL ||
        clsa_session_length(run->session) == 0)
        return status;
    if (clsa_session_save(run->session, run->options.session, &error) !=
        CLSA_OK) {
        int failed = cli_fail_error(&error);

        return status == CLI_DONE ? failed : status;
    }
    cli_detail("saved %" PRIu64 " tokens to %s",
               clsa_session_length(run->session), run->options.session);
    return status;
}

static void detail_memory(const struct cli_run *run)
{
    clsa_session_stats stats;

    clsa_session_get_stats(run->session, &stats);
    cli_detail("seed %" PRIu64 ", cache %.1f MiB, windows %.1f MiB, working "
               "set %.1f MiB",
               run->options.seed, (double)stats.cache_bytes / 1048576,
               (double)stats.window_bytes / 1048576,
               (double)stats.working_bytes / 1048576);
}

static int run_model(struct cli_run *run, int have_prompt)
{
    struct cli_run_options *o = &run->options;
    struct cli_generator *g = &run->generator;
    clsa_model_info info;
    int status;

    CLI_TRY(open_sampler(run));
    clsa_model_get_info(run->model, &info);
    *g = (struct cli_generator){.model = run->model,
                                .sampler = run->sampler,
                                .limit = o->tokens,
                                .stops = o->stops,
                                .ends = {info.eos, -1},
                                .keep = o->session || o->interactive,
                                .collect =
                                    o->common.json ? &run->collected : NULL};
    if (o->chat)
        CLI_TRY(
            cli_chat_open(run->model, cli_model_path(&o->common), &g->ends[1]));
    CLI_TRY(load_session(run));
    if (run->session == NULL && (o->interactive || o->chat))
        CLI_TRY(
            cli_session_open(&o->common, run->model, 0, NULL, &run->session));
    status = cli_run_turns(run, have_prompt);
    if (run->session != NULL)
        detail_memory(run);
    if (o->common.json && (status == CLI_DONE || status == CLI_INTERRUPTED))
        print_json(run);
    return save_session(run, status);
}

static void run_close(struct cli_run *run)
{
    clsa_sampler_close(run->sampler);
    clsa_session_close(run->session);
    clsa_model_close(run->model);
    cli_text_free(&run->text);
    cli_text_free(&run->collected);
    cli_text_free(&run->generator.held);
    cli_texts_free(&run->options.stops);
}

static int run_run(int argc, char **argv)
{
    struct cli_run run = {.options = {.common = CLI_COMMON_INIT,
                                      .tokens = UINT64_MAX,
                                      .seed = UINT64_MAX,
                                      .temperature = 0.8,
                                      .top_k = 40,
                                      .top_p = 0.95,
                                      .min_p = 0.05,
                                      .repeat_penalty = 1},
                          .end = CLI_END_TOKENS};
    struct cli_run_options *o = &run.options;
    int first, status, operands;

    status = cli_options_parse(&cli_command_run, argc, argv, o, &first);
    operands = argc - first;
    if (status == CLI_DONE && first > 0)
        status = check_usage(o, operands, argv[first]);
    if (status == CLI_DONE && first > 0 && o->session != NULL)
        status = cli_output_check(o->session);
    if (status == CLI_DONE && first > 0)
        status = read_prompt(&run, operands > 0);
    if (status == CLI_DONE && first > 0)
        status = cli_model_open(&o->common, &run.model);
    if (status == CLI_DONE && first > 0)
        status = run_model(&run, o->prompt || o->file || operands > 0 ||
                                     !o->interactive);
    run_close(&run);
    return status;
}

const struct cli_command cli_command_run = {
    .name = "run",
    .usage = "[-p TEXT | -f FILE | -]",
    .operands = 1,
    .summary = "Generate the text that follows a prompt.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = run_table,
    .run = run_run};
