/* SPDX-License-Identifier: Apache-2.0 */
/* The account of taken memory, and the refusal of what exceeds the limit. */
#include <unistd.h>

#include "src/base/budget.h"
#include "src/base/cgroup.h"
#include "src/base/mem.h"

static uint64_t machine_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size
                                 : UINT64_MAX;
}

uint64_t clsa_budget_default(bool *by_cgroup)
{
    const uint64_t machine = machine_memory();
    struct clsa_cgroup cgroup;
    clsa_cgroup_read(&cgroup, "");
    *by_cgroup = cgroup.memory < machine;
    return *by_cgroup ? cgroup.memory : machine;
}

void clsa_budget_open(struct clsa_budget *budget, uint64_t limit)
{
    *budget = (struct clsa_budget){.limit = limit};
    if (limit == 0)
        budget->limit = clsa_budget_default(&budget->by_cgroup);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

clsa_status clsa_budget_check(const struct clsa_budget *budget, uint64_t size,
                              const char *what, clsa_error *error)
{
    const uint64_t left = budget->limit - budget->taken;
    if (size <= left)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "%s: %.1f MiB are needed, %.1f of the memory limit of "
                     "%.1f MiB%s are left: raise the limit%s or use a smaller "
                     "context",
                     what, mib(size), mib(left), mib(budget->limit),
                     budget->by_cgroup ? " of the control group" : "",
                     budget->by_cgroup ? "" : " (--memory-limit)");
}

clsa_status clsa_budget_take(struct clsa_budget *budget, uint64_t size,
                             const char *what, clsa_error *error)
{
    CLSA_TRY(clsa_budget_check(budget, size, what, error));
    budget->taken += size;
    return CLSA_OK;
}

void clsa_budget_give(struct clsa_budget *budget, uint64_t size)
{
    budget->taken -= size;
}

void *clsa_budget_map(struct clsa_budget *budget, size_t size, const char *what,
                      clsa_error *error)
{
    if (clsa_budget_take(budget, size, what, error))
        return NULL;
    void *memory = clsa_mem_map(size);
    if (memory)
        return memory;
    clsa_budget_give(budget, size);
    clsa_fail_memory(error, what, size);
    return NULL;
}

void clsa_budget_unmap(struct clsa_budget *budget, void *memory, size_t size)
{
    if (!memory)
        return;
    clsa_mem_unmap(memory, size);
    clsa_budget_give(budget, size);
}
