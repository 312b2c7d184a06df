/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary: what `clsa info --vocab` prints. */
#ifndef CLSA_CLI_VOCABULARY_H
#define CLSA_CLI_VOCABULARY_H

#include "src/cli/options.h"

/* Describe the vocabulary of the model of the common options. */
int cli_vocabulary_print(const struct cli_common *common);

#endif /* CLSA_CLI_VOCABULARY_H */
