/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens inside of a step: no allocation, no lock, no look at the
 * environment and no system call, in any thread; and around it, from the call
 * of the library to its return, no system call but those named in `around`.
 *
 * The linker puts __wrap_ functions in place of clsa_team_run, locks and
 * getenv, and the functions of malloc are our own. System calls are caught by a
 * seccomp filter: each raises SIGSYS, whose handler counts it and makes it, the
 * filter letting pass what that one place asks for. So a filter needs a process
 * of its own for each number of threads. First of all the counters have to see
 * what a step must not do. Where filters are refused, and without the C library
 * of GNU, that part is left out, and said to be.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "src/engine/session.h"
#include "tests/seccomp.h"

#define SESSIONS 4
#define STEPS    6
#define TOKENS   5000

/* ----------------------------------------------------------- the counters */

enum what { ALLOCATIONS, LOCKS, ENVIRONMENT, CALLS, COUNTERS };

static const char *const names[COUNTERS] = {
    "allocations", "locks", "looks at the environment", "system calls"};

#define MOST_CALLS 1024

static atomic_bool counting;
static _Thread_local bool inside; /* of the work of a step */
static atomic_uint counted[COUNTERS];
static atomic_uint calls_inside[MOST_CALLS], calls_around[MOST_CALLS];

static void count(enum what what)
{
    if (inside && atomic_load(&counting))
        atomic_fetch_add(&counted[what], 1);
}

struct work {
    void (*work)(void *context, struct clsa_worker *worker);
    void *context;
};

static void run_counted(void *context, struct clsa_worker *worker)
{
    const struct work *w = context;
    inside = true;
    w->work(w->context, worker);
    inside = false;
}

void __real_clsa_team_run(struct clsa_team *team,
                          void (*work)(void *, struct clsa_worker *),
                          void *context);
void __wrap_clsa_team_run(struct clsa_team *team,
                          void (*work)(void *, struct clsa_worker *),
                          void *context);
void __wrap_clsa_team_run(struct clsa_team *team,
                          void (*work)(void *, struct clsa_worker *),
                          void *context)
{
    struct work w = {work, context};
    __real_clsa_team_run(team, run_counted, &w);
}

#define WRAP(what, type, name, parameters, arguments)                          \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        count(what);                                                           \
        return __real_##name arguments;                                        \
    }

WRAP(ENVIRONMENT, char *, getenv, (const char *name), (name))
WRAP(ENVIRONMENT, char *, secure_getenv, (const char *name), (name))
WRAP(LOCKS, int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
WRAP(LOCKS, int, pthread_mutex_trylock, (pthread_mutex_t * m), (m))
WRAP(LOCKS, int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))
WRAP(LOCKS, int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))
WRAP(LOCKS, int, pthread_spin_lock, (pthread_spinlock_t * l), (l))
WRAP(LOCKS, int, pthread_once, (pthread_once_t * o, void (*f)(void)), (o, f))
WRAP(LOCKS, int, sem_wait, (sem_t * s), (s))

/* ----------------------------------------------------------------- malloc */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC    1
#define SANITIZER 1
int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void *, size_t),
    void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory, (void)size;
    count(ALLOCATIONS);
}

static void on_free(const volatile void *memory)
{
    if (memory)
        count(ALLOCATIONS);
}

static void watch_malloc(void)
{
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}
#elif defined(__GLIBC__)
#define MALLOC 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *memory);

void *malloc(size_t size)
{
    count(ALLOCATIONS);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count(ALLOCATIONS);
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    count(ALLOCATIONS);
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count(ALLOCATIONS);
    return __libc_memalign(align, size);
}

int posix_memalign(void **memory, size_t align, size_t size)
{
    count(ALLOCATIONS);
    *memory = __libc_memalign(align, size);
    return *memory ? 0 : ENOMEM;
}

void free(void *memory)
{
    count(ALLOCATIONS);
    __libc_free(memory);
}

static void watch_malloc(void)
{
}
#else
#define MALLOC 0
static void watch_malloc(void)
{
    printf("SKIP check_steps allocations: this C library does not let us "
           "count them\n");
}
#endif

/* ------------------------------------------------------------ system calls */

#if defined(CLSA_SECCOMP) && (defined(__x86_64__) || defined(__aarch64__))

/* Makes a system call; the filter knows it by the address after it. */
long make_call(long number, const long arguments[6]);
extern const char made_call[];

