/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_numa [NODE]...: where the pages of the shared cache really lie, as the
 * kernel tells. Page p of a session has to lie on node p % nodes of its model,
 * and so do the pages that a fork copies, and those that come again after a
 * truncation. NODE...: the system's numbers of all nodes that a model has to
 * use, in order; without any, those that it does use. For numa-vm.sh; plain
 * main, as nothing but the C library may be missing in a machine.
 * Exit status: 0 passed, 1 failed, 77 skipped as there is one node.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clsa.h"
#include "src/engine/session.h"

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
    const struct clsa_cache *cache = &session->cache;
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
    if (clsa_cache_page(&fork->cache, PAGES - 1) ==
        clsa_cache_page(&session->cache, PAGES - 1)) {
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

int main(int argc, char **argv)
{
    clsa_model_options options;
    clsa_model *model;
    clsa_error error;

    clsa_model_options_init(&options);
    if (clsa_model_random(&model, &shape, CLSA_TYPE_F32, &options, &error) !=
        CLSA_OK)
        stop("model", &error);
    check_nodes(model->team, argc - 1, argv + 1);
    if (argc == 1 && clsa_team_nodes(model->team) < 2) {
        printf("skipped: one memory node\n");
        clsa_model_close(model);
        return 77;
    }
    check_model(model);
    clsa_model_close(model);
    printf("%u failed\n", failures);
    return failures > 0;
}
