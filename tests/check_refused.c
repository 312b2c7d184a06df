/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a system may refuse, as containers do: pinning threads, binding memory,
 * advice about memory. A model then opens with one notice and computes the same
 * bits. Memory that is written and executed, which oneDNN needs: "auto" goes on
 * without it. A seccomp filter refuses the calls, in a process of its own for
 * each case; hwloc is told of two nodes where there is one, so that memory
 * would be bound. And what is advised where nothing is refused: large memory of
 * our own, and the mapping of a file, are marked for huge pages. Exit status: 0
 * passed, 1 failed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "src/engine/step.h"
#include "tests/seccomp.h"

#define VOCAB 1000

static const clsa_shape shape = {.width = 256,
                                 .self_layers = 1,
                                 .cross_layers = 2,
                                 .heads = 8,
                                 .kv_heads = 8,
                                 .head_size = 32,
                                 .ffn = 512,
                                 .window = 40,
                                 .index_size = 32,
                                 .top_k = 64,
                                 .vocab = VOCAB};

/* What a process tells. */
struct result {
    float logits[2][VOCAB];
    char notice[256];
    bool left_out;
    unsigned failures;
};

static const char *const policies[] = {"clsa", "dense"};

static void stop(const char *what, const clsa_error *error)
{
    printf("FAIL %s: %s\n", what, error->message);
    fflush(stdout);
    _exit(1);
}

/* Whether the mapping at an address is marked for huge pages; -1: unknown. */
static int is_huge(const void *address)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    unsigned long from, to;
    int found = -1, within = 0;
    char line[512];

    while (file && found < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            within = (uintptr_t)address >= from && (uintptr_t)address < to;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, " hg") != NULL;
    }
    if (file)
        fclose(file);
    return found;
}

static void expect_huge(struct result *r, const char *what, const void *address)
{
    if (is_huge(address) != 0)
        return;
    printf("FAIL %s: not marked for huge pages\n", what);
    r->failures++;
}

static void check_huge(struct result *r, const clsa_session *session)
{
    const char *path = getenv("CLSA_TEST_MODEL");
    const clsa_model *model = session->model;
    const char *emulator = getenv("CLSA_EMULATOR");
    clsa_model *file;
    clsa_error error;

    if ((emulator && *emulator) ||
        access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0 ||
        is_huge(model->gguf->base) < 0) {
        printf("SKIP check_refused huge pages: this system tells nothing "
               "about them\n");
        return;
    }
    expect_huge(r, "weights", model->gguf->base);
    expect_huge(r, "cache",
                clsa_cache_page(clsa_stores_cache(&session->stores), 0));
    expect_huge(r, "scratch", model->scratch->block);
    if (clsa_model_open(&file, path ? path : "models/clsa-tiny-q8_0.gguf", NULL,
                        &error) != CLSA_OK)
        stop("model", &error);
    expect_huge(r, "file", file->gguf->base);
    clsa_model_close(file);
}

static void compute(struct result *r, bool plain)
{
    clsa_session_options options;
    clsa_model_info info;
    clsa_model *model;
    clsa_session *session;
    clsa_error error;
    const int32_t ids[] = {1, 2, 3};

    if (clsa_model_random(&model, &shape, CLSA_TYPE_F32, NULL, &error) !=
        CLSA_OK)
        stop("model", &error);
    clsa_model_get_info(model, &info, sizeof info);
    snprintf(r->notice, sizeof r->notice, "%s", info.notice);
    clsa_session_options_init(&options);
    options.context = 6000;
    for (int i = 0; i < 2; i++) {
        options.attention = policies[i];
        if (clsa_session_open(&session, model, &options, &error) != CLSA_OK ||
            clsa_session_fill_random(session, 5000, 1, &error) != CLSA_OK ||
            clsa_session_append(session, ids, 3, NULL, &error) != CLSA_OK)
            stop("session", &error);
        memcpy(r->logits[i], clsa_session_logits(session), sizeof r->logits[i]);
        if (plain && i == 0)
            check_huge(r, session);
        clsa_session_close(session);
    }
    clsa_model_close(model);
}

static bool refuse(void)
{
#ifdef CLSA_SECCOMP
    struct sock_filter filter[] = {LOAD(nr),
                                   IF(SYS_sched_setaffinity, 1),
                                   RETURN(SECCOMP_RET_ERRNO | EPERM),
                                   IF(SYS_mbind, 1),
                                   RETURN(SECCOMP_RET_ERRNO | EPERM),
                                   IF(SYS_set_mempolicy, 1),
                                   RETURN(SECCOMP_RET_ERRNO | EPERM),
                                   IF(SYS_madvise, 1),
                                   RETURN(SECCOMP_RET_ERRNO | EPERM),
                                   RETURN(SECCOMP_RET_ALLOW)};
    return clsa_seccomp_install(filter, sizeof filter / sizeof *filter) == 0;
#else
    errno = ENOSYS;
    return false;
#endif
}

/* In a process of its own; `nodes`: with two nodes for hwloc. */
static struct result run(bool refused, bool nodes)
{
    static struct result r;
    int ends[2], status = 1;
    size_t got = 0;
    ssize_t n = 1;

