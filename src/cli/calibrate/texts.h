/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts: what calibrate reads: parts of a text with facts put between their
 * sentences, and questions about them at the end, in the model's own tokens.
 * The text is a file or the one that is built in (models/chronicle.txt).
 *
 *   [sentences, fact, sentences, fact, ..., sentences][question, answer]...
 *                                    loss ^       end ^
 */
#ifndef CLSA_CLI_CALIBRATE_TEXTS_H
#define CLSA_CLI_CALIBRATE_TEXTS_H

#include "src/cli/library.h"

enum { CLI_FACTS_MOST = 24, CLI_TEXTS_MOST = 8 };

/* The ids of a question about a fact: it begins, its answer begins, it ends. */
struct cli_fact {
    size_t begin, answer, end;
};

struct cli_facts_text {
    struct cli_ids ids;
    size_t loss, end; /* the loss is of ids loss .. end - 1 */
    struct cli_fact facts[CLI_FACTS_MOST];
    size_t count;
};

struct cli_facts_texts {
    struct cli_facts_text text[CLI_TEXTS_MOST];
    size_t count; /* at least 2, the last one is for the check at the end */
    size_t context;
};

/* Make texts of `context` tokens each (0: as many as the model and the text
   have, at most 8192); path NULL: of the text that is built in. Refuses texts
   that are too short. */
int cli_facts_make(const clsa_model *model, const char *path, uint64_t context,
                   struct cli_facts_texts *texts);
void cli_facts_free(struct cli_facts_texts *texts);

/* Lines of the text that is built in, NULL at the end; made from
   models/chronicle.txt. */
extern const char *const cli_chronicle[];

#endif /* CLSA_CLI_CALIBRATE_TEXTS_H */
