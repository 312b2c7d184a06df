/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_numa [-m FILE] [NODE]...: where pages really lie, as the kernel tells.
 * Page p of a session has to lie on node p % nodes of its model, and so do the
 * pages that a fork copies, and those that come again after a truncation. The
 * rows of a matrix have to lie on the node of the thread that multiplies them,
 * in memory of our own and for a model file. Logits have to be those of a model
 * without any placement, also where the system refuses to bind memory. NODE...:
 * the system's numbers of all nodes that a model has to use, in order; without
 * any, those that it does use. For numa-vm.sh; plain main, as nothing but the C
 * library may be missing in a machine.
 * Exit status: 0 passed, 1 failed, 77 skipped as there is one node.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clsa_bench.h"
#include "src/engine/session.h"
#include "tests/seccomp.h"

#define PAGES 5

static const clsa_shape shape = {.width = 64,
                                 .self_layers = 1,
                                 .cross_layers = 1,
                                 .heads = 2,
                                 .kv_heads = 1,
                                 .head_size = 32,
                                 .ffn = 64,
                                 .window = 16,
                                 .index_size = 32,
                                 .top_k = 32,
                                 .vocab = 100};
static unsigned failures;

static void stop(const char *what, const clsa_error *error)
{
    printf("FAIL %s: %s\n", what, error->message);
    exit(1);
}

/* Small pages of the system in [from, from + size) that lie on `node`; the
   rest are counted as elsewhere. */
static size_t count_on(unsigned char *from, size_t size, int node,
                       size_t *elsewhere)
{
    const size_t step = (size_t)sysconf(_SC_PAGESIZE);
    size_t on = 0;

    *elsewhere = 0;
    for (size_t at = 0; at < size; at += step) {
        void *address = (void *)((uintptr_t)(from + at) & ~(step - 1));
        int status = -1;
        if (syscall(SYS_move_pages, 0, 1L, &address, NULL, &status, 0) != 0) {
            perror("move_pages");
            exit(1);
        }
        *(status == node ? &on : elsewhere) += 1;
    }
    return on;
}