    memset(&r, 0, sizeof r);
    fflush(stdout);
    if (pipe(ends) != 0)
        exit(1);
    const pid_t child = fork();
    if (child == 0) {
        if (nodes) {
            setenv("HWLOC_SYNTHETIC", "numa:2 core:1 pu:1", 1);
            setenv("HWLOC_THISSYSTEM", "1", 1);
        }
        r.left_out = refused && !refuse();
        if (r.left_out)
            printf("SKIP check_refused refused: this system does not let us "
                   "refuse calls (%s)\n",
                   strerror(errno));
        else
            compute(&r, !refused);
        fflush(stdout);
        _exit(write(ends[1], &r, sizeof r) != sizeof r);
    }
    close(ends[1]);
    for (; n > 0 && got<sizeof r; got += n> 0 ? (size_t)n : 0)
        n = read(ends[0], (char *)&r + got, sizeof r - got);
    close(ends[0]);
    waitpid(child, &status, 0);
    if (status || got != sizeof r) {
        printf("FAIL a process: status %d\n", status);
        exit(1);
    }
    return r;
}

/* A notice has to tell what build and environment make the library try. */
static unsigned check(const char *what, const struct result *plain,
                      const struct result *r, const char *expected)
{
    const bool same = !memcmp(plain->logits, r->logits, sizeof r->logits);
    bool told = true;
#ifdef HAVE_HWLOC
    struct clsa_ids cpus;
    told = strstr(r->notice, expected) || clsa_pin_by_user(&cpus);
#endif
    if (r->left_out)
        return 0;
    printf("%s: \"%s\", logits are %s\n", what, r->notice,
           same ? "the same" : "others");
    if (same && told && !strchr(r->notice, '\n'))
        return r->failures;
    printf("FAIL %s: logits have to be the same, the notice to say \"%s\"\n",
           what, expected);
    return r->failures + 1;
}

#ifdef CLSA_SECCOMP

/* From now on no memory becomes executable. */
static bool forbid_code(void)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        IF(SYS_mprotect, 3),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | EACCES),
        RETURN(SECCOMP_RET_ALLOW)};
    return clsa_seccomp_install(filter, sizeof filter / sizeof *filter) == 0;
}

static clsa_session *read_tokens(clsa_session *session)
{
    int32_t ids[2 * CLSA_GEMM_TOKENS_MIN];
    clsa_error error;
    for (int i = 0; i < 2 * CLSA_GEMM_TOKENS_MIN; i++)
        ids[i] = i % VOCAB;
    if (clsa_session_append(session, ids, 2 * CLSA_GEMM_TOKENS_MIN, NULL,
                            &error) != CLSA_OK)
        stop("append without code", &error);
    return session;
}

static clsa_session *open_prefill(clsa_model *model, const char *prefill)
{
    clsa_session_options options;
    clsa_session *session;
    clsa_error error;
    clsa_session_options_init(&options);
    options.context = 6000;
    options.prefill = prefill;
    if (clsa_session_open(&session, model, &options, &error) != CLSA_OK)
        stop("session without code", &error);
    return session;
}

/* A session that was to use oneDNN, one that is opened when it is too late for
   that, one that never was to, and one that insists. */
static unsigned without_code(void)
{
    clsa_session_options options;
    clsa_session *s[3], *refused;
    clsa_model *model;
    clsa_error error;
    unsigned failures = 0;
    if (clsa_model_random(&model, &shape, CLSA_TYPE_F32, NULL, &error) !=
        CLSA_OK)
        stop("model", &error);
    s[0] = open_prefill(model, "auto");
    if (s[0]->prefill == CLSA_PREFILL_NATIVE) {
        printf("SKIP check_refused code: no oneDNN that is fast here\n");
        return 0;
    }
    if (!forbid_code()) {
        printf("SKIP check_refused code: this system does not let us refuse "
               "calls (%s)\n",
               strerror(errno));
        return 0;
    }
    s[1] = open_prefill(model, NULL);
    s[2] = open_prefill(model, "native");
    for (int i = 0; i < 3; i++) {
        const char *notice = clsa_session_notice(read_tokens(s[i]));
        const bool same =
            !memcmp(clsa_session_logits(s[i]), clsa_session_logits(s[0]),
                    VOCAB * sizeof(float));
        if (same && !*notice == (i == 2))
            continue;
        printf("FAIL code: session %d: \"%s\", logits are %s\n", i, notice,
               same ? "the same" : "others");
        failures++;
    }
    clsa_session_options_init(&options);
    options.prefill = "f32";
    if (clsa_session_open(&refused, model, &options, &error) !=
            CLSA_ERR_UNSUPPORTED ||
        !strstr(error.message, "MemoryDenyWriteExecute")) {
        printf("FAIL code: f32 is not refused as it should be\n");
        failures++;
    }
    return failures;
}

static unsigned check_code(void)
{
    int status = 1;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const unsigned failures = without_code();
        fflush(stdout);
        _exit(failures != 0);
    }
    waitpid(child, &status, 0);
    return status != 0;
}

#else

static unsigned check_code(void)
{
    printf("SKIP check_refused code: this system does not let us refuse "
           "calls\n");
    return 0;
}

#endif

int main(void)
{
    static struct result plain, pins, both; /* too large for a stack */
    unsigned failures;

    plain = run(false, false);
    pins = run(true, false);
    both = run(true, true);
    failures = plain.failures;

    failures += check("no pinning", &plain, &pins,
                      "threads cannot be pinned to cores (Operation not");
    failures += check("no binding either", &plain, &both,
                      "memory cannot be bound to NUMA nodes (Operation not");
    failures += check_code();
    printf("%u failed\n", failures);
    return failures > 0;
}
