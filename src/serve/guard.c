/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard: who may ask. Heads that two readers may understand in two ways are
 * refused, keys are compared in a time that does not depend on them, and
 * without keys a page in somebody's browser cannot reach the server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/http.h"

/* -------------------------------------------------------------------- keys */

/* A line without blanks at its ends; empty ones and comments are no keys. */
static bool add_key(struct serve_keys *keys, const char *line,
                    clsa_error *error)
{
    static const char blanks[] = " \t\r\n";
    const char *from = line + strspn(line, blanks);
    size_t size = strlen(from);
    while (size > 0 && strchr(blanks, from[size - 1]))
        size--;
    if (size == 0 || *from == '#')
        return true;
    if (size >= SERVE_KEY_MAX) {
        snprintf(error->message, sizeof error->message,
                 "a key has more than %d bytes", SERVE_KEY_MAX - 1);
        return false;
    }
    void *grown = realloc(keys->keys, (keys->count + 1) * sizeof *keys->keys);
    if (!grown) {
        snprintf(error->message, sizeof error->message, "out of memory");
        return false;
    }
    keys->keys = grown;
    memset(keys->keys[keys->count], 0, SERVE_KEY_MAX);
    memcpy(keys->keys[keys->count++], from, size);
    return true;
}

bool serve_keys_read(struct serve_keys *keys, const char *path,
                     clsa_error *error)
{
    struct serve_keys fresh = {.count = 0};
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "re");
    bool done = file != NULL;
    error->status = CLSA_ERR_IO;
    if (!file)
        snprintf(error->message, sizeof error->message, "%.300s: %s", path,
                 strerror(errno));
    while (done && getline(&line, &capacity, file) >= 0)
        done = add_key(&fresh, line, error);
    if (done && fresh.count == 0) {
        snprintf(error->message, sizeof error->message,
                 "%.300s: has no key, one a line", path);
        done = false;
    }
    free(line);
    if (file)
        fclose(file);
    if (!done) {
        free(fresh.keys);
        return false;
    }
    free(keys->keys);
    *keys = fresh;
    return true;
}

/* FNV-1a, for the number of a key. */
static uint64_t number_of(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
    return hash | 1;
}

/* All bytes of all keys are looked at, whatever was given. */
static bool find_key(const struct serve_keys *keys, const char *given,
                     uint64_t *number)
{
    char padded[SERVE_KEY_MAX] = "";
    size_t size = strlen(given), found = keys->count;
    if (size >= SERVE_KEY_MAX)
        size = 0;
    memcpy(padded, given, size);
    for (size_t i = 0; i < keys->count; i++) {
        unsigned char differ = 0;
        for (size_t j = 0; j < SERVE_KEY_MAX; j++)
            differ |= (unsigned char)(padded[j] ^ keys->keys[i][j]);
        if (!differ)
            found = i;
    }
    if (found == keys->count)
        return false;
    *number = number_of(keys->keys[found]);
    return true;
}

/* --------------------------------------------------------------------- head */

struct head {
    unsigned fields, lengths, hosts, encodings;
    bool controls;
    const char *host, *origin, *encoding, *length, *authorization, *key;
};

static enum MHD_Result look(void *user, enum MHD_ValueKind kind,
                            const char *name, const char *value)
{
    struct head *head = user;
    (void)kind;
    head->fields++;
    for (const char *c = value ? value : ""; *c != '\0'; c++)
        head->controls |=
            ((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f;
    if (strcasecmp(name, "content-length") == 0) {
        head->lengths++;
        head->length = value;
    } else if (strcasecmp(name, "host") == 0) {
        head->hosts++;
        head->host = value;
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        head->encodings++;
        head->encoding = value;
    } else if (strcasecmp(name, "origin") == 0) {
        head->origin = value;
    } else if (strcasecmp(name, "authorization") == 0) {
        head->authorization = value;
    } else if (strcasecmp(name, "x-api-key") == 0) {
        head->key = value;
    }
    return MHD_YES;
}

static bool refuse(struct serve_call *call, int status, const char *type,
                   const char *message)
{
    serve_reply_error(call, status, type, message);
    return false;
}

static bool check_head(struct serve_call *call, const struct head *head)
{
    static const char type[] = "invalid_request_error";
    if (head->fields > SERVE_FIELDS_MAX)
        return refuse(call, 431, type, "the head has too many fields");
    if (head->controls)
        return refuse(call, 400, type,
                      "a field of the head has a control character");
    if (head->hosts > 1 || (head->hosts == 0 && !call->connection->is_local))
        return refuse(call, 400, type, "there has to be one field Host");
    if (head->lengths > 1 || head->encodings > 1)
        return refuse(call, 400, type,
                      "Content-Length or Transfer-Encoding is there twice");
    if (head->lengths && head->encodings)
        return refuse(call, 400, type,
                      "Content-Length and Transfer-Encoding are both there");
    if (head->encoding && strcasecmp(head->encoding, "chunked") != 0)
        return refuse(call, 501, type,
                      "this Transfer-Encoding is not supported: use chunked");
    if (strcmp(call->method, "POST") == 0 && !head->lengths && !head->encodings)
        return refuse(call, 411, type, "there is no Content-Length");
    if (head->length && strtoull(head->length, NULL, 10) >
                            call->connection->http->server->options->max_body)
        return refuse(call, 413, type, "the body is too large");
    return true;
}

/* -------------------------------------------------------------------- access
 */

/* The name of a host without its port. */
static size_t host_size(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    return end ? (size_t)(end - host) + 1 : strcspn(host, ":");
}

static bool is_same(const char *text, size_t size, const char *name)
{
    return strlen(name) == size && strncasecmp(text, name, size) == 0;
}

/* Names that only this machine has: a name that somebody's server gave for it
   is none (DNS rebinding). */
static bool is_own_host(const struct serve_call *call, const char *host)
{
    const size_t size = host_size(host);
    return is_same(host, size, "localhost") ||
           is_same(host, size, "127.0.0.1") || is_same(host, size, "[::1]") ||
           is_same(host, size, call->connection->http->server->options->host);
}

/* A page from elsewhere says so in Origin. */
static bool is_own_origin(const char *origin, const char *host)
{
    const char *rest = strstr(origin, "://");
    return rest && host && strcasecmp(rest + 3, host) == 0;
}

static bool check_access(struct serve_call *call, const struct head *head,
                         uint64_t *key)
{
    const struct serve_http *http = call->connection->http;
    const char *given = head->key;
    if (head->authorization &&
        strncasecmp(head->authorization, "Bearer ", 7) == 0)
        given = head->authorization + 7;
    *key = 0;
    if (http->keys.count > 0) {
        if (given && find_key(&http->keys, given, key))
            return true;
        return refuse(call, 401, "authentication_error",
                      given ? "this API key is not known"
                            : "there is no API key: send Authorization: "
                              "Bearer KEY");
    }
    if (call->connection->is_local)
        return true;
    if (head->origin && !is_own_origin(head->origin, head->host))
        return refuse(call, 403, "permission_error",
                      "pages from elsewhere may not ask a server without keys");
    if (!http->server->options->allow_no_key && !is_own_host(call, head->host))
        return refuse(call, 403, "permission_error",
                      "Host is not a name of this machine");
    return true;
}

bool serve_guard(struct serve_call *call, uint64_t *key)
{
    struct head head = {.fields = 0};
    MHD_get_connection_values(call->connection->mhd, MHD_HEADER_KIND, look,
                              &head);
    if (!check_head(call, &head))
        return false;
    /* who checks health has no key */
    if (strcmp(call->path, "/health") == 0)
        return true;
    return check_access(call, &head, key);
}
