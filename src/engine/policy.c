/* SPDX-License-Identifier: Apache-2.0 */
/* The list of policies and the parsing of their names. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/engine/policy.h"

static const struct clsa_policy_type *const types[] = {
    &clsa_policy_clsa,       &clsa_policy_dense,   &clsa_policy_window,
    &clsa_policy_sink,       &clsa_policy_token,   &clsa_policy_reuse,
    &clsa_policy_longformer, &clsa_policy_bigbird, &clsa_policy_blocks,
    &clsa_policy_h2o,
};

#define TYPES (sizeof types / sizeof *types)

static clsa_status unknown(const char *text, clsa_error *error)
{
    char forms[360] = "";
    size_t used = 0;
    for (size_t i = 0; i < TYPES && used < sizeof forms; i++)
        used += (size_t)snprintf(forms + used, sizeof forms - used, "%s%s",
                                 i == 0           ? ""
                                 : i == TYPES - 1 ? " or "
                                                  : ", ",
                                 types[i]->form);
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option attention: unknown policy '%.80s': use %s", text,
                     forms);
}

/* The number behind a colon, low..CLSA_POLICY_MOST. */
static bool parse_number(const char *text, size_t digits, uint32_t low,
                         uint32_t *number)
{
    errno = 0;
    unsigned long long n = strtoull(text, NULL, 10);
    if (errno || digits > 20 || n < low || n > CLSA_POLICY_MOST)
        return false;
    *number = (uint32_t)n;
    return true;
}

/* The numbers from `at`, which is at a colon or at the end, on. */
static clsa_status parse_numbers(struct clsa_policy *policy, const char *text,
                                 const char *at, clsa_error *error)
{
    const struct clsa_policy_type *type = policy->type;
    unsigned count = 0;
    for (const char *c = at; *c; count++) {
        size_t digits = strspn(c + 1, "0123456789");
        if (*c != ':' || digits == 0 || count == type->most)
            return unknown(text, error);
        c += 1 + digits;
    }
    if (count < type->least)
        return unknown(text, error);
    for (unsigned i = 0; i < count; i++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (!parse_number(at + 1, digits, type->low[i], &policy->number[i]))
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "option attention: '%.80s' is out of range: use "
                             "%" PRIu32 " to %" PRIu32 " rows",
                             text, type->low[i], CLSA_POLICY_MOST);
        at += 1 + digits;
    }
    if (strlen(text) >= CLSA_POLICY_TEXT)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option attention: '%.80s' is too long: write "
                         "numbers without leading zeros",
                         text);
    return CLSA_OK;
}

clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_hparams *hp, clsa_error *error)
{
    struct clsa_policy p = {0};
    if (!text)
        text = hp->index_size ? "clsa" : "dense";
    size_t length = strcspn(text, ":"), i = 0;
    while (strlen(types[i]->name) != length ||
           strncmp(types[i]->name, text, length) != 0)
        if (++i == TYPES)
            return unknown(text, error);
    p.type = types[i];
    CLSA_TRY(parse_numbers(&p, text, text + length, error));
    if (p.type->indexed && !hp->index_size)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "option attention: '%s': the model has no indexer; "
                         "use dense, window:N or sink:N",
                         text);
    p.rows = p.number[0];
    const char *wrong = p.type->set ? p.type->set(&p, hp) : NULL;
    if (wrong)
        return clsa_fail(error, CLSA_ERR_ARGUMENT, "option attention: '%s': %s",
                         text, wrong);
    *policy = p;
    return CLSA_OK;
}
