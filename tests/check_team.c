/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a model at work: each item of a loop is done once and seen by
 * all after it, also if a thread comes late, threads outnumber CPUs, all of
 * them have one CPU, or CPUs are taken away; and steps of a small model compute
 * the same bits for any number of threads. tests/tsan.sh runs it with
 * ThreadSanitizer, which watches for what is read without a loop's end between.
 * A model is found in CLSA_TEST_DATA, default "tests/data".
 *
 * Exit status: 0 passed, 1 failed.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa.h"
#include "src/base/loop.h"
#include "tests/seccomp.h"

enum {
    THREADS = 4,
    MANY = 24, /* threads of one CPU */
    ROUNDS = 200,
    LOOPS = 20,
    ITEMS = 1000,
    FEW = 7,
    TOKENS = 40
};

static int failures;

static void expect(bool true_so, const char *what, unsigned threads)
{
    if (true_so)
        return;
    failures++;
    printf("%u threads: %s\n", threads, what);
}

/* ------------------------------------------------------------------- team */

struct rounds {
    unsigned long slot[ITEMS];    /* one of each item, no atomics */
    unsigned char item[2][ITEMS]; /* times that it was taken, by parts */
    unsigned wrong[ITEMS];
};

/* In each round items write their slots, and then items read all of them. */
static void write_and_read(struct rounds *r, struct clsa_worker *w)
{
    for (unsigned long round = 1; round <= ROUNDS; round++) {
        struct clsa_loop writes = clsa_loop(w, FEW);
        while (clsa_loop_next(&writes))
            for (size_t i = writes.begin; i < writes.end; i++)
                r->slot[i] = round * (i + 1);
        struct clsa_loop reads = clsa_loop(w, FEW);
        while (clsa_loop_next(&reads))
            for (size_t i = reads.begin; i < reads.end; i++)
                for (size_t j = 0; j < FEW; j++)
                    r->wrong[i] += r->slot[j] != round * (j + 1);
    }
}

/* Items of pages of three; there is one node. */
static size_t pages(const void *n, unsigned node, unsigned nodes)
{
    return clsa_pages_on_node(*(const size_t *)n, 3, node, nodes);
}

/* All items of two parts, in one loop. */
static void take_items(struct rounds *r, struct clsa_worker *w, size_t n)
{
    struct clsa_loop loop = clsa_loop(w, n);
    clsa_loop_spread(&loop, pages, &n);
    while (clsa_loop_next(&loop))
        for (size_t i = loop.begin; i < loop.end; i++)
            r->item[loop.part][i]++;
}

static void work(void *context, struct clsa_worker *w)
{
    struct rounds *r = context;
    write_and_read(r, w);
    for (size_t n = 0; n <= ITEMS; n = 3 * n + 1)
        take_items(r, w, n);
    take_items(r, w, ITEMS);
}

/* How often work() takes item i. */
static unsigned times_of(size_t i)
{
    unsigned times = 1;
    for (size_t n = 0; n <= ITEMS; n = 3 * n + 1)
        times += i < n;
    return times;
}

static void check_team(const struct clsa_numa *numa, unsigned threads)
{
    struct clsa_team *team;
    static struct rounds r;
    memset(&r, 0, sizeof r);
    if (clsa_team_open(&team, threads, numa, NULL) != CLSA_OK) {
        expect(false, "the team does not open", threads);
        return;
    }
    expect(clsa_team_size(team) == threads, "the size is another", threads);
    for (unsigned run = 1; run <= 20; run++) {
        clsa_team_run(team, work, &r);
        for (unsigned i = 0; i < 2 * ITEMS; i++)
            expect(r.item[i / ITEMS][i % ITEMS] ==
                       (unsigned char)(times_of(i % ITEMS) * run),
                   "an item was not taken once", threads);
    }
    for (unsigned i = 0; i < FEW; i++) {
        expect(r.slot[i] == (i + 1UL) * ROUNDS, "a slot is missing", threads);
        expect(r.wrong[i] == 0, "a loop ended too early", threads);
    }
    clsa_team_close(team);
}

/* Items of nodes: the shares of the threads of a node are its own, together all
   items once. Workers take their turns, each alone with its share. */
