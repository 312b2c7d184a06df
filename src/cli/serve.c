/* SPDX-License-Identifier: Apache-2.0 */
/* serve: the options of the server. The rest is in src/serve. */
#include "config.h"

#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#ifdef HAVE_MICROHTTPD
#include "src/serve/serve.h"
#endif

struct serve_command {
    struct cli_common common;
    struct cli_texts models;
    const char *host, *unix_path, *key_file, *alias;
    uint64_t port, max_seqs, max_queue, max_stall, max_choices, max_body;
    uint64_t queue_timeout, request_timeout, cache_dir_size, keep_alive;
    const char *cache, *cache_dir;
    bool allow_no_key;
};

#define AT(member) offsetof(struct serve_command, member)

static const struct cli_option serve_table[] = {
    {.kind = CLI_FILES,
     .letter = 'm',
     .name = "model",
     .argument = "FILE",
     .help = "model file, may be given again for more models",
     .offset = AT(models)},
    {.kind = CLI_SIZE,
     .name = "keep-alive",
     .argument = "SECONDS",
     .help = "unload a model that nobody asks; default: 0, never",
     .offset = AT(keep_alive),
     .max = 31536000},
    {.kind = CLI_TEXT,
     .name = "host",
     .argument = "ADDRESS",
     .help = "address to listen on; default: 127.0.0.1",
     .offset = AT(host)},
    {.kind = CLI_SIZE,
     .name = "port",
     .argument = "N",
     .help = "port, 0 for a free one; default: 8080",
     .offset = AT(port),
     .max = 65535},
    {.kind = CLI_FILE,
     .name = "unix",
     .argument = "PATH",
     .help = "listen on a socket file, too",
     .offset = AT(unix_path)},
    {.kind = CLI_FILE,
     .name = "api-key-file",
     .argument = "FILE",
     .help = "keys that clients have to send, one a line",
     .offset = AT(key_file)},
    {.kind = CLI_FLAG,
     .name = "allow-no-key",
     .help = "let anybody who reaches the address ask",
     .offset = AT(allow_no_key)},
    {.kind = CLI_TEXT,
     .name = "alias",
     .argument = "NAME",
     .help = "name of the model for clients; default: of its file",
     .offset = AT(alias)},
    {.kind = CLI_SIZE,
     .name = "max-seqs",
     .argument = "N",
     .help = "sequences that run at once; default: 8",
     .offset = AT(max_seqs),
     .min = 1,
     .max = 64},
    {.kind = CLI_SIZE,
     .name = "max-queue",
     .argument = "N",
     .help = "requests that wait; default: 128",
     .offset = AT(max_queue),
     .max = 65536},
    {.kind = CLI_SIZE,
     .name = "queue-timeout",
     .argument = "S",
     .help = "seconds until a request runs; default: any",
     .offset = AT(queue_timeout),
     .max = 86400},
    {.kind = CLI_SIZE,
     .name = "request-timeout",
     .argument = "S",
     .help = "seconds until a request ends; default: any",
     .offset = AT(request_timeout),
     .max = 86400},
    {.kind = CLI_SIZE,
     .name = "max-stall",
     .argument = "MS",
     .help = "ms that streams wait for a prompt; default: 200",
     .offset = AT(max_stall),
     .min = 1,
     .max = 60000},
    {.kind = CLI_SIZE,
     .name = "max-choices",
     .argument = "N",
     .help = "choices that a request may ask for; default: 8",
     .offset = AT(max_choices),
     .min = 1,
     .max = 64},
    {.kind = CLI_SIZE,
     .name = "max-body",
     .argument = "SIZE",
     .help = "largest body of a request; default: 16M",
     .offset = AT(max_body),
     .min = 1024,
     .max = (uint64_t)1 << 30},
    {.kind = CLI_TEXT,
     .name = "cache",
     .argument = "on|off|SIZE",
     .help = "memory for beginnings of prompts; default: on",
     .offset = AT(cache)},
    {.kind = CLI_FILE,
     .name = "cache-dir",
     .argument = "DIR",
     .help = "folder that keeps them for the next start",
     .offset = AT(cache_dir)},
    {.kind = CLI_SIZE,
     .name = "cache-dir-size",
     .argument = "SIZE",
     .help = "bytes of its files at most; default: 4G",
     .offset = AT(cache_dir_size),
     .min = 1,
     .max = (uint64_t)1 << 50},
    {0}};