#ifdef __x86_64__
__asm__(".text\n.globl make_call\n.type make_call, @function\nmake_call:\n"
        "mov %rdi, %rax\nmov %rsi, %rcx\n"
        "mov (%rcx), %rdi\nmov 8(%rcx), %rsi\nmov 16(%rcx), %rdx\n"
        "mov 24(%rcx), %r10\nmov 32(%rcx), %r8\nmov 40(%rcx), %r9\n"
        "syscall\n.globl made_call\nmade_call:\nret\n");

static long *call_registers(ucontext_t *u, long arguments[6])
{
    static const int registers[] = {REG_RDI, REG_RSI, REG_RDX,
                                    REG_R10, REG_R8,  REG_R9};
    for (int i = 0; i < 6; i++)
        arguments[i] = (long)u->uc_mcontext.gregs[registers[i]];
    return (long *)&u->uc_mcontext.gregs[REG_RAX];
}
#else
__asm__(".text\n.globl make_call\n.type make_call, %function\nmake_call:\n"
        "mov x8, x0\nmov x9, x1\n"
        "ldp x0, x1, [x9]\nldp x2, x3, [x9, 16]\nldp x4, x5, [x9, 32]\n"
        "svc 0\n.globl made_call\nmade_call:\nret\n");

static long *call_registers(ucontext_t *u, long arguments[6])
{
    for (int i = 0; i < 6; i++)
        arguments[i] = (long)u->uc_mcontext.regs[i];
    return (long *)&u->uc_mcontext.regs[0];
}
#endif

static void on_call(int signal, siginfo_t *info, void *context)
{
    long arguments[6], *result = call_registers(context, arguments);
    const unsigned number = (unsigned)info->si_syscall;
    (void)signal;
    if (number < MOST_CALLS && atomic_load(&counting))
        atomic_fetch_add(inside ? &calls_inside[number] : &calls_around[number],
                         1);
    *result = make_call((long)number, arguments);
}

/* Catches all system calls from here on, but those that a handler cannot make
   for another: what ends it, its mask, and new threads. */
static bool watch_calls(void)
{
    const uintptr_t after = (uintptr_t)made_call;
    struct sigaction action = {.sa_sigaction = on_call,
                               .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sock_filter filter[] = {
        LOAD(instruction_pointer), IF((uint32_t)after, 3),
        LOAD(instruction_pointer), IF((uint32_t)(after >> 32), 1),
        RETURN(SECCOMP_RET_ALLOW), LOAD(nr),
        IF(SYS_rt_sigreturn, 1),   RETURN(SECCOMP_RET_ALLOW),
        IF(SYS_rt_sigprocmask, 1), RETURN(SECCOMP_RET_ALLOW),
        IF(SYS_clone, 1),          RETURN(SECCOMP_RET_ALLOW),
        IF(SYS_clone3, 1),         RETURN(SECCOMP_RET_ALLOW),
        IF(SYS_exit, 1),           RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_TRAP),
    };
    filter[2].k += 4; /* the upper half; both are little-endian */
    sigaction(SIGSYS, &action, NULL);
    return clsa_seccomp_install(filter, sizeof filter / sizeof *filter) == 0;
}
#else
static bool watch_calls(void)
{
    errno = ENOSYS;
    return false;
}
#endif

/* What is no part of the work: the affinity of threads, OpenMP's own waking
   and waiting. A thread that waits for long looks at the CPU clock of another,
   lends it its CPU and sleeps, also inside; clocks are system calls on machines
   whose clock cannot be read. oneDNN's code in f32 for AVX2 takes memory in a
   call, for which the C library may let a thread's heap grow. */
static const struct {
    int number;
    const char *name;
    bool inside;
} around[] = {
    {SYS_sched_getaffinity, "sched_getaffinity", false},
    {SYS_sched_setaffinity, "sched_setaffinity", true},
    {SYS_futex, "futex", true},
    {SYS_gettid, "gettid", false},
    {SYS_sched_yield, "sched_yield", true},
    {SYS_clock_gettime, "clock_gettime", true},
    {SYS_mprotect, "mprotect", true},
#ifdef SANITIZER
    {SYS_mmap, "mmap", false}, /* for itself */
#endif
};

static bool is_allowed(int number, bool within)
{
    for (size_t i = 0; i < sizeof around / sizeof *around; i++)
        if (around[i].number == number)
            return around[i].inside || !within;
    return false;
}

