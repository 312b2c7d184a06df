/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: the state of one `clsa run`, shared by run.c, which sets it up, saves
 * and ends it, and turns.c, which reads what the user says and has it
 * answered.
 */
#ifndef CLSA_CLI_RUN_H
#define CLSA_CLI_RUN_H

#include "src/cli/engine.h"
#include "src/cli/generate.h"

struct cli_run_options {
    struct cli_common common;
    const char *prompt, *file, *session;
    uint64_t tokens;      /* UINT64_MAX: no limit */
    uint64_t top_k, seed; /* seed UINT64_MAX: a random one */
    double temperature, top_p, min_p, repeat_penalty;
    struct cli_texts stops;
    int interactive, chat;
};

/* One run. `text` is what the user said last. */
struct cli_run {
    struct cli_run_options options;
    clsa_model *model;
    clsa_session *session;
    clsa_sampler *sampler;
    struct cli_generator generator;
    struct cli_text text, collected;
    uint64_t prompt_tokens; /* read from the user so far */
    enum cli_end end;
};

/* Read the prompt, where there is one, and the lines of an interactive run,
   and answer them. */
int cli_run_turns(struct cli_run *run, int have_prompt);

#endif /* CLSA_CLI_RUN_H */
