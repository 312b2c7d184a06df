/* SPDX-License-Identifier: Apache-2.0 */
/* team_parts: what a team consists of, for team.c and loop.c only. */
#ifndef CLSA_BASE_TEAM_PARTS_H
#define CLSA_BASE_TEAM_PARTS_H

#include "src/base/team.h"
#include "src/base/wait.h"

/* Where a thread of the team runs. */
struct clsa_place {
    struct clsa_ids cpus; /* it is pinned to; none: not pinned */
    unsigned node, rank;
};

/* How far a thread has come: the same for all after the same loop. */
struct clsa_turn {
    uint64_t loop;     /* number of the last loop that it began */
    uint64_t expected; /* items of the region up to its end */
};

struct clsa_team {
    unsigned size, nodes;
    unsigned now; /* threads of a region: fewer if CPUs were taken away */
    const struct clsa_numa *numa;
    struct clsa_place *place; /* [size] */
    unsigned *node;           /* [nodes] number of the machine's node */
    unsigned *ranks;          /* [nodes] threads of the node */
    char *scratch;            /* [size][CLSA_WORKER_SCRATCH] */
    _Atomic uint64_t loop;    /* the last one of any region */
    struct clsa_meeting meeting;
};

#endif /* CLSA_BASE_TEAM_PARTS_H */
