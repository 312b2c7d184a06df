/* SPDX-License-Identifier: Apache-2.0 */
/*
 * needle_file: the questions of a needle file and the verdict on an answer, for
 * eval needles (needle-in-a-haystack retrieval). A file has one JSON object per
 * line: a context with facts in it, and questions with their answers.
 */
#ifndef CLSA_CLI_NEEDLE_FILE_H
#define CLSA_CLI_NEEDLE_FILE_H

#include <stdbool.h>

#include "src/cli/library.h"

/* Context and question as one list of ids, and the answer. */
struct cli_question {
    char *question, *answer;
    struct cli_ids ids;
};

/* The questions on one context, whose ids begin with the same `common`
   tokens, fewer than any of them has. */
struct cli_needle {
    struct cli_question *questions;
    size_t count, common;
};

struct cli_needles {
    struct cli_needle *lines;
    size_t count;
    uint64_t asked;   /* questions */
    uint64_t tokens;  /* of all questions with their contexts */
    uint64_t longest; /* question with its context and the answer's budget */
};

int cli_needles_read(const char *path, const clsa_model *model,
                     struct cli_needles *needles);
void cli_needles_free(struct cli_needles *needles);

/* Tokens that an answer may take: its bytes and a few more. */
uint64_t cli_needle_budget(const char *answer);

/*
 * The verdict on an output so far: 1 recalled, 0 not, -1 when what follows
 * still matters. Recalled is an output that starts with the answer and goes
 * on with no letter or digit. `over` says that nothing follows.
 */
int cli_needle_verdict(const char *output, const char *answer, bool over);

#endif /* CLSA_CLI_NEEDLE_FILE_H */
