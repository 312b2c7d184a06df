/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: the state of one sequence, and what of it is saved, forked and
 * truncated. Steps (step.h) change it; nothing else does.
 */
#ifndef CLSA_ENGINE_SESSION_H
#define CLSA_ENGINE_SESSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "src/engine/model.h"
#include "src/engine/store.h"
#include "src/engine/working_set.h"
#include "src/policy/policy.h"

/* Outputs of one sequence in one step: as many as a product takes at once, or
   fewer if memory is short. */
#define CLSA_OUTPUTS_MANY 64
#define CLSA_OUTPUTS_FEW  16

/* In place of a number of rows. */
#define CLSA_ALL_ROWS UINT32_MAX

enum clsa_phase {
    CLSA_PHASE_SELF, /* layers up to the last store */
    CLSA_PHASE_INDEX,
    CLSA_PHASE_SELECT,
    CLSA_PHASE_GATHER,
    CLSA_PHASE_CROSS, /* layers of the outputs */
    CLSA_PHASE_OUTPUT,
    CLSA_PHASE_ATTEND, /* told as a part of CROSS */
    CLSA_PHASE_ROWS,   /* last store, and index queries: a part of INDEX */
    CLSA_PHASES
};

struct clsa_session {
    struct clsa_model *model;
    uint64_t context;          /* tokens that fit */
    uint32_t prefill_block;    /* tokens of one step */
    enum clsa_prefill prefill; /* of appends of many tokens */
    bool prefill_auto;         /* chosen by us */
    bool prompt_policy;        /* prompts are read under the policy, too */
    const char *notice;        /* what the system refused to it, or "" */
    const struct clsa_observer
        *observer; /* of its tokens (observe.h), or NULL */
    clsa_type kv_type, index_type;
    char attention[CLSA_POLICY_TEXT]; /* the policy as it was given */
    struct clsa_policy policy;
    uint32_t first_window; /* of policies to come, clsa_train.h; 0: none */
    void *policy_state;    /* of policies that have one */
    size_t policy_bytes;

    uint64_t charged; /* bytes taken from the budget of the model */
    uint64_t length;
    int32_t *tokens; /* [context] mapped, [length] used */
    struct clsa_stores stores;

    struct clsa_working_set set; /* of the last token; unused for dense */
    struct clsa_working_set *output_sets; /* [output_count], or NULL */
    size_t output_count;

    float *logits;       /* [vocab] of the last output */
    bool has_logits;     /* they are those after the last output */
    uint32_t *last_rows; /* [last_count] rows it read; NULL: every row */
    size_t last_count;
    uint32_t *layer_rows;  /* [readers][slots] the same of each layer that
                              chose */
    uint32_t *layer_count; /* [readers], CLSA_ALL_ROWS: every row; both if
                              layers choose or differ in what they read */
    uint64_t rows_read, rows_changed;
    uint64_t outputs, output_rows; /* since it was opened */
    double phase_ms[CLSA_PHASES];

    /* Set by any thread or signal handler; the last member. */
    atomic_bool cancelled;
};

/* Everything but `cancelled`, which another thread may set meanwhile. */
static inline void clsa_session_assign(struct clsa_session *to,
                                       const struct clsa_session *from)
{
    memcpy(to, from, offsetof(struct clsa_session, cancelled));
}

/* Slots that the working set of a policy needs. */
size_t clsa_session_slots(const struct clsa_session *session);

/* Adjust the memory charged to the model's budget to this session's current
   size. Cache pages are charged separately. Call it before the memory is first
   touched. */
clsa_status clsa_session_charge(struct clsa_session *session,
                                clsa_error *error);

/* One step per token, whose rows may be given up (struct clsa_policy_type). */
static inline bool clsa_session_evicts(const struct clsa_session *session)
{
    return session->policy.type->evicts;
}

/* Whether outputs run all layers as outputs, in steps of their own. */
static inline bool
clsa_session_selects_early(const struct clsa_session *session)
{
    return !clsa_policy_is_dense(&session->policy) &&
           clsa_reads_early(&session->model->net);
}

/* Whether prompt tokens are outputs whose logits nobody wants. */
static inline bool
clsa_session_prompts_select(const struct clsa_session *session)
{
    return session->prompt_policy && clsa_session_selects_early(session);
}

/* Bytes to or from a session file. */
clsa_status clsa_stream_transfer(struct clsa_stream *stream, void *data,
                                 size_t size);
clsa_status clsa_stream_damaged(const struct clsa_stream *stream);
bool clsa_stream_writes(const struct clsa_stream *stream);

/* For writing a snapshot: let a copy of a session that it could be restored in
   have its state. The stores stay those of the snapshot; `tails` receives where
   the last rows of each cache are. */
clsa_status clsa_snapshot_show(const clsa_snapshot *snapshot,
                               struct clsa_session *state,
                               unsigned char *const **tails, clsa_error *error);

/* Make `count` output_sets if they are missing. */
clsa_status clsa_session_open_outputs(struct clsa_session *session,
                                      size_t count, clsa_error *error);

/* Make set.next[0..count) the working set, copied from the cache, and the rows
   of the last output. */
void clsa_session_restore_set(struct clsa_session *session, size_t count);

/* Read the tokens from the end of the stores to length again, for windows and
   states only. What an append of them needs is reserved. */
void clsa_session_refill(struct clsa_session *session);

static inline bool clsa_session_cancelled(const struct clsa_session *session)
{
    return atomic_load_explicit(&session->cancelled, memory_order_relaxed);
}

/* Take back what a failed step has left after `length`. Steps of a session that
   evicts are never left halfway. */
void clsa_session_undo(struct clsa_session *session);

#endif /* CLSA_ENGINE_SESSION_H */