/* All pages of a session that hold rows, of the cache's first part on. */
static void check_session(const char *what, const clsa_session *session)
{
    const struct clsa_cache *cache = clsa_stores_cache(&session->stores);
    const struct clsa_team *team = session->model->team;
    const size_t pages =
        (size_t)((session->length + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS);
    size_t on = 0;

    for (size_t i = 0; i < pages; i++) {
        const uint64_t rows = session->length - i * CLSA_PAGE_ROWS;
        const size_t used = rows < CLSA_PAGE_ROWS
                                ? (size_t)rows * cache->layout.row_bytes
                                : cache->layout.page_bytes;
        const unsigned node =
            clsa_team_os_node(team, (unsigned)(i % clsa_team_nodes(team)));
        size_t wrong;
        on += count_on(clsa_cache_page(cache, i), used, (int)node, &wrong);
        if (wrong) {
            printf("FAIL %s: page %zu: %zu pages of memory are not on node "
                   "%u\n",
                   what, i, wrong, node);
            failures++;
        }
    }
    printf("%s: %zu pages of the cache, %zu pages of memory in place\n", what,
           pages, on);
}

static void fill(clsa_session *session, uint64_t tokens)
{
    clsa_error error;
    if (clsa_session_fill_random(session, tokens, 1, &error) != CLSA_OK)
        stop("fill", &error);
}

static void append(clsa_session *session)
{
    const int32_t id = 1;
    clsa_error error;
    if (clsa_session_append(session, &id, 1, NULL, &error) != CLSA_OK)
        stop("append", &error);
}

static void check_model(clsa_model *model)
{
    const uint64_t tokens = PAGES * CLSA_PAGE_ROWS - 100;
    clsa_session_options options;
    clsa_session *session, *fork;
    clsa_error error;

    clsa_session_options_init(&options);
    options.context = PAGES * CLSA_PAGE_ROWS;
    if (clsa_session_open(&session, model, &options, &error) != CLSA_OK)
        stop("session", &error);
    fill(session, tokens);
    check_session("filled", session);
    append(session);
    check_session("decoded", session);
    if (clsa_session_fork(session, &fork, &error) != CLSA_OK)
        stop("fork", &error);
    append(fork); /* copies the last page */
    if (clsa_cache_page(clsa_stores_cache(&fork->stores), PAGES - 1) ==
        clsa_cache_page(clsa_stores_cache(&session->stores), PAGES - 1)) {
        printf("FAIL forked: the last page is still shared\n");
        failures++;
    }
    check_session("forked", fork);
    clsa_session_close(fork);
    if (clsa_session_truncate(session, 0, &error) != CLSA_OK)
        stop("truncate", &error);
    fill(session, tokens / 2);
    check_session("truncated and filled", session);
    clsa_session_close(session);
}

/* Rows of all matrices: pages with rows of one thread alone are on its node. */
static void check_weights(const char *what, const clsa_model *model)
{
    const struct clsa_team *team = model->team;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const unsigned threads = clsa_team_size(team);
    size_t on = 0, begin, end, wrong;

    for (size_t i = 0; i < model->gguf->tensor_count; i++) {
        const struct clsa_gguf_tensor *t = &model->gguf->tensors[i];
        const size_t rows = (size_t)t->shape[1], bytes = (size_t)t->size / rows;
        if (t->dims != 2 || t->data == model->net.embedding.data)
            continue;
        for (unsigned id = 0; id < threads; id++) {
            clsa_share(id, threads, clsa_row_items(rows), &begin, &end);
            clsa_item_rows(rows, &begin, &end);
            const uintptr_t from = (uintptr_t)t->data + begin * bytes;
            const uintptr_t to = (uintptr_t)t->data + end * bytes;
            const uintptr_t first = (from + page - 1) / page * page;
            const uintptr_t last = to / page * page;
            const unsigned node =
                clsa_team_os_node(team, clsa_team_node_of(team, id));
            if (first >= last)
                continue;
            on += count_on((unsigned char *)first, last - first, (int)node,
                           &wrong);
            if (wrong) {
                printf("FAIL %s: %s: %zu pages of rows of thread %u are not on "
                       "node %u\n",
                       what, t->name, wrong, id, node);
                failures++;
            }
        }
    }
    if (on == 0) {
        printf("FAIL %s: no page of weights was looked at\n", what);
        failures++;
    }
    printf("%s: %zu pages of weights in place\n", what, on);
}

static clsa_model *open_model(const char *path, const char *numa)
{
    clsa_model_options options;
    clsa_model *model;
    clsa_error error;

    clsa_model_options_init(&options);
    options.numa = numa;
    if ((path ? clsa_model_open(&model, path, &options, &error)
              : clsa_model_random(&model, &shape, CLSA_TYPE_F32, &options,
                                  &error)) != CLSA_OK)
        stop("model", &error);
    return model;
}

/* A token after `tokens` random ones; its logits. */
static const float *decode(clsa_model *model, const char *policy,
                           uint64_t tokens, clsa_session **session)
{
    clsa_session_options options;
    clsa_error error;

    clsa_session_options_init(&options);
    options.context = tokens + 10;
    options.attention = policy;
    if (clsa_session_open(session, model, &options, &error) != CLSA_OK)
        stop("session", &error);
    fill(*session, tokens);
    append(*session);
    return clsa_session_logits(*session);
}

/* A model computes what one without placement does. */
static void check_same(const char *what, const char *path, clsa_model *model)
{
    static const char *const policies[] = {"clsa", "dense"};
    clsa_model *off = open_model(path, "off");
    const uint64_t tokens = path ? 100 : 2 * CLSA_PAGE_ROWS;

    for (int i = 0; i < 2; i++) {
        clsa_session *a, *b;
        const float *x = decode(model, policies[i], tokens, &a);
        const float *y = decode(off, policies[i], tokens, &b);
        const bool same = memcmp(x, y, model->net.vocab * sizeof *x) == 0;
        printf("%s%s: logits of %s are %s\n", same ? "" : "FAIL ", what,
               policies[i], same ? "the same" : "others");
        failures += !same;
        clsa_session_close(a);
        clsa_session_close(b);
    }
    clsa_model_close(off);
}

/* Whether a model uses these nodes and no others. */
static void check_nodes(const struct clsa_team *team, int count, char **wanted)
{
    bool same = (unsigned)count == clsa_team_nodes(team);

    printf("%u threads, nodes", clsa_team_size(team));
    for (unsigned i = 0; i < clsa_team_nodes(team); i++) {
        const unsigned node = clsa_team_os_node(team, i);
        printf(" %u", node);
        same = same && (int)i < count && strtoul(wanted[i], NULL, 10) == node;
    }
    printf("\n");
    if (count && !same) {
        printf("FAIL nodes: not those of the arguments\n");
        failures++;
    }
}

static void check_file(const char *path)
{
    clsa_model *model = open_model(path, NULL);
    clsa_model_info info;

    clsa_model_get_info(model, &info, sizeof info);
    check_weights("file", model);
    printf("file: %llu bytes of %llu copied\n",
           (unsigned long long)info.placed_size,
           (unsigned long long)info.file_size);
    if (info.placed_size == 0)
        failures++;
    check_same("file", path, model);
    clsa_model_close(model);
}

/* Where memory cannot be bound there is one node, one notice, and the same
   logits. For good: the last check. */
static void check_refused(void)
{
#ifdef CLSA_SECCOMP
    struct sock_filter filter[] = {LOAD(nr), IF(SYS_mbind, 1),
                                   RETURN(SECCOMP_RET_ERRNO | EPERM),
                                   RETURN(SECCOMP_RET_ALLOW)};
    if (clsa_seccomp_install(filter, sizeof filter / sizeof *filter) == 0) {
        clsa_model *model = open_model(NULL, NULL);
        const char *notice = clsa_numa_notice(model->numa);
        printf("refused: %s\n", notice);
        if (!strstr(notice, "cannot be bound") ||
            clsa_team_nodes(model->team) != 1) {
            printf("FAIL refused: %u nodes\n", clsa_team_nodes(model->team));
            failures++;
        }
        check_same("refused", NULL, model);
        clsa_model_close(model);
        return;
    }
#endif
    printf("SKIP check_numa refused: this system does not let us refuse what "
           "binds memory\n");
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    clsa_model *model;

    if (argc > 2 && strcmp(argv[1], "-m") == 0) {
        path = argv[2];
        argc -= 2;
        argv += 2;
    }
    model = open_model(NULL, NULL);
    if (*clsa_numa_notice(model->numa))
        printf("notice: %s\n", clsa_numa_notice(model->numa));
    check_nodes(model->team, argc - 1, argv + 1);
    if (argc == 1 && clsa_team_nodes(model->team) < 2) {
        printf("SKIP check_numa: one memory node\n");
        clsa_model_close(model);
        return 77;
    }
    check_model(model);
    check_weights("random", model);
    check_same("random", NULL, model);
    clsa_model_close(model);
    if (path)
        check_file(path);
    check_refused();
    printf("%u failed\n", failures);
    return failures > 0;
}
