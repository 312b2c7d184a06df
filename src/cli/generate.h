/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate: one stretch of generated text, token by token, to stdout and into
 * a text. Holds back whatever may become a stop text, and never gives half a
 * character.
 */
#ifndef CLSA_CLI_GENERATE_H
#define CLSA_CLI_GENERATE_H

#include <stdbool.h>

#include "clsa.h"
#include "src/cli/files.h"
#include "src/cli/options.h"

/* Why a generation ended. */
enum cli_end {
    CLI_END_TEXT,        /* the model ended the text */
    CLI_END_STOP,        /* a stop text came */
    CLI_END_TOKENS,      /* as many tokens as asked for */
    CLI_END_CONTEXT,     /* the context is full */
    CLI_END_INTERRUPTED, /* the user stopped it */
    CLI_END_OUTPUT       /* stdout takes no more */
};

/* Name of an end in --json: "text", "stop", ... */
const char *cli_end_name(enum cli_end end);

struct cli_generator {
    const clsa_model *model;
    clsa_session *session;
    clsa_sampler *sampler;
    uint64_t limit; /* tokens at most */
    struct cli_texts stops;
    int32_t end;              /* one more token that ends the text, or -1 */
    bool keep;                /* the session goes on: it has to have read
                                 all that was generated */
    struct cli_text *collect; /* the text goes there too, or NULL */
    bool quiet;               /* and not to stdout */

    /* What the last stretch came to. */
    uint64_t tokens; /* without the one that ended it */
    double seconds;
    char last; /* last byte of the text, 0: none */

    /* Inside of a stretch. */
    clsa_detokenizer decoder;
    struct cli_text held; /* not given out yet */
    uint64_t held_tokens; /* tokens in the session that have a part in it */
};

/* Generate from the session's logits on. The stop text is not given out, and
   the tokens it is part of do not stay in the session. */
int cli_generate(struct cli_generator *generator, enum cli_end *end);

#endif /* CLSA_CLI_GENERATE_H */
