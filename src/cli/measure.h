/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: how eval perplexity and eval needles run, what they find for other
 * commands, and the measure of quantize: both on one text.
 */
#ifndef CLSA_CLI_MEASURE_H
#define CLSA_CLI_MEASURE_H

#include <stdbool.h>

#include "src/cli/files.h"
#include "src/cli/options.h"

/* Append what the command prints with --json to a list. */
int cli_eval_perplexity(const struct cli_common *common, const char *file,
                        json_t *list);
int cli_eval_needles(const struct cli_common *common, const char *file,
                     json_t *list);

/* Run such a command: parse its options, which begin with the common ones, and
   print what `measure` finds: as text while it runs (`print`), or the list. */
int cli_measure_run(const struct cli_command *self, int argc, char **argv,
                    void *options, const char *const *file,
                    int (*measure)(const void *options, bool print,
                                   json_t *list));

/* The loss of a text, and the needles (facts put into it) recalled. */
struct cli_measure {
    double loss;
    uint64_t asked, recalled;
};

/* Measure a model with the file of a text. */
int cli_measure_text(const struct cli_common *common, const char *model,
                     const char *text, struct cli_measure *measure);

/* The end of the sentence around a place of a text, after the space; or the
   place, if it is far. */
size_t cli_sentence_end(const char *text, size_t at, size_t size);

#endif /* CLSA_CLI_MEASURE_H */
