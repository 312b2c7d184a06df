/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of numbers, and the policies of each budget. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/compare.h"
#include "src/cli/message.h"

int cli_numbers_parse(const struct cli_command *self, const char *option,
                      const char *text, uint64_t min, uint64_t max,
                      struct cli_numbers *numbers)
{
    const char *at = text;
    char word[32];
    for (numbers->count = 0; numbers->count < CLI_NUMBERS; at++) {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (length >= sizeof word ||
            !cli_parse_size(word, min, max, &numbers->value[numbers->count++]))
            break;
        at += length;
        if (*at == '\0')
            return CLI_DONE;
    }
    return cli_usage(
        self,
        "--%s: '%s' is not a list of up to %d numbers from %" PRIu64
        " to %" PRIu64,
        option, text, CLI_NUMBERS, min, max);
}

/* Rows of blocks, and of globals and random blocks, for a budget. */
enum { BLOCK = 32, RANDOM = 64 };

/* The contenders at a budget, each with a comma before it; returns their
   length. Those that keep a state are for models with one cache. */
static int name_all(char *text, size_t size, uint64_t k,
                    const clsa_model_info *info)
{
    uint64_t global = k / 8, random = (k / 4 + RANDOM - 1) / RANDOM * RANDOM;
    int used = 0;
    if (info->index_size != 0)
        used = snprintf(text, size, ",clsa:%" PRIu64, k);
    if (info->anchors != 0)
        used +=
            snprintf(text + used, size - (size_t)used, ",anchors:%" PRIu64, k);
    used += snprintf(text + used, size - (size_t)used,
                     ",token:%" PRIu64 ",reuse:%" PRIu64 ":2", k, k);
    if (info->caches == 1)
        used += snprintf(text + used, size - (size_t)used,
                         ",blocks:%" PRIu64 ":%d,h2o:%" PRIu64, k, BLOCK, k);
    used += snprintf(text + used, size - (size_t)used,
                     ",longformer:%" PRIu64 ":%" PRIu64, k - global, global);
    used += snprintf(text + used, size - (size_t)used,
                     ",bigbird:%" PRIu64 ":%" PRIu64 ":%" PRIu64
                     ",sink:%" PRIu64 ",window:%" PRIu64,
                     k - global - random, global, random, k, k);
    return used;
}

int cli_compare_policies(const struct cli_common *common,
                         const clsa_model *model,
                         const struct cli_numbers *budgets,
                         struct cli_policies *policies)
{
    enum { EACH = 400 };
    struct cli_common with = *common;
    clsa_model_info info;
    char text[CLI_NUMBERS * EACH] = "dense";
    size_t used = strlen(text);
    clsa_model_get_info(model, &info, sizeof info);
    for (size_t i = 0; !common->attention && i < budgets->count; i++) {
        if (budgets->value[i] % RANDOM)
            return cli_fail("budget %" PRIu64 ": use multiples of %d",
                            budgets->value[i], RANDOM);
        used += (size_t)name_all(text + used, sizeof text - used,
                                 budgets->value[i], &info);
    }
    if (!common->attention)
        with.attention = text;
    return cli_policies_parse(&with, model, policies);
}

uint64_t cli_compare_budget(const char *policy, char *family)
{
    size_t length = strcspn(policy, ":");
    const char *at = policy + length;
    uint64_t rows = 0;
    int numbers = 0;
    snprintf(family, 16, "%.*s", length < 15 ? (int)length : 15, policy);
    /* the numbers of these two are parts of the budget */
    bool adds =
        strcmp(family, "longformer") == 0 || strcmp(family, "bigbird") == 0;
    for (; *at == ':'; at += strcspn(at + 1, ":") + 1)
        if (numbers++ == 0 || adds)
            rows += strtoull(at + 1, NULL, 10);
    return rows;
}
