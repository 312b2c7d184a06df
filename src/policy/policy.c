/* SPDX-License-Identifier: Apache-2.0 */
/* The list of policies and the parsing of their names. */
#include <errno.h>
#include <limits.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/policy/policy.h"

static const struct clsa_policy_type *const types[] = {
    &clsa_policy_clsa,   &clsa_policy_dense,      &clsa_policy_anchors,
    &clsa_policy_window, &clsa_policy_sink,       &clsa_policy_token,
    &clsa_policy_reuse,  &clsa_policy_longformer, &clsa_policy_bigbird,
    &clsa_policy_blocks, &clsa_policy_h2o,
};

#define TYPES (sizeof types / sizeof *types)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *usages[TYPES * CLSA_POLICY_USAGES + 1];

static void list_usages(void)
{
    size_t n = 0;
    for (size_t i = 0; i < TYPES; i++)
        for (size_t j = 0; j < CLSA_POLICY_USAGES; j++)
            if (types[i]->usages[j])
                usages[n++] = types[i]->usages[j];
}

const char *const *clsa_attention_policies(void)
{
    pthread_once(&once, list_usages);
    return usages;
}

static clsa_status unknown(const char *text, clsa_error *error)
{
    const char *const *usage = clsa_attention_policies();
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; usage[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i == 0         ? ""
                                 : usage[i + 1] ? ", "
                                                : " or ",
                                 usage[i]);
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option attention: unknown policy '%.80s': use %s", text,
                     list);
}

/* The number after a colon, low..CLSA_POLICY_MOST. */
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

/* Layers, ascending, with commas between them, up to the end of the text. */
static clsa_status parse_layers(struct clsa_policy *policy, const char *text,
                                const char *at, clsa_error *error)
{
    uint32_t count = 0;
    for (const char *c = at; *c; count++) {
        const size_t digits = strspn(c + 1, "0123456789");
        uint32_t layer;
        if (digits == 0 || (*c != ',' && count > 0))
            return unknown(text, error);
        if (count == CLSA_ANCHORS_MOST ||
            !parse_number(c + 1, digits, 0, &layer) ||
            (count > 0 && layer <= policy->layers[count - 1]))
            return clsa_fail(error, CLSA_ERR_ARGUMENT,
                             "option attention: '%.80s': give up to %d layers "
                             "in ascending order",
                             text, CLSA_ANCHORS_MOST);
        policy->layers[count] = layer;
        c += 1 + digits;
    }
    policy->layer_count = count;
    return CLSA_OK;
}

/* How many numbers there are from `at` on, which is at a colon or at the end;
   UINT_MAX: something else is there. *end is after them. */
static unsigned count_numbers(const struct clsa_policy_type *type,
                              const char *at, const char **end)
{
    unsigned count = 0;
    for (; *at; count++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (*at == ':' && count == type->most && type->listed)
            break;
        if (*at != ':' || digits == 0 || count == type->most)
            return UINT_MAX;
        at += 1 + digits;
    }
    *end = at;
    return count;
}

/* The numbers from `at` on, and the layers after them. */
static clsa_status parse_numbers(struct clsa_policy *policy, const char *text,
                                 const char *at, clsa_error *error)
{
    const struct clsa_policy_type *type = policy->type;
    const char *layers;
    const unsigned count = count_numbers(type, at, &layers);
    if (count == UINT_MAX || count < type->least)
        return unknown(text, error);
    if (*layers)
        CLSA_TRY(parse_layers(policy, text, layers, error));
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
                         "option attention: '%.120s' is too long: write "
                         "numbers without leading zeros",
                         text);
    return CLSA_OK;
}

const char *clsa_policy_default(const struct clsa_network *net)
{
    return net->top_k ? clsa_policy_clsa.name : clsa_policy_dense.name;
}

static clsa_status no_index(const char *text, clsa_error *error)
{
    char names[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < TYPES && used < sizeof names; i++)
        if (!types[i]->indexed)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                     used == 0        ? ""
                                     : i == TYPES - 1 ? " or "
                                                      : ", ",
                                     types[i]->name);
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "option attention: '%s': the model has no indexer; use %s",
                     text, names);
}

clsa_status clsa_policy_parse(struct clsa_policy *policy, const char *text,
                              const struct clsa_network *net, clsa_error *error)
{
    struct clsa_policy p = {0};
    size_t length = strcspn(text, ":"), i = 0;
    while (strlen(types[i]->name) != length ||
           strncmp(types[i]->name, text, length) != 0)
        if (++i == TYPES)
            return unknown(text, error);
    p.type = types[i];
    CLSA_TRY(parse_numbers(&p, text, text + length, error));
    if (p.type->indexed && net->top_k == 0)
        return no_index(text, error);
    p.rows = p.number[0];
    const char *wrong = p.type->derive ? p.type->derive(&p, net) : NULL;
    if (wrong)
        return clsa_fail(error, CLSA_ERR_ARGUMENT, "option attention: '%s': %s",
                         text, wrong);
    if (p.rows < p.least)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "option attention: '%s': %" PRIu32 " rows leave none "
                         "to choose beside the first and the last ones that "
                         "are always read: use %" PRIu32 " or more",
                         text, p.rows, p.least);
    if (!clsa_policy_is_dense(&p) && net->cache_count == 0)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "option attention: '%s': this model has windows only, "
                         "no cache to select from; use dense",
                         text);
    if ((p.type->open || p.type->evicts) && net->cache_count > 1)
        return clsa_fail(
            error, CLSA_ERR_UNSUPPORTED,
            "option attention: '%s': the policy is for models with "
            "one cache, and this one has %" PRIu32
            "; use another, such as token:K or dense",
            text, net->cache_count);
    *policy = p;
    return CLSA_OK;
}