/* ---------------------------------------------------------------- the test */

static unsigned failures;
static const clsa_shape shape = {.width = 256,
                                 .self_layers = 2,
                                 .cross_layers = 2,
                                 .heads = 8,
                                 .kv_heads = 2,
                                 .head_size = 32,
                                 .ffn = 512,
                                 .window = 16,
                                 .index_size = 32,
                                 .top_k = 64,
                                 .vocab = 1000};
static const char *const policies[SESSIONS] = {"clsa", "dense", "window:100",
                                               "sink:33"};

static void check(clsa_status status, const clsa_error *error)
{
    if (status == CLSA_OK)
        return;
    printf("FAIL %s\n", error->message);
    exit(1);
}

static void fail(const char *what, const char *found, unsigned n)
{
    printf("FAIL %s: %u %s\n", what, n, found);
    failures++;
}

/* All counters of `what`, which begin again. */
static void report(const char *what)
{
    char name[40];
    for (int i = 0; i < CALLS; i++) {
        const unsigned n = atomic_exchange(&counted[i], 0);
        if (n)
            fail(what, names[i], n);
    }
    for (int i = 0; i < MOST_CALLS; i++) {
        const unsigned in = atomic_exchange(&calls_inside[i], 0);
        const unsigned out = atomic_exchange(&calls_around[i], 0);
        snprintf(name, sizeof name, "system calls %d inside", i);
        if (in && !is_allowed(i, true))
            fail(what, name, in);
        snprintf(name, sizeof name, "system calls %d around", i);
        if (out && !is_allowed(i, false))
            fail(what, name, out);
    }
}

static void misbehave(void *context, struct clsa_worker *worker)
{
    static pthread_mutex_t locks[CLSA_MAX_THREADS];
    pthread_mutex_t *lock = &locks[worker->id];
    char *volatile memory = malloc(100);
    (void)context;
    free(memory);
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    if (getenv("PATH"))
        syscall(SYS_getppid);
}

/* The counters have to see what a step must not do. */
static void check_counters(struct clsa_team *team, bool calls)
{
    const unsigned threads = clsa_team_size(team);
    const unsigned expected[COUNTERS] = {MALLOC ? 2 * threads : 0, threads,
                                         threads, calls ? threads : 0};
    atomic_store(&counting, true);
    __wrap_clsa_team_run(team, misbehave, NULL);
    atomic_store(&counting, false);
    counted[CALLS] = calls_inside[SYS_getppid];
    for (int i = 0; i < COUNTERS; i++)
        if (counted[i] != expected[i])
            fail("counters", names[i], counted[i]);
    for (int i = 0; i < COUNTERS; i++)
        counted[i] = 0;
    for (int i = 0; i < MOST_CALLS; i++)
        calls_inside[i] = calls_around[i] = 0;
}

struct sessions {
    clsa_model *model, *retention;
    clsa_session *one[SESSIONS], *retaining;
};

static clsa_session *open_session(clsa_model *model, const char *attention)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    clsa_session_options_init(&options);
    options.context = 2 * CLSA_PAGE_ROWS;
    options.attention = attention;
    options.prefill_block = 32;
    check(clsa_session_open(&session, model, &options, &error), &error);
    return session;
}

static void open_all(struct sessions *s, uint32_t threads)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    clsa_model_options options;
    clsa_error error;
    char path[1200];
    clsa_model_options_init(&options);
    options.threads = threads;
    check(
        clsa_model_random(&s->model, &shape, CLSA_TYPE_Q8_0, &options, &error),
        &error);
    snprintf(path, sizeof path, "%s/good-retention-indexer.gguf",
             folder ? folder : "tests/data");
    check(clsa_model_open(&s->retention, path, &options, &error), &error);
    s->retaining = open_session(s->retention, NULL);
    for (int i = 0; i < SESSIONS; i++) {
        s->one[i] = open_session(s->model, policies[i]);
        check(clsa_session_fill_random(s->one[i], TOKENS, 1, &error), &error);
    }
}

static void close_all(struct sessions *s)
{
    for (int i = 0; i < SESSIONS; i++)
        clsa_session_close(s->one[i]);
    clsa_session_close(s->retaining);
    clsa_model_close(s->retention);
    clsa_model_close(s->model);
}