#ifdef HAVE_MICROHTTPD

static void say(const char *line)
{
    cli_info("%s", line);
}

/* on: what the memory limit leaves. */
static bool parse_cache(const char *text, uint64_t *size)
{
    *size = UINT64_MAX;
    if (strcmp(text, "on") == 0)
        return true;
    *size = 0;
    return strcmp(text, "off") == 0 ||
           cli_parse_size(text, 1, (uint64_t)1 << 50, size);
}

static int serve(const struct serve_command *o)
{
    const char *standard = cli_model_path(&o->common);
    struct serve_options options = {
        .models = o->models.count > 0 ? o->models.values : &standard,
        .model_count = o->models.count > 0 ? o->models.count : 1,
        .keep_alive = (uint32_t)o->keep_alive,
        .host = o->host,
        .port = (uint32_t)o->port,
        .unix_path = o->unix_path,
        .key_file = o->key_file,
        .allow_no_key = o->allow_no_key,
        .alias = o->alias,
        .max_seqs = (uint32_t)o->max_seqs,
        .max_queue = (uint32_t)o->max_queue,
        .queue_timeout = (uint32_t)o->queue_timeout,
        .request_timeout = (uint32_t)o->request_timeout,
        .max_stall = (uint32_t)o->max_stall,
        .max_choices = (uint32_t)o->max_choices,
        .max_body = o->max_body,
        .cache_dir = o->cache_dir,
        .cache_dir_size = o->cache_dir_size,
        .say = say,
    };
    clsa_error error;
    if (!parse_cache(o->cache, &options.cache))
        return cli_usage(&cli_command_serve,
                         "--cache: '%s' is not on, off or a size", o->cache);
    if (options.cache_dir && options.cache == 0)
        return cli_usage(&cli_command_serve,
                         "--cache-dir keeps the cache: leave out --cache off");
    if (options.model_count > SERVE_MODELS_MAX)
        return cli_usage(&cli_command_serve, "more than %d models",
                         SERVE_MODELS_MAX);
    if (options.model_count > 1 && options.alias)
        return cli_usage(&cli_command_serve,
                         "--alias is for one model: several have the names of "
                         "their files");
    cli_model_options(&o->common, &options.model_options);
    options.model_options.on_progress = NULL;
    cli_common_session(&o->common, &options.session_options);
    switch (serve_run(&options, &error)) {
    case SERVE_DONE:
        return CLI_DONE;
    case SERVE_USAGE:
        return cli_usage(&cli_command_serve, "%s", error.message);
    default:
        return cli_fail("%s", error.message);
    }
}

#else

static int serve(const struct serve_command *o)
{
    (void)o;
    return cli_fail("serve: this build has no libmicrohttpd: install it and "
                    "configure with --with-microhttpd");
}

#endif

static int run_serve(int argc, char **argv)
{
    struct serve_command o = {.common = CLI_COMMON_INIT,
                              .host = "127.0.0.1",
                              .port = 8080,
                              .max_seqs = 8,
                              .max_queue = 128,
                              .max_stall = 200,
                              .max_choices = 8,
                              .max_body = (uint64_t)16 << 20,
                              .cache = "on",
                              .cache_dir_size = (uint64_t)4 << 30};
    int first;
    CLI_TRY(cli_options_parse(&cli_command_serve, argc, argv, &o, &first));
    if (first == 0)
        return CLI_DONE;
    const int result = serve(&o);
    cli_texts_free(&o.models);
    return result;
}

const struct cli_command cli_command_serve = {
    .name = "serve",
    .usage = "",
    .summary = "Serve a model over HTTP, in the dialect of OpenAI.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = serve_table,
    .run = run_serve};
