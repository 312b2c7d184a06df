/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and rendering: where failures jump to. */
#include <string.h>

#include "src/base/mem.h"
#include "src/base/utf8.h"
#include "src/jinja/chat_template.h"
#include "src/jinja/evaluate.h"
#include "src/jinja/input.h"
#include "src/jinja/parse.h"

/* A rendering ends within seconds, whatever the template does. */
#define MIB ((size_t)1 << 20)
static const struct clsa_render_limits default_limits = {
    .steps = 100000000, .memory = 256 * MIB, .output = 64 * MIB};
static const struct clsa_render_limits parse_limits = {
    .steps = 100000000, .memory = 64 * MIB, .output = 16 * MIB};
#define LARGEST_TEMPLATE MIB

static struct clsa_jinja start(const struct clsa_render_limits *limits,
                               clsa_status refused, clsa_error *error)
{
    return (struct clsa_jinja){.pool.limit = limits->memory,
                               .steps = limits->steps,
                               .output_limit = limits->output,
                               .refused = refused,
                               .error = error};
}

/* ----------------------------------------------------------------- parsing */

/* A copy with newlines "\n" only, and without one at the end. */
static char *copy_text(const char *text, size_t size, size_t *copied)
{
    char *copy = clsa_mem_calloc(size + 1, 1);
    size_t used = 0;
    if (!copy)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n')
            continue;
        copy[used++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (used > 0 && copy[used - 1] == '\n')
        used--;
    *copied = used;
    return copy;
}

/* Failures of the parse come back to here. */
static clsa_status parse(struct clsa_jinja *j, clsa_chat_template *t,
                         size_t size)
{
    if (setjmp(j->failed) == 0)
        t->first = clsa_parse(j, t->text, size);
    return j->status;
}

clsa_status clsa_chat_template_open(clsa_chat_template **chat_template,
                                    const char *text, size_t size,
                                    clsa_error *error)
{
    if (size > LARGEST_TEMPLATE)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "chat template: larger than %zu MiB",
                         LARGEST_TEMPLATE / MIB);
    if (!clsa_utf8_valid(text, size))
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "chat template: not valid UTF-8");
    clsa_chat_template *t = clsa_mem_calloc(1, sizeof *t);
    if (!t || !(t->text = copy_text(text, size, &size))) {
        clsa_chat_template_close(t);
        return clsa_fail_memory(error, "a chat template", size);
    }
    struct clsa_jinja j = start(&parse_limits, CLSA_ERR_FORMAT, error);
    const clsa_status status = parse(&j, t, size);
    t->pool = j.pool;
    if (status) {
        clsa_chat_template_close(t);
        return status;
    }
    *chat_template = t;
    return CLSA_OK;
}

void clsa_chat_template_close(clsa_chat_template *t)
{
    if (!t)
        return;
    clsa_pool_free(&t->pool);
    clsa_mem_free(t->text);
    clsa_mem_free(t->bos);
    clsa_mem_free(t->eos);
    clsa_mem_free(t);
}

clsa_status clsa_chat_template_tokens(clsa_chat_template *t, const char *bos,
                                      size_t bos_size, const char *eos,
                                      size_t eos_size, clsa_error *error)
{
    if (bos && clsa_utf8_valid(bos, bos_size) &&
        !(t->bos = clsa_mem_dup(bos, bos_size)))
        return clsa_fail_memory(error, "a token", bos_size);
    if (eos && clsa_utf8_valid(eos, eos_size) &&
        !(t->eos = clsa_mem_dup(eos, eos_size)))
        return clsa_fail_memory(error, "a token", eos_size);
    return CLSA_OK;
}

/* --------------------------------------------------------------- rendering */

/* The text in memory of its own. */
static void give(struct clsa_jinja *j, const struct clsa_buffer *buffer,
                 size_t size, char **text, size_t *text_size)
{
    char *copy = clsa_mem_dup(buffer->data ? buffer->data : "", size);
    if (!copy)
        clsa_jinja_fail_status(j, CLSA_ERR_MEMORY,
                               "out of memory: %zu bytes were refused", size);
    *text = copy;
    if (text_size)
        *text_size = size;
}

/* A rendering, and what it gives. */
struct rendering {
    struct clsa_jinja j;
    const clsa_chat_template *chat_template;
    json_t *request;
    char **text;
    size_t *size;
};

static void run(struct rendering *r)
{
    struct clsa_jinja *j = &r->j;
    const clsa_chat_template *t = r->chat_template;
    struct clsa_buffer buffer = {0};
    struct clsa_continuation end = {0};
    j->globals = clsa_scope_enter(j, NULL);
    clsa_input_variables(j, r->request, t->bos, t->eos, &end);
    clsa_scope_enter(j, j->globals);
    j->out = &buffer;
    clsa_run(j, t->first);
    give(j, &buffer, clsa_input_end(j, &buffer, &end), r->text, r->size);
}

/* Failures of the rendering come back to here. */
static clsa_status guarded(struct rendering *r)
{
    if (setjmp(r->j.failed) == 0)
        run(r);
    return r->j.status;
}

clsa_status clsa_chat_template_limited(const clsa_chat_template *t,
                                       const char *request, size_t size,
                                       const struct clsa_render_limits *limits,
                                       char **text, size_t *text_size,
                                       clsa_error *error)
{
    struct rendering r = {.chat_template = t, .text = text, .size = text_size};
    r.j = start(limits, CLSA_ERR_ARGUMENT, error);
    CLSA_TRY(clsa_input_parse(&r.request, request, size, error));
    const clsa_status status = guarded(&r);
    json_decref(r.request);
    clsa_pool_free(&r.j.pool);
    return status;
}

clsa_status clsa_chat_template_render(const clsa_chat_template *t,
                                      const char *request, size_t size,
                                      char **text, size_t *text_size,
                                      clsa_error *error)
{
    return clsa_chat_template_limited(t, request, size, &default_limits, text,
                                      text_size, error);
}
