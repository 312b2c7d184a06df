/* SPDX-License-Identifier: Apache-2.0 */
/* quantize: a model file with other types of its tensors. */
#include <stdio.h>

#include "src/cli/commands.h"
#include "src/cli/message.h"
#include "src/cli/writing.h"

struct quantize_options {
    struct cli_common common;
    struct cli_writing writing;
};

static const struct cli_option quantize_table[] = {
    CLI_WRITING_OPTIONS(struct quantize_options),
    {.kind = CLI_FILE,
     .name = "eval",
     .argument = "TEXT",
     .help = "loss and recall on this text before and after",
     .offset = offsetof(struct quantize_options, writing.eval)},
    {0}};

static const char types[] =
    "TYPE: one type for all matrices,\n"
    "  f32, f16, bf16, q8_0, q6_k, q5_1, q5_k, q5_0, q4_1, q4_k, q4_0, q3_k,\n"
    "or a mix, in which some matrices have more bits:\n"
    "  q5_k_m  Q5_K, with Q6_K in half of the layers' attn_v and ffn_down\n"
    "  q5_k_s  Q5_K\n"
    "  q4_k_m  Q4_K, with Q6_K as in q5_k_m: the usual choice\n"
    "  q4_k_s  Q4_K, with Q5_K in attn_v and ffn_down of the first layers\n"
    "  iq4_nl  IQ4_NL, with Q5_K in small attn_v and the first ffn_down\n"
    "  iq4_xs  IQ4_XS, with Q5_K as in iq4_nl\n"
    "  q3_k_l  Q3_K, with Q5_K in attn_v, attn_output and ffn_down\n"
    "  q3_k_m  Q3_K, with Q4_K there, Q5_K in the first layers\n"
    "  q3_k_s  Q3_K\n"
    "  q2_k    Q2_K, with Q3_K there, Q4_K in small attn_v\n"
    "The matrix of logits is Q6_K in all mixes.\n";

static int quantize_arguments(struct quantize_options *options, int argc,
                              char **argv)
{
    const struct cli_command *self = &cli_command_quantize;
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, options, &first));
    if (first == 0)
        return CLI_DONE;
    if (argc - first != 3)
        return cli_usage(self, "give IN, OUT and TYPE");
    CLI_TRY(cli_operands_check(self, 2, argv + first));
    options->writing.type = argv[first + 2];
    return cli_writing_run(&options->writing, &options->common, clsa_quantize,
                           argv[first], argv[first + 1]);
}

static int quantize_run(int argc, char **argv)
{
    struct quantize_options options = {.common = CLI_COMMON_INIT};
    int status = quantize_arguments(&options, argc, argv);
    cli_texts_free(&options.writing.keep);
    return status;
}

const struct cli_command cli_command_quantize = {
    .name = "quantize",
    .usage = "IN OUT TYPE",
    .operands = true,
    .summary = "Write a model file with other types of tensors.",
    .options = quantize_table,
    .more = types,
    .run = quantize_run};
