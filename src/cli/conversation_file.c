/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation_file: FILE.chat beside a session FILE. It names the tokens that
 * it belongs to by their number and a hash: a session that something else has
 * continued is not its own any more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/conversation.h"
#include "src/cli/message.h"
#include "src/cli/output.h"

#define VERSION 1

/* FNV-1a over the ids of a session, in hexadecimal. */
static void hash_tokens(const clsa_session *session, char text[17])
{
    const int32_t *ids = clsa_session_tokens(session);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint64_t i = 0; i < clsa_session_length(session); i++)
        for (int byte = 0; byte < 4; byte++) {
            hash ^= (uint32_t)ids[i] >> (8 * byte) & 0xffu;
            hash *= UINT64_C(0x100000001b3);
        }
    snprintf(text, 17, "%016" PRIx64, hash);
}

/* FILE.chat, to be released by free. */
static char *name_of(const char *path)
{
    static const char end[] = ".chat";
    const size_t size = strlen(path);
    char *name = malloc(size + sizeof end);
    if (name) {
        memcpy(name, path, size);
        memcpy(name + size, end, sizeof end);
    }
    return name;
}

static int write_file(const char *name, const json_t *all)
{
    struct clsa_out out = {0};
    CLI_TRY(cli_output_open(&out, name));
    const bool written = json_dumpf(all, out.file, JSON_INDENT(1)) == 0;
    fputc('\n', out.file);
    int status = cli_output_close(&out);
    if (!written && !status)
        status = cli_fail_memory();
    clsa_out_free(&out);
    return status;
}

int cli_conversation_save(const struct cli_conversation *c,
                          const clsa_session *session, const char *path)
{
    char hash[17], *name = name_of(path);
    hash_tokens(session, hash);
    json_t *all =
        json_pack("{si sI ss sI ss sO sO sO}", "version", VERSION, "tokens",
                  (json_int_t)clsa_session_length(session), "hash", hash,
                  "base", (json_int_t)c->base, "now", c->now, "variables",
                  c->variables, "messages", c->messages, "turns", c->turns);
    const int status = name && all ? write_file(name, all) : cli_fail_memory();
    json_decref(all);
    free(name);
    return status;
}

/* ----------------------------------------------------------------- reading */

static bool is_message(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && json_is_string(json_object_get(message, "content")) &&
           (strcmp(role, "system") == 0 || strcmp(role, "user") == 0 ||
            strcmp(role, "assistant") == 0);
}

static bool is_count(const json_t *value, uint64_t max)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           (uint64_t)json_integer_value(value) <= max;
}

/* Whether a turn is one of a conversation of so many messages in a session of
   so many tokens. */
static bool is_turn(const json_t *turn, size_t messages, uint64_t tokens)
{
    const json_t *dropped = json_object_get(turn, "dropped");
    const json_t *kept = json_object_get(turn, "kept");
    const json_t *prompt = json_object_get(turn, "prompt");
    size_t i;
    json_t *id;
    if (!is_count(json_object_get(turn, "messages"), messages) ||
        !is_count(prompt, tokens) || !json_is_array(dropped) ||
        !is_count(kept, (uint64_t)json_integer_value(prompt)) ||
        json_integer_value(prompt) == 0)
        return false;
    json_array_foreach(dropped, i, id)
    {
        if (!is_count(id, INT32_MAX))
            return false;
    }
    return true;
}

static bool is_whole(const json_t *all)
{
    const json_t *messages = json_object_get(all, "messages");
    const json_t *turns = json_object_get(all, "turns");
    const json_t *tokens = json_object_get(all, "tokens");
    const char *now = json_string_value(json_object_get(all, "now"));
    size_t i;
    json_t *item;
    if (!json_is_array(messages) || !json_is_array(turns) || !now ||
        strlen(now) != sizeof((struct cli_conversation *)0)->now - 1 ||
        !is_count(tokens, INT64_MAX) ||
        !is_count(json_object_get(all, "base"),
                  (uint64_t)json_integer_value(tokens)) ||
        !json_is_object(json_object_get(all, "variables")) ||
        !json_is_string(json_object_get(all, "hash")))
        return false;
    json_array_foreach(messages, i, item)
    {
        if (!is_message(item))
            return false;
    }
    json_array_foreach(turns, i, item)
    {
        if (!is_turn(item, json_array_size(messages),
                     (uint64_t)json_integer_value(tokens)))
            return false;
    }
    return true;
}

/* Take what the file has; variables that are given already stay. */
static int take(struct cli_conversation *c, const json_t *all)
{
    CLI_TRY(cli_conversation_start(
        c, (uint64_t)json_integer_value(json_object_get(all, "base"))));
    strcpy(c->now, json_string_value(json_object_get(all, "now")));
    if (json_object_update_missing(c->variables,
                                   json_object_get(all, "variables")) != 0 ||
        json_array_extend(c->messages, json_object_get(all, "messages")) != 0 ||
        json_array_extend(c->turns, json_object_get(all, "turns")) != 0)
        return cli_fail_memory();
    return CLI_DONE;
}

static int read_file(struct cli_conversation *c, const clsa_session *session,
                     const char *name, const json_t *all, bool *found)
{
    char hash[17];
    const json_t *version = json_object_get(all, "version");
    if (json_is_integer(version) && json_integer_value(version) != VERSION)
        return cli_fail("%s: of another version of the program: give another "
                        "session file",
                        name);
    if (!version || !is_whole(all))
        return cli_fail("%s: not what a chat has written: remove it, and the "
                        "session goes on without its messages",
                        name);
    hash_tokens(session, hash);
    if (strcmp(json_string_value(json_object_get(all, "hash")), hash) == 0 &&
        (uint64_t)json_integer_value(json_object_get(all, "tokens")) ==
            clsa_session_length(session)) {
        *found = true;
        return take(c, all);
    }
    cli_warning("%s: is left out: the session has gone on without it", name);
    return CLI_DONE;
}

int cli_conversation_load(struct cli_conversation *c,
                          const clsa_session *session, const char *path,
                          bool *found)
{
    struct cli_text text = {0};
    json_t *all = NULL;
    char *name = name_of(path);
    int status = CLI_DONE;
    *found = false;
    if (!name)
        return cli_fail_memory();
    if (access(name, F_OK) != 0 && errno == ENOENT)
        goto done;
    status = cli_file_read(name, &text);
    if (!status)
        status = cli_json_parse(name, 1, text.data, text.size, &all);
    if (!status)
        status = read_file(c, session, name, all, found);
done:
    json_decref(all);
    cli_text_free(&text);
    free(name);
    return status;
}
