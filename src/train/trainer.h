/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trainer: the course of a training. A text is read, which takes most of the
 * time, and becomes lessons in a pool of the last texts; then a few steps are
 * done, each with lessons of the newest text and of others of the pool. From
 * time to time the coverage of held-out texts is measured: if it no longer
 * rises, the rate falls, and at last the training ends.
 *
 * Everything follows from the seed and from the numbers of texts and steps, so
 * that a training can go on from a state: texts of the pool are read again.
 */
#ifndef CLSA_TRAIN_TRAINER_H
#define CLSA_TRAIN_TRAINER_H

#include "src/train/school.h"
#include "src/train/train_state.h"

#define CLSA_POOL_MOST 16
#define CLSA_HELD_MOST 4 /* texts that are held out */

struct clsa_trainer {
    struct clsa_school school;
    clsa_index_train_options options; /* without defaults left */
    const int32_t *ids;
    size_t learned;       /* ids [0, learned) are learned from, */
    size_t count;         /* the others, up to count, are held out */
    struct clsa_far far;  /* of the loss */
    struct clsa_far kept; /* of coverage */
    uint32_t *position;   /* [queries] */
    struct clsa_train_state state;
    uint8_t of[32]; /* which training it is */
    const char *state_path;
    float *gradient;  /* of all students */
    uint64_t started; /* clock when this run began */
    double before;    /* seconds of earlier runs */
    size_t pool_size, held_size;
    struct clsa_lesson *pool[CLSA_POOL_MOST]; /* [sites] each */
    struct clsa_lesson *held[CLSA_HELD_MOST];
    uint32_t *held_position; /* [held_queries] */
    size_t held_queries;
};

/* Open with school (model, sites, n, e, heads), options, ids, learned, count,
   far, kept, of and state_path filled in. Reads what is held out, and the texts
   of the pool if there is a state. */
clsa_status clsa_trainer_open(struct clsa_trainer *trainer, clsa_error *error);
/* {0} is allowed. */
void clsa_trainer_close(struct clsa_trainer *trainer);

/* Train to the end, or until a callback stops it: CLSA_ERR_STOPPED. The state
   is in its file then, and what is best is in CLSA_TRAIN_KEPT if something was
   measured. */
clsa_status clsa_trainer_run(struct clsa_trainer *trainer, clsa_error *error);

/* One student of an array of the state. */
struct clsa_student clsa_trainer_student(const struct clsa_trainer *trainer,
                                         enum clsa_train_array array,
                                         uint32_t site);

#endif /* CLSA_TRAIN_TRAINER_H */