static void check_nodes(void)
{
    enum { COUNT = 5, NODES = 2 };
    unsigned char taken[ITEMS] = {0};
    size_t n = ITEMS;
    for (unsigned id = 0; id < COUNT; id++) {
        const struct clsa_worker w = {.id = id,
                                      .count = COUNT,
                                      .node = id % NODES,
                                      .nodes = NODES,
                                      .rank = id / NODES,
                                      .ranks = id % NODES ? 2 : 3};
        struct clsa_loop loop = clsa_loop_open(&w);
        clsa_loop_spread(&loop, pages, &n);
        while (clsa_loop_next(&loop))
            for (size_t i = loop.begin; i < loop.end; i++) {
                const size_t at = clsa_pages_item(i, 3, loop.node, NODES);
                expect(at < n && at / 3 % NODES == id % NODES,
                       "an item of another node", COUNT);
                taken[at % ITEMS]++;
            }
    }
    for (size_t i = 0; i < n; i++)
        expect(taken[i] == 1, "an item of a node was not taken once", COUNT);
}

/* ------------------------------------------------------- threads that lag */

struct lag {
    atomic_bool done;    /* by the others, of what the last one waits for */
    unsigned sum[LOOPS]; /* of each loop, by the one that closes it */
    unsigned item[ITEMS];
};

/* The last thread comes to the first loop when the others are through all of
   them: had they to wait for it, nobody would ever be. */
static void lag_behind(void *context, struct clsa_worker *w)
{
    struct lag *l = context;
    if (w->count > 1 && w->id == w->count - 1)
        while (!atomic_load(&l->done))
            sched_yield();
    for (unsigned round = 0; round < LOOPS; round++) {
        struct clsa_loop add = clsa_loop(w, ITEMS);
        while (clsa_loop_next(&add))
            for (size_t i = add.begin; i < add.end; i++)
                l->item[i] += round;
        struct clsa_loop sum = clsa_loop(w, 1);
        while (clsa_loop_next(&sum))
            for (size_t i = 0; i < ITEMS; i++)
                l->sum[round] += l->item[i];
    }
    atomic_store(&l->done, true);
}

static void check_lag(const struct clsa_numa *numa, unsigned threads)
{
    struct clsa_team *team;
    static struct lag l;
    if (clsa_team_open(&team, threads, numa, NULL) != CLSA_OK) {
        expect(false, "the team does not open", threads);
        return;
    }
    for (unsigned run = 0; run < 20; run++) {
        memset(&l, 0, sizeof l);
        clsa_team_run(team, lag_behind, &l);
        for (unsigned i = 0; i < LOOPS; i++)
            expect(l.sum[i] == ITEMS * (i * (i + 1) / 2),
                   "a thread that lags changes a result", threads);
    }
    clsa_team_close(team);
}

/* The same on one CPU, for all threads that start from here. */
static void check_one_cpu(void)
{
    struct clsa_ids all, one = {.any = false};
    struct clsa_numa *numa;
    unsigned cpu = 0;
    if (!clsa_pin_get(&all)) {
        printf("SKIP check_team: threads cannot be pinned\n");
        return;
    }
    while (!clsa_ids_has(&all, cpu))
        cpu++;
    clsa_ids_add(&one, cpu);
    expect(clsa_pin_set(&one), "cannot be pinned", 1);
    if (clsa_numa_open(&numa, "off", NULL) == CLSA_OK) {
        check_team(numa, MANY);
        check_lag(numa, MANY);
        clsa_numa_close(numa);
    }
    clsa_pin_set(&all);
}

/* --------------------------------------------- CPUs that are taken away */

static void count_workers(void *context, struct clsa_worker *w)
{
    if (w->id == 0)
        *(unsigned *)context = w->count;
}

static unsigned workers_of(struct clsa_team *team)
{
    unsigned count = 0;
    clsa_team_run(team, count_workers, &count);
    return count;
}

#if CLSA_SECCOMP
/* From here on no thread of the process gets to another CPU. */
static bool forbid_moves(void)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        IF(SYS_sched_setaffinity, 1),
        RETURN(SECCOMP_RET_ERRNO | EINVAL),
        RETURN(SECCOMP_RET_ALLOW),
    };
    return clsa_seccomp_install(filter, sizeof filter / sizeof *filter) == 0;
}
#else
static bool forbid_moves(void)
{
    return false;
}
#endif

