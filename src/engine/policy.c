/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of policies, and the rows of those that need no index. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/engine/policy.h"

static const struct {
    const char *name;
    enum clsa_policy_kind kind;
    bool count_required;
    uint32_t least;
} kinds[] = {
    {"clsa", CLSA_POLICY_CLSA, false, 1},
    {"dense", CLSA_POLICY_DENSE, false, 0},
    {"window", CLSA_POLICY_WINDOW, true, 1},
    {"sink", CLSA_POLICY_SINK, true, CLSA_SINK_ROWS + 1},
};

#define MOST_ROWS (UINT32_C(1) << 31)

static clsa_status unknown(const char *text, clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option attention: unknown policy '%s': use clsa, "
                     "clsa:K (K >= 1), dense, window:N (N >= 1) or sink:N (N "
                     ">= 5)",
                     text);
}

static clsa_status out_of_range(const char *text, uint32_t least,
                                clsa_error *error)
{
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option attention: '%s' is out of range: use %" PRIu32
                     " to %" PRIu32 " rows",
                     text, least, MOST_ROWS);
}

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

/* The number behind the colon, least..MOST_ROWS. */
static bool parse_count(const char *text, uint32_t least, uint32_t *count)
{
    errno = 0;
    unsigned long long n = strtoull(text, NULL, 10);
    if (errno || n < least || n > MOST_ROWS)
        return false;
    *count = (uint32_t)n;
    return true;
}

clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_hparams *hp, clsa_error *error)
{
    if (!text)
        text = hp->index_size ? "clsa" : "dense";
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text), i = 0;
    while (strlen(kinds[i].name) != length ||
           strncmp(kinds[i].name, text, length) != 0)
        if (++i == sizeof kinds / sizeof *kinds)
            return unknown(text, error);

    uint32_t rows = kinds[i].kind == CLSA_POLICY_CLSA ? hp->top_k : 0;
    if (colon ? kinds[i].least == 0 || !is_number(colon + 1)
              : kinds[i].count_required)
        return unknown(text, error);
    if (colon && !parse_count(colon + 1, kinds[i].least, &rows))
        return out_of_range(text, kinds[i].least, error);
    if (kinds[i].kind == CLSA_POLICY_CLSA && !hp->index_size)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "option attention: '%s': the model has no indexer; "
                         "use dense, window:N or sink:N",
                         text);
    policy->kind = kinds[i].kind;
    policy->rows = rows;
    return CLSA_OK;
}

size_t clsa_policy_rows(const struct clsa_policy *policy, uint64_t n,
                        uint32_t *rows)
{
    uint64_t count = n < policy->rows ? n : policy->rows;
    for (uint64_t i = 0; i < count; i++)
        rows[i] = (uint32_t)(n - count + i);
    if (policy->kind == CLSA_POLICY_SINK)
        for (uint32_t i = 0; i < CLSA_SINK_ROWS && i < count; i++)
            rows[i] = i;
    return (size_t)count;
}
