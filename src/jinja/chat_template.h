/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat_template: templates of the interface, clsa_chat_template_* of clsa.h.
 * A template is parsed once; any number of renderings may run at a time.
 */
#ifndef CLSA_JINJA_CHAT_TEMPLATE_H
#define CLSA_JINJA_CHAT_TEMPLATE_H

#include "src/jinja/jinja.h"

struct clsa_chat_template {
    struct clsa_pool pool; /* of the tree */
    char *text;
    const struct clsa_node *first;
    char *bos, *eos; /* tokens of the model, or NULL */
};

/* What a rendering may take. */
struct clsa_render_limits {
    uint64_t steps;        /* of evaluation; about 10 million a second */
    size_t memory, output; /* bytes */
};

/* Gives the template the tokens of its model; each may be NULL. */
clsa_status clsa_chat_template_tokens(clsa_chat_template *t, const char *bos,
                                      size_t bos_size, const char *eos,
                                      size_t eos_size, clsa_error *error);

/* As clsa_chat_template_render, with other limits. */
clsa_status clsa_chat_template_limited(const clsa_chat_template *t,
                                       const char *request, size_t size,
                                       const struct clsa_render_limits *limits,
                                       char **text, size_t *text_size,
                                       clsa_error *error);

#endif /* CLSA_JINJA_CHAT_TEMPLATE_H */
