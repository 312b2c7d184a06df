/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: the state of one sequence, and what of it is saved, forked and
 * truncated. Steps (step.h) change it; nothing else does.
 */
#ifndef CLSA_ENGINE_SESSION_H
#define CLSA_ENGINE_SESSION_H

#include "src/engine/policy.h"
#include "src/engine/products.h"
#include "src/engine/retention.h"
#include "src/engine/shared_cache.h"
#include "src/engine/window.h"
#include "src/engine/working_set.h"
#include "src/model/model.h"

/* Wanted positions of one sequence that run the cross-decoder in one step: as
   many as a product takes at once, or fewer where memory is short. */
#define CLSA_EVAL_COLUMNS 64
#define CLSA_EVAL_FEW     16

enum clsa_phase {
    CLSA_PHASE_SELF,
    CLSA_PHASE_INDEX,
    CLSA_PHASE_SELECT,
    CLSA_PHASE_GATHER,
    CLSA_PHASE_CROSS,
    CLSA_PHASE_HEAD,
    CLSA_PHASE_ATTEND, /* told as a part of CROSS */
    CLSA_PHASE_ROWS,   /* of the cache, and index queries: a part of INDEX */
    CLSA_PHASES
};

struct clsa_session {
    struct clsa_model *model;
    uint64_t context;       /* tokens that fit */
    uint32_t prefill_block; /* tokens of one step */
    enum clsa_path path;    /* of appends of many tokens */
    clsa_type kv_type, index_type;
    char attention[CLSA_POLICY_TEXT]; /* the policy as it was given */
    struct clsa_policy policy;
    void *policy_state; /* of policies that have one */
    size_t policy_bytes;

    uint64_t charged; /* bytes taken from the budget of the model */
    uint64_t length;
    int32_t *tokens; /* [context] mapped, [length] used */
    struct clsa_window window;
    struct clsa_retention retention;
    struct clsa_cache cache;

    struct clsa_working_set set; /* of the last token; unused for dense */
    struct clsa_working_set *eval_sets; /* [eval_count], or NULL */
    size_t eval_count;

    float *logits;       /* [vocab] of the last wanted token */
    bool has_logits;     /* they are those after the last token wanted */
    uint32_t *last_rows; /* [last_count] rows it read; NULL: every row */
    size_t last_count;
    uint32_t *layer_rows;  /* [C][slots] the same of each layer that chose */
    uint32_t *layer_count; /* [C]; both where layers choose */
    uint64_t rows_read, rows_changed;
    double phase_ms[CLSA_PHASES];
};

/* Slots that the working set of a policy needs. */
size_t clsa_session_slots(const struct clsa_session *session);

/* Make the budget of the model what the session has now, but for the pages of
   the cache, which keep their own. Nothing of it is touched before. */
clsa_status clsa_session_charge(struct clsa_session *session,
                                clsa_error *error);

/* One step per token (struct clsa_policy_type). */
static inline bool clsa_session_streams(const struct clsa_session *session)
{
    return session->policy.type->streams;
}

/* Bytes to or from a session file. */
clsa_status clsa_stream_transfer(struct clsa_stream *stream, void *data,
                                 size_t size);
clsa_status clsa_stream_damaged(const struct clsa_stream *stream);
bool clsa_stream_writes(const struct clsa_stream *stream);

/* Make `count` eval_sets where they are missing. */
clsa_status clsa_session_eval_open(struct clsa_session *session, size_t count,
                                   clsa_error *error);

/* Make set.next[0..count) the working set, copied from the cache, and the rows
   of the last wanted token. */
void clsa_session_restore_set(struct clsa_session *session, size_t count);

/* Read the tokens from window.end to length again, for the windows or the
   state of retention only. What an append of them needs is reserved. */
void clsa_session_refill(struct clsa_session *session);

/* Take back what a failed step of n tokens has left. */
void clsa_session_undo(struct clsa_session *session, size_t n);

#endif /* CLSA_ENGINE_SESSION_H */
