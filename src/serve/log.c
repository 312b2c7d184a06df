/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log. */
#include <stdio.h>

#include "src/serve/log.h"

void serve_log_call(const struct serve_call *call, bool whole)
{
    const struct serve_request *r = call->request;
    const struct serve_options *o = call->connection->http->server->options;
    char line[400];
    int used =
        snprintf(line, sizeof line, "%s %s %d %.3f s", call->method, call->path,
                 whole ? call->status : 499, serve_seconds() - call->started);
    size_t generated = 0, cached = 0;
    for (size_t i = 0; whole && r && i < r->choice_count; i++) {
        generated += r->choices[i].generated;
        cached += r->choices[i].cached;
    }
    if (whole && r && r->choice_count > 0 && used > 0 &&
        (size_t)used < sizeof line)
        snprintf(line + used, sizeof line - (size_t)used,
                 " prompt=%zu cached=%zu generated=%zu first=%.3f s",
                 r->prompt_tokens, cached, generated,
                 r->first > 0 ? r->first - r->arrived : 0.0);
    for (char *c = line; *c != '\0'; c++) /* a path may have anything */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    o->say(line);
}
