/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jinja: the state of one parse or of one rendering, and the limits it has.
 *
 * Everything that a parse or a rendering makes lies in its pool. So a failure
 * may leave it from any depth: clsa_jinja_fail fills the error and jumps to
 * where the work began (chat_template.c), which releases the pool.
 */
#ifndef CLSA_JINJA_JINJA_H
#define CLSA_JINJA_JINJA_H

#include <setjmp.h>
#include <stdint.h>
#include <time.h>

#include "src/base/status.h"
#include "src/jinja/pool.h"
#include "src/jinja/value.h"

/* Nested expressions and statements of a template, and of values. */
#define CLSA_JINJA_NESTING 200
/* Nested evaluations, macro calls included. */
#define CLSA_JINJA_DEPTH 500
/* Numbers of a range, as in Jinja's sandbox. */
#define CLSA_JINJA_RANGE 100000

/* What a loop or the template is left by. */
enum clsa_flow { CLSA_FLOW_ON, CLSA_FLOW_BREAK, CLSA_FLOW_CONTINUE };

/* Text that grows in the pool. */
struct clsa_buffer {
    char *data;
    size_t size, capacity;
};

/* Variables of a block; names that are not here are looked up in `outer`. */
struct clsa_scope {
    struct clsa_scope *outer;
    struct clsa_dict *variables;
};

struct clsa_jinja {
    struct clsa_pool pool;
    jmp_buf failed;
    clsa_error *error;
    clsa_status status;
    clsa_status refused; /* status of clsa_jinja_fail: CLSA_ERR_FORMAT in a
                            parse, CLSA_ERR_ARGUMENT in a rendering */
    uint32_t line;       /* of the statement or token, from 1; 0: none yet */
    unsigned depth;      /* nested evaluations */
    uint64_t steps;      /* that are left */
    size_t output_limit; /* bytes */
    struct clsa_buffer *out;
    struct clsa_scope *scope, *globals;
    enum clsa_flow flow;
    struct tm now; /* local time that strftime_now prints */
};

/* Refuse the template or its input. */
_Noreturn void clsa_jinja_fail(struct clsa_jinja *j, const char *format, ...)
    CLSA_PRINTF(2, 3);
_Noreturn void clsa_jinja_fail_status(struct clsa_jinja *j, clsa_status status,
                                      const char *format, ...)
    CLSA_PRINTF(3, 4);

/* Zeroed memory of the pool for n elements. */
void *clsa_jinja_take(struct clsa_jinja *j, size_t n, size_t size);

/* Account for work that is not nested: a step, and one more per 64 bytes. */
void clsa_jinja_charge(struct clsa_jinja *j, size_t bytes);

/* Enter and leave a nested evaluation. */
void clsa_jinja_enter(struct clsa_jinja *j);
static inline void clsa_jinja_leave(struct clsa_jinja *j)
{
    j->depth--;
}

void clsa_buffer_add(struct clsa_jinja *j, struct clsa_buffer *buffer,
                     const char *data, size_t size);
void clsa_buffer_add_text(struct clsa_jinja *j, struct clsa_buffer *buffer,
                          const char *text);
void clsa_buffer_add_char(struct clsa_jinja *j, struct clsa_buffer *buffer,
                          uint32_t c);
struct clsa_value clsa_buffer_string(struct clsa_jinja *j,
                                     const struct clsa_buffer *buffer);

#endif /* CLSA_JINJA_JINJA_H */
