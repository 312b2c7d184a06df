/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writing: what convert and quantize share: their options, progress, and the
 * table of what was written.
 */
#ifndef CLSA_CLI_WRITING_H
#define CLSA_CLI_WRITING_H

#include "src/cli/options.h"

struct cli_writing {
    const char *type; /* or mix; NULL: as in the source */
    struct cli_texts keep;
    const char *eval; /* a text to measure both with, or NULL */
};

/* Options for a struct with `common` and `writing` in it. */
#define CLI_WRITING_OPTIONS(options)                                           \
    {.kind = CLI_TEXTS,                                                        \
     .name = "keep",                                                           \
     .argument = "PATTERN=TYPE",                                               \
     .help = "another type for matrices of these names",                       \
     .offset = offsetof(options, writing.keep)},                               \
    {                                                                          \
        .kind = CLI_SIZE, .letter = 't', .name = "threads", .argument = "N",   \
        .help = "threads; default: one per physical core",                     \
        .offset = offsetof(options, common.threads), .min = 1, .max = 1024     \
    }

/* Writes `to` from `from` with a function of the library, and says what came
   of it. */
int cli_writing_run(const struct cli_writing *writing,
                    const struct cli_common *common,
                    clsa_status (*write)(const char *from, const char *to,
                                         const clsa_write_options *options,
                                         clsa_error *error),
                    const char *from, const char *to);

#endif /* CLSA_CLI_WRITING_H */