/* As if the cpuset of the process had one CPU left: the next region but one has
   one thread, and after some hundreds all are tried again. For good, so last.
 */
static void check_lost_cpu(void)
{
    struct clsa_ids all, one = {.any = false};
    struct clsa_numa *numa;
    struct clsa_team *team;
    unsigned cpu = 0, tried = 0;
    if (!clsa_pin_get(&all) || clsa_ids_count(&all) < 2 ||
        clsa_numa_open(&numa, NULL, NULL) != CLSA_OK) {
        printf("SKIP check_team lost CPU: there are no two CPUs\n");
        return;
    }
    while (!clsa_ids_has(&all, cpu))
        cpu++;
    clsa_ids_add(&one, cpu);
    if (!clsa_numa_pins(numa) ||
        clsa_team_open(&team, 2, numa, NULL) != CLSA_OK) {
        printf("SKIP check_team lost CPU: threads are not pinned\n");
        clsa_numa_close(numa);
        return;
    }
    expect(workers_of(team) == 2, "a team of two is smaller", 2);
#pragma omp parallel num_threads(2)
    clsa_pin_set(&one);
    if (forbid_moves()) {
        workers_of(team); /* finds out */
        expect(workers_of(team) == 1, "two threads on one CPU", 2);
        for (unsigned i = 0; i < 256; i++)
            tried += workers_of(team) == 2;
        expect(tried == 1, "not all threads are tried again", 2);
    } else {
        printf("SKIP check_team lost CPU: calls cannot be forbidden\n");
    }
    clsa_team_close(team);
    clsa_numa_close(numa);
}

/* ------------------------------------------------------------------ steps */

/* A prompt, decoding, a fork and a batch; the logits at the end, or NULL. */
static float *run_steps(const char *path, unsigned threads, size_t *bytes)
{
    clsa_model_options options;
    clsa_session_options how;
    clsa_session *s[2] = {NULL, NULL};
    clsa_model *model;
    clsa_model_info info;
    float *logits = NULL;
    int32_t ids[TOKENS];
    clsa_model_options_init(&options);
    options.threads = threads;
    clsa_session_options_init(&how);
    how.prefill_block = 16;
    how.prefill = "own";
    if (clsa_model_open(&model, path, &options, NULL) != CLSA_OK)
        return NULL;
    clsa_model_get_info(model, &info, sizeof info);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = i * 7 % (int32_t)info.vocab;
    if (clsa_session_open(&s[0], model, &how, NULL) == CLSA_OK &&
        clsa_session_append(s[0], ids, TOKENS, NULL, NULL) == CLSA_OK &&
        clsa_session_append(s[0], ids, 1, NULL, NULL) == CLSA_OK &&
        clsa_session_fork(s[0], &s[1], NULL) == CLSA_OK &&
        clsa_batch_append(s, ids + 3, 2, NULL) == CLSA_OK) {
        *bytes = info.vocab * sizeof *logits;
        logits = malloc(*bytes);
        if (logits)
            memcpy(logits, clsa_session_logits(s[1]), *bytes);
    }
    clsa_session_close(s[0]);
    clsa_session_close(s[1]);
    clsa_model_close(model);
    return logits;
}

static void check_steps(const char *name)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    char path[1200];
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "tests/data", name);
    float *one = run_steps(path, 1, &bytes);
    expect(one != NULL, name, 1);
    for (unsigned threads = 2; one && threads <= THREADS; threads++) {
        float *many = run_steps(path, threads, &bytes);
        expect(many && memcmp(many, one, bytes) == 0, name, threads);
        free(many);
    }
    free(one);
}

int main(void)
{
    static const char *const models[] = {"good-clsa.gguf",
                                         "good-gated-retention.gguf"};
    struct clsa_numa *numa;
    if (clsa_numa_open(&numa, NULL, NULL) != CLSA_OK)
        return EXIT_FAILURE;
    for (unsigned threads = 1; threads <= THREADS; threads++)
        check_team(numa, threads);
    for (unsigned threads = 1; threads <= MANY; threads += 5)
        check_lag(numa, threads);
    clsa_numa_close(numa);
    check_one_cpu();
    check_nodes();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        check_steps(models[i]);
    check_lost_cpu();
    printf("%s: 1 to %d threads\n", failures ? "failed" : "passed", THREADS);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
