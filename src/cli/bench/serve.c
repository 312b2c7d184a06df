/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench serve: how fast a server answers many clients: any server with the API
 * of OpenAI, so that two can be measured with the same requests.
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/load.h"
#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/options.h"

struct serve_options {
    struct cli_common common;
    uint64_t clients, requests, prompt_tokens, tokens, seed;
    double rate, slo_ttft, slo_tpot;
    const char *name, *key_file;
    bool completions;
};

#define AT(member) offsetof(struct serve_options, member)

static const struct cli_option serve_table[] = {
    {.kind = CLI_SIZE,
     .name = "clients",
     .argument = "N",
     .help = "clients that ask again when answered; default: 1",
     .offset = AT(clients),
     .min = 1,
     .max = 4096},
    {.kind = CLI_REAL,
     .name = "rate",
     .argument = "R",
     .help = "requests a second at random times instead",
     .offset = AT(rate),
     .low = 0.001,
     .high = 100000},
    {.kind = CLI_SIZE,
     .name = "requests",
     .argument = "N",
     .help = "requests; default: 32",
     .offset = AT(requests),
     .min = 1,
     .max = 1000000},
    {.kind = CLI_SIZE,
     .name = "prompt-tokens",
     .argument = "N",
     .help = "tokens of a prompt, nearly; default: 1000",
     .offset = AT(prompt_tokens),
     .min = 1,
     .max = 10000000},
    {.kind = CLI_SIZE,
     .name = "tokens",
     .argument = "N",
     .help = "tokens of an answer; default: 128",
     .offset = AT(tokens),
     .min = 1,
     .max = 1000000},
    {.kind = CLI_SIZE,
     .name = "seed",
     .argument = "N",
     .help = "of the prompts and times; default: 1",
     .offset = AT(seed),
     .max = UINT32_MAX},
    {.kind = CLI_REAL,
     .name = "slo-ttft",
     .argument = "MS",
     .help = "first token of a good answer, at most",
     .offset = AT(slo_ttft),
     .low = 0.001,
     .high = 1e9},
    {.kind = CLI_REAL,
     .name = "slo-tpot",
     .argument = "MS",
     .help = "time for each of its other tokens, at most",
     .offset = AT(slo_tpot),
     .low = 0.001,
     .high = 1e9},
    {.kind = CLI_FLAG,
     .name = "completions",
     .help = "ask /v1/completions, not for chats",
     .offset = AT(completions)},
    {.kind = CLI_TEXT,
     .name = "name",
     .argument = "NAME",
     .help = "model to ask for; default: the first one",
     .offset = AT(name)},
    {.kind = CLI_FILE,
     .name = "api-key-file",
     .argument = "FILE",
     .help = "its first line is sent as the key",
     .offset = AT(key_file)},
    {0}};

#ifdef HAVE_LIBCURL

/* The address without a slash at its end, and with /v1. */
static int base_of(const char *given, char *url, size_t size)
{
    size_t length = strlen(given);
    if (strncmp(given, "http://", 7) != 0 && strncmp(given, "https://", 8) != 0)
        return cli_usage(&cli_command_bench_serve,
                         "'%s' is not an address: give http://HOST:PORT",
                         given);
    while (length > 8 && given[length - 1] == '/')
        length--;
    const bool whole = length > 3 && strncmp(given + length - 3, "/v1", 3) == 0;
    if (length + 4 > size)
        return cli_fail("%.60s...: the address is too long", given);
    snprintf(url, size, "%.*s%s", (int)length, given, whole ? "" : "/v1");
    return CLI_DONE;
}

static int read_key(const char *path, struct cli_text *key)
{
    CLI_TRY(cli_file_read(path, key));
    key->size = key->data ? strcspn(key->data, "\r\n") : 0;
    if (key->size == 0 || key->size > 512)
        return cli_fail("%s: its first line is not a key of 1 to 512 bytes",
                        path);
    key->data[key->size] = '\0';
    return CLI_DONE;
}

/* As many words as make the tokens that are asked for. */
static int fit_prompt(const struct serve_options *o, struct load_options *load)
{
    uint64_t few, many;
    load->words = o->prompt_tokens;
    CLI_TRY(load_count_prompt(load, 16, &few));
    CLI_TRY(load_count_prompt(load, 80, &many));
    if (many <= few) {
        cli_warning("the server does not count tokens: a word is taken as one");
        return CLI_DONE;
    }
    const double each = (double)(many - few) / 64;
    const double words = 16 + ((double)o->prompt_tokens - (double)few) / each;
    load->words = words < 1 ? 1 : (uint64_t)(words + 0.5);
    return CLI_DONE;
}

/* ------------------------------------------------------------------- report */

/* Times in ms, null if there are none. */
static json_t *times(struct load_samples *samples)
{
    if (samples->count == 0)
        return json_null();
    return json_pack("{sf sf sf}", "p50", load_samples_at(samples, 0.5), "p90",
                     load_samples_at(samples, 0.9), "p99",
                     load_samples_at(samples, 0.99));
}

