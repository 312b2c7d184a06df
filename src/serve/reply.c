/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply: how a call is answered: at once, or with what its request gets from
 * the engine, as it comes. A connection whose request has nothing is suspended.
 * I/O thread.
 */
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/http.h"

#define BLOCK ((size_t)32 << 10) /* bytes of an answer at once */

/* -------------------------------------------------------------------- replies
 */

enum MHD_Result serve_reply(struct serve_call *call, int status,
                            const char *type, const char *text, size_t size,
                            const char *header, const char *value)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (header)
        MHD_add_response_header(response, header, value);
    if (call->request)
        MHD_add_response_header(response, "x-request-id", call->request->id);
    const enum MHD_Result result =
        MHD_queue_response(call->connection->mhd, (unsigned)status, response);
    MHD_destroy_response(response);
    call->answered = true;
    call->status = status;
    call->progress = serve_seconds();
    return result;
}

bool serve_is_ollama(const char *path)
{
    return strncmp(path, "/api/", 5) == 0;
}

enum MHD_Result serve_reply_error(struct serve_call *call, int status,
                                  const char *type, const char *message)
{
    char *json = serve_error_json(serve_is_ollama(call->path), message, type,
                                  NULL, NULL, NULL);
    if (!json)
        return MHD_NO;
    const enum MHD_Result result = serve_reply(call, status, "application/json",
                                               json, strlen(json), NULL, NULL);
    free(json);
    return result;
}

void serve_call_suspend(struct serve_call *call)
{
    call->suspended = true;
    MHD_suspend_connection(call->connection->mhd);
}

void serve_call_resume(struct serve_call *call)
{
    if (!call->suspended)
        return;
    call->suspended = false;
    MHD_resume_connection(call->connection->mhd);
}

/* --------------------------------------------------------------------- streams
 */

/* Up to `most` bytes of what waits; *finished: there will be no more. */
static size_t take_output(struct serve_call *call, char *buffer, size_t most,
                          bool *finished)
{
    struct serve_request *r = call->request;
    pthread_mutex_lock(&r->lock);
    const size_t n = r->out.size < most ? r->out.size : most;
    if (n > 0) {
        memcpy(buffer, r->out.data, n);
        serve_text_drop(&r->out, n);
    }
    const bool room = r->full && r->out.size <= SERVE_OUT_MAX / 2;
    if (room)
        r->full = false;
    *finished = r->finished && n == 0;
    pthread_mutex_unlock(&r->lock);
    if (room)
        serve_queue_wake(&r->server->inbox);
    return n;
}

static ssize_t read_stream(void *user, uint64_t at, char *buffer, size_t most)
{
    struct serve_call *call = user;
    bool finished;
    (void)at;
    if (call->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    const size_t n = take_output(call, buffer, most, &finished);
    if (n > 0) {
        call->progress = serve_seconds();
        return (ssize_t)n;
    }
    if (finished)
        return MHD_CONTENT_READER_END_OF_STREAM;
    serve_call_suspend(call);
    return 0;
}

static enum MHD_Result reply_stream(struct serve_call *call)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK, read_stream, call, NULL);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type",
                            serve_dialect_of(call->request->kind)->type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    MHD_add_response_header(response, "x-request-id", call->request->id);
    const enum MHD_Result result =
        MHD_queue_response(call->connection->mhd, 200, response);
    MHD_destroy_response(response);
    call->answered = true;
    call->status = 200;
    call->progress = serve_seconds();
    return result;
}

enum MHD_Result serve_call_answer(struct serve_call *call)
{
    struct serve_request *r = call->request;
    if (call->gone)
        return MHD_NO;
    pthread_mutex_lock(&r->lock);
    const bool streams = r->streams && r->status == 200;
    const bool finished = r->finished;
    const int status = r->out.failed || r->status == 0 ? 500 : r->status;
    pthread_mutex_unlock(&r->lock);
    if (streams)
        return reply_stream(call);
    if (finished)
        return serve_reply(call, status, "application/json",
                           r->out.data ? r->out.data : "", r->out.size,
                           status == 503 ? "Retry-After" : NULL, "1");
    serve_call_suspend(call);
    return MHD_YES;
}
