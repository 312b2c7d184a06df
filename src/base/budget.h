/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget: the memory that a model and its sessions may take for what its file
 * and the options ask for: tokenizer, random weights, caches, windows, working
 * sets and scratch. The mapped file is not counted: the system takes its pages
 * back as it likes. Used by one thread at a time, as the model is.
 */
#ifndef CLSA_BASE_BUDGET_H
#define CLSA_BASE_BUDGET_H

#include <stdbool.h>

#include "src/base/status.h"

struct clsa_budget {
    uint64_t limit, taken; /* bytes */
    bool by_cgroup;        /* the limit is a control group's */
};

/* What `limit` 0 stands for: the memory of the machine, or the limit of the
   control group if that is less. */
uint64_t clsa_budget_default(bool *by_cgroup);

/* limit 0: the default. */
void clsa_budget_open(struct clsa_budget *budget, uint64_t limit);

/* Whether `size` more bytes fit: CLSA_ERR_MEMORY, with what they are for and
   what can be done, where they do not. */
clsa_status clsa_budget_check(const struct clsa_budget *budget, uint64_t size,
                              const char *what, clsa_error *error);

/* The same, and takes them; to be given back. */
clsa_status clsa_budget_take(struct clsa_budget *budget, uint64_t size,
                             const char *what, clsa_error *error);
void clsa_budget_give(struct clsa_budget *budget, uint64_t size);

/* clsa_mem_map of memory that is taken; NULL: CLSA_ERR_MEMORY, nothing is. */
void *clsa_budget_map(struct clsa_budget *budget, size_t size, const char *what,
                      clsa_error *error);
/* Back with it; NULL: nothing to do. */
void clsa_budget_unmap(struct clsa_budget *budget, void *memory, size_t size);

#endif /* CLSA_BASE_BUDGET_H */