static void append(clsa_session *session, size_t n, clsa_want want)
{
    static const uint8_t mask[70] = {[3] = 1, [4] = 1, [69] = 1};
    static const int32_t ids[70] = {1, 2, 3, 4, 5};
    const clsa_append_options how = {.want = want, .mask = mask};
    clsa_error error;
    atomic_store(&counting, true);
    clsa_status status = clsa_session_append(session, ids, n, &how, &error);
    atomic_store(&counting, false);
    check(status, &error);
}

static void append_batch(struct sessions *s, size_t n)
{
    static const int32_t ids[SESSIONS] = {6, 7, 8, 9};
    clsa_error error;
    atomic_store(&counting, true);
    clsa_status status = clsa_batch_append(s->one, ids, n, &error);
    atomic_store(&counting, false);
    check(status, &error);
}

/* Tokens alone, in a batch, a prompt, and positions of a text with logits. */
static void run_all(struct sessions *s)
{
    for (int i = 0; i < SESSIONS; i++) {
        for (int j = 0; j < STEPS; j++)
            append(s->one[i], 1, CLSA_WANT_LAST);
        report(policies[i]);
    }
    for (int j = 0; j < STEPS; j++)
        append_batch(s, SESSIONS);
    report("batch");
    append(s->one[0], 70, CLSA_WANT_LAST);
    report("prompt");
    append(s->one[0], 70, CLSA_WANT_MASK);
    report("evaluation");
    for (int j = 0; j < STEPS; j++)
        append(s->retaining, 1, CLSA_WANT_LAST);
    append(s->retaining, 70, CLSA_WANT_LAST);
    report("retention");
}

/* Each thread of an OpenMP region, and with `fails` whether it still has the
   affinity of the first call: neither the caller nor its regions may find a
   thread pinned by the library. */
static void check_affinity(unsigned threads, bool fails)
{
    static cpu_set_t before[CLSA_MAX_THREADS];
    unsigned changed = 0;
#pragma omp parallel num_threads(threads) reduction(+ : changed)
    {
        cpu_set_t now, *first = &before[omp_get_thread_num()];
        if (sched_getaffinity(0, sizeof now, fails ? &now : first) == 0)
            changed += fails && !CPU_EQUAL(&now, first);
    }
    if (changed)
        fail("affinity", "threads are pinned", changed);
}

/* One number of threads; affinity calls around the steps: at most `most`
   for each thread and step. */
static void run(uint32_t threads, unsigned most)
{
    struct sessions s;
    bool calls;
    unsigned found = 0;

    watch_malloc();
    check_affinity(threads, false);
    open_all(&s, threads);
    run_all(&s);
    calls = watch_calls();
    if (!calls)
        printf("SKIP check_steps system calls: this system does not let us "
               "catch them (%s)\n",
               strerror(errno));
    check_counters(s.model->team, calls);
    for (int j = 0; j < STEPS; j++)
        append(s.one[0], 1, CLSA_WANT_LAST);
    found = calls_around[SYS_sched_getaffinity] +
            calls_around[SYS_sched_setaffinity];
    /* a CPU that is lent takes two more */
    if (found > (most ? most * threads + 2 : 0) * STEPS)
        fail("around", "affinity calls", found);
    run_all(&s);
    check_affinity(threads, true);
    close_all(&s);
    printf("%u threads: %u affinity calls in %d steps, %u failed\n", threads,
           found, STEPS, failures);
    fflush(stdout);
    _exit(failures > 0);
}

/* In a process of its own, with the CPUs that are given. */
static bool passes(uint32_t threads, unsigned most, const cpu_set_t *cpus)
{
    int status = 1;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        sched_setaffinity(0, sizeof *cpus, cpus); /* where it is allowed */
        run(threads, most);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        return false;
    }
    if (status)
        printf("FAIL %u threads: status %d\n", threads, status);
    return status == 0;
}

int main(void)
{
    cpu_set_t all, first;
    int cpu = 0;
    bool good;

    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        perror("sched_getaffinity");
        return 1;
    }
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&first);
    CPU_SET(cpu, &first);
    good = passes(1, 3, &all);
    good = passes(clsa_core_count(), 3, &all) && good;
    good = passes((uint32_t)CPU_COUNT(&all) + 2, 3, &all) && good;
    /* Nothing to pin on one CPU. */
    good = passes(1, 0, &first) && good;
    return !good;
}
