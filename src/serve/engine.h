/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the state of the engine thread. schedule.c decides who runs, models.c
 * which model is in memory, engine.c runs steps, sessions.c owns sessions and
 * the prefix cache.
 */
#ifndef CLSA_SERVE_ENGINE_H
#define CLSA_SERVE_ENGINE_H

#include "src/serve/cache.h"
#include "src/serve/disk.h"
#include "src/serve/server.h"

#define SERVE_SEQS_MAX 64

/* Tokens that an append has to have to be multiplied as prompts are: pieces of
   a prompt are never shorter, so that cutting it changes no bit. */
#define SERVE_PIECE_MIN 32

/* Tokens between two snapshots of a long prompt: a page of the caches. */
#define SERVE_PAGE 4096

struct serve_engine {
    struct serve *server;
    clsa_model *model;            /* in memory, or NULL */
    const struct serve_model *of; /* what it is for clients, or NULL */
    bool turn_over; /* others have waited long enough: nobody is admitted */
    double worked;  /* when somebody ran or waited, the last time */
    clsa_session *spare[SERVE_SEQS_MAX]; /* empty ones */
    size_t spare_count, session_count;
    clsa_session *like; /* any of the sessions */
    struct serve_cache *cache;
    struct serve_disk *disk;      /* what outlives the server, or NULL */
    bool snapshots;               /* the policy allows them */
    struct serve_choice *waiting; /* in order of arrival */
    struct serve_choice *running[SERVE_SEQS_MAX];
    size_t running_count;
    uint64_t clock;    /* of admissions */
    uint64_t last_key; /* of the last one */
    double token_ms;   /* of a token of a prompt, as measured */
    double step_ms;    /* of a decoding step */
};

/* --------------------------------------------------------------- models.c */

/* Look at all models; the first one stays in memory. False: server->error says
   why. */
bool serve_models_open(struct serve_engine *e);

/* Write the cache if it outlives the server, and give the memory back. */
void serve_models_unload(struct serve_engine *e);

/* See to it that a model is there for those that wait, if nobody runs. False:
   it could not be, and those have failed. */
bool serve_models_choose(struct serve_engine *e);

/* Unload what nobody has asked for; ms until then, -1: for ever. */
int serve_models_rest(struct serve_engine *e);

/* ------------------------------------------------------------- sessions.c */

/* For the model in memory; the disk is opened once. False: `error` says why. */
bool serve_sessions_open(struct serve_engine *e, clsa_error *error);
/* Everything but the disk. */
void serve_sessions_close(struct serve_engine *e);

/* Tokens of the choice that are in the cache: *most is how many, *branch where
   it parts from another text, or 0. */
void serve_sessions_look(struct serve_engine *e, struct serve_choice *c,
                         size_t *most, size_t *branch);

/* Give the choice a session with as much of its tokens as the cache has; false:
   there is no memory. */
bool serve_sessions_give(struct serve_engine *e, struct serve_choice *c);

/* Take it back; `keep` what it has read for others. */
void serve_sessions_take(struct serve_engine *e, struct serve_choice *c,
                         bool keep);

/* Without a cache: drop what the request of the choice kept for its others. */
void serve_sessions_forget(struct serve_engine *e, struct serve_choice *c);

/* Keep what the session of the choice has read so far. */
void serve_sessions_keep(struct serve_engine *e, struct serve_choice *c);

/* Whether `bytes` more would fit, after others of the cache are dropped. */
bool serve_sessions_make_room(struct serve_engine *e, uint64_t bytes);

/* Write a snapshot of the cache to the disk and drop it; false: there is none,
   or no disk. */
bool serve_sessions_save(struct serve_engine *e);

/* Update the counts for /metrics. */
void serve_sessions_count(struct serve_engine *e);

/* ------------------------------------------------------------- schedule.c */

/* New requests, cancelled ones, and who may run. */
void serve_schedule(struct serve_engine *e);

/* Give up the youngest of those that run, except `c` if it is the only one;
   false: there is none to give up. */
bool serve_schedule_preempt(struct serve_engine *e);

/* A choice has ended: it leaves, and its request ends with the last one. */
void serve_schedule_leave(struct serve_engine *e, struct serve_choice *c);

/* Whose prompt is read next; NULL: nobody's. */
struct serve_choice *serve_schedule_reader(struct serve_engine *e);

/* Whether the client of a choice has as much as it takes. */
bool serve_is_full(struct serve_request *request);

#endif /* CLSA_SERVE_ENGINE_H */
