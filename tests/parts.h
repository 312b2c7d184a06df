/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts: what tests of single parts of the engine need around them: a team that
 * starts no thread, and caches.
 */
#ifndef CLSA_TESTS_PARTS_H
#define CLSA_TESTS_PARTS_H

#include <check.h>
#include <stdlib.h>

#include "src/engine/store.h"

struct parts {
    struct clsa_numa *numa;
    struct clsa_team *team;
    struct clsa_budget budget;
};

static inline void parts_open(struct parts *p)
{
    clsa_budget_open(&p->budget, 0);
    ck_assert_int_eq(clsa_numa_open(&p->numa, "off", NULL), CLSA_OK);
    ck_assert_int_eq(clsa_team_open(&p->team, 1, p->numa, NULL), CLSA_OK);
}

/* All that was taken of the budget has come back. */
static inline void parts_close(struct parts *p)
{
    ck_assert_uint_eq(p->budget.taken, 0);
    clsa_team_close(p->team);
    clsa_numa_close(p->numa);
}

static inline struct clsa_store_options
parts_options(struct parts *p, clsa_type kv, clsa_type index)
{
    return (struct clsa_store_options){.team = p->team,
                                       .budget = &p->budget,
                                       .kv = kv,
                                       .index = index,
                                       .context = 60000,
                                       .block = 8};
}

/* An empty cache of a layer. */
static inline void parts_cache(struct parts *p, struct clsa_cache *cache,
                               const struct clsa_store_plan *plan, clsa_type kv,
                               clsa_type index)
{
    const struct clsa_store_options options = parts_options(p, kv, index);
    ck_assert_int_eq(clsa_cache_open(cache, plan, &options, NULL), CLSA_OK);
}

#endif /* CLSA_TESTS_PARTS_H */
