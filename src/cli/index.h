/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `clsa index` share (index.c). */
#ifndef CLSA_CLI_INDEX_H
#define CLSA_CLI_INDEX_H

#include "clsa_train.h"
#include "src/cli/library.h"

/* The operands from `first` on: the model, if -m does not name it, and more
   files of text, of which --text names one. */
int cli_index_operands(const struct cli_command *self,
                       struct cli_common *common, const struct cli_texts *texts,
                       int argc, char **argv, int *first);

/* Add the tokens of files: the values of --text, then `more` operands. */
int cli_index_read(const clsa_model *model, const struct cli_texts *texts,
                   int more, char **files, struct cli_ids *ids);

#endif /* CLSA_CLI_INDEX_H */