static double per_second(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

static json_t *report(const struct serve_options *o, struct load_result *r)
{
    const bool limits = o->slo_ttft > 0 || o->slo_tpot > 0;
    return json_pack(
        "{sI sI so sI sI sf sf sI sI sI sf sf so so so so}", "clients",
        (json_int_t)r->most, "requests", (json_int_t)o->requests, "rate",
        o->rate > 0 ? json_real(o->rate) : json_null(), "completed",
        (json_int_t)r->completed, "errors", (json_int_t)r->errors, "duration_s",
        r->seconds, "requests_per_s", per_second(r->completed, r->seconds),
        "prompt_tokens", (json_int_t)r->prompt_tokens, "cached_tokens",
        (json_int_t)r->cached_tokens, "output_tokens",
        (json_int_t)r->output_tokens, "output_tokens_per_s",
        per_second(r->output_tokens, r->seconds), "total_tokens_per_s",
        per_second(r->output_tokens + r->prompt_tokens, r->seconds), "goodput",
        limits ? json_real((double)r->good / (double)o->requests) : json_null(),
        "ttft_ms", times(&r->ttft), "tpot_ms", times(&r->tpot), "itl_ms",
        times(&r->itl));
}

static void print_times(const char *name, const char *what,
                        struct load_samples *s)
{
    if (s->count > 0)
        printf("%-6s %9.1f %9.1f %9.1f  %s\n", name, load_samples_at(s, 0.5),
               load_samples_at(s, 0.9), load_samples_at(s, 0.99), what);
}

static int print(const struct serve_options *o, struct load_result *r)
{
    if (o->common.json) {
        json_t *json = report(o, r);
        if (json)
            json_object_set_new(json, "e2e_ms", times(&r->e2e));
        return cli_json_print(json);
    }
    printf("%" PRIu64 " of %" PRIu64
           " requests answered in %.1f s, up to %" PRIu64 " at once\n",
           r->completed, o->requests, r->seconds, r->most);
    printf("prompts  %" PRIu64 " tokens, %" PRIu64 " of them cached\n",
           r->prompt_tokens, r->cached_tokens);
    printf("answers  %" PRIu64 " tokens, %.1f tokens/s, %.2f requests/s\n",
           r->output_tokens, per_second(r->output_tokens, r->seconds),
           per_second(r->completed, r->seconds));
    if (o->slo_ttft > 0 || o->slo_tpot > 0)
        printf("goodput  %.3f of the requests\n",
               (double)r->good / (double)o->requests);
    if (r->completed > 0)
        printf("%-6s %9s %9s %9s\n", "ms", "p50", "p90", "p99");
    print_times("TTFT", "to the first token", &r->ttft);
    print_times("TPOT", "for each other token of an answer", &r->tpot);
    print_times("ITL", "between pieces", &r->itl);
    print_times("E2E", "for the whole answer", &r->e2e);
    return CLI_DONE;
}

/* ---------------------------------------------------------------------- run */

static int measure(const struct serve_options *o, struct load_options *load)
{
    struct load_result result = {.most = 0};
    char *name = NULL;
    load->model = o->name;
    int status = o->name ? CLI_DONE : load_model_name(load, &name);
    if (name)
        load->model = name;
    if (!status)
        status = fit_prompt(o, load);
    if (!status)
        status = load_run(load, &result);
    if (!status && result.errors > 0)
        cli_warning("%" PRIu64 " requests failed; the first: %s", result.errors,
                    result.why);
    if (!status)
        status = print(o, &result);
    if (!status && result.completed == 0)
        status = CLI_FAILED;
    load_result_free(&result);
    free(name);
    return status;
}

static int serve(const struct serve_options *o, const char *address)
{
    char url[900];
    struct cli_text key = {0};
    struct load_options load = {
        .url = url,
        .clients = o->rate > 0      ? 0
                   : o->clients > 0 ? o->clients
                                    : 1,
        .rate = o->rate,
        .requests = o->requests,
        .tokens = o->tokens,
        .seed = o->seed,
        .completions = o->completions,
        .slo_ttft = o->slo_ttft,
        .slo_tpot = o->slo_tpot,
    };
    CLI_TRY(base_of(address, url, sizeof url));
    int status = o->key_file ? read_key(o->key_file, &key) : CLI_DONE;
    load.key = key.data;
    if (!status)
        status = measure(o, &load);
    cli_text_free(&key);
    return status;
}

#else

static int serve(const struct serve_options *o, const char *address)
{
    (void)o;
    (void)address;
    return cli_fail("bench serve: this build has no libcurl: install it and "
                    "configure with --with-libcurl");
}

#endif

static int bench_serve_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_bench_serve;
    struct serve_options o = {.common = CLI_COMMON_INIT,
                              .requests = 32,
                              .prompt_tokens = 1000,
                              .tokens = 128,
                              .seed = 1};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &o, &first));
    if (first == 0)
        return CLI_DONE;
    if (argc - first != 1)
        return cli_usage(self, "give one address, as http://127.0.0.1:8080");
    if (o.clients > 0 && o.rate > 0)
        return cli_usage(self, "give either --clients or --rate");
    return serve(&o, argv[first]);
}

const struct cli_command cli_command_bench_serve = {
    .name = "bench serve",
    .usage = "URL",
    .summary = "Measure a server with the API of OpenAI.",
    .operands = true,
    .options = serve_table,
    .run = bench_serve_run};
