/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merging of byte-pair encoding; called by the tokenizer for each piece.
 *
 * Short pieces, nearly all of a text, scan an array on the stack for the
 * lowest rank. Longer ones are a linked list of symbols and a heap of merge
 * candidates (rank << 32 | position). A candidate is stale exactly when its
 * position no longer has its rank: where it has, that pair is due, whichever
 * rule of that rank it is now.
 */
#include <string.h>

#include "src/base/mem.h"
#include "src/model/bpe.h"

#define SHORT_PIECE 32

struct clsa_bpe_node {
    uint32_t prev, next; /* positions, CLSA_BPE_NONE at the ends */
    uint32_t rank;       /* of the pair with `next`, CLSA_BPE_NONE: no rule */
    uint32_t merged;     /* what that pair becomes */
};

clsa_status clsa_bpe_open(struct clsa_bpe *bpe, size_t rules, clsa_error *error)
{
    size_t slots = 16, wanted;
    if (rules >= CLSA_BPE_NONE || !clsa_size_add(rules, rules / 2, &wanted))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%zu merge rules are too many", rules);
    while (slots <= wanted)
        if (!clsa_size_mul(slots, 2, &slots))
            return clsa_fail_memory(error, "merge rules", wanted);
    bpe->slots = clsa_mem_calloc(slots, sizeof *bpe->slots);
    if (!bpe->slots)
        return clsa_fail_memory(error, "merge rules", slots);
    for (size_t i = 0; i < slots; i++)
        bpe->slots[i].rank = CLSA_BPE_NONE;
    bpe->mask = slots - 1;
    return CLSA_OK;
}

void clsa_bpe_close(struct clsa_bpe *bpe)
{
    clsa_mem_free(bpe->slots);
    bpe->slots = NULL;
}

/* The slot of a pair: its rule, or the free one where it would go. */
static struct clsa_bpe_rule *find(const struct clsa_bpe *bpe, uint32_t left,
                                  uint32_t right, uint64_t *steps)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(hash ^ hash >> 32) & bpe->mask;
    for (;; i = (i + 1) & bpe->mask) {
        struct clsa_bpe_rule *rule = &bpe->slots[i];
        ++*steps;
        if (rule->rank == CLSA_BPE_NONE ||
            (rule->left == left && rule->right == right))
            return rule;
    }
}

bool clsa_bpe_add(struct clsa_bpe *bpe, uint32_t left, uint32_t right,
                  uint32_t rank, uint32_t merged)
{
    uint64_t steps = 0;
    struct clsa_bpe_rule *rule = find(bpe, left, right, &steps);
    if (rule->rank != CLSA_BPE_NONE)
        return false;
    *rule = (struct clsa_bpe_rule){left, right, rank, merged};
    return true;
}

static size_t merge_short(const struct clsa_bpe *bpe, int32_t *ids, size_t n,
                          uint64_t *steps)
{
    const struct clsa_bpe_rule *rules[SHORT_PIECE]; /* of i and i + 1 */
    for (size_t i = 0; i + 1 < n; i++)
        rules[i] = find(bpe, (uint32_t)ids[i], (uint32_t)ids[i + 1], steps);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rules[i]->rank < rules[best]->rank)
                best = i;
        if (rules[best]->rank == CLSA_BPE_NONE)
            break;
        uint32_t id = rules[best]->merged;
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        memmove(rules + best, rules + best + 1, (n - best - 1) * sizeof *rules);
        ids[best] = (int32_t)id;
        if (best > 0)
            rules[best - 1] = find(bpe, (uint32_t)ids[best - 1], id, steps);
        if (best + 1 < n)
            rules[best] = find(bpe, id, (uint32_t)ids[best + 1], steps);
    }
    return n;
}

/* One long piece being merged. */
struct piece {
    const struct clsa_bpe *bpe;
    int32_t *ids;                /* by position */
    struct clsa_bpe_node *nodes; /* by position */
    uint64_t *heap;              /* smallest first */
    size_t candidates;           /* in the heap */
    uint64_t steps;
};

static void sift_down(struct piece *piece, size_t i)
{
    uint64_t *heap = piece->heap, moved = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        piece->steps++;
        if (child >= piece->candidates)
            break;
        if (child + 1 < piece->candidates && heap[child + 1] < heap[child])
            child++;
        if (moved <= heap[child])
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static void push(struct piece *piece, uint64_t candidate)
{
    uint64_t *heap = piece->heap;
    size_t i = piece->candidates++;
    while (i > 0 && heap[(i - 1) / 2] > candidate) {
        piece->steps++;
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = candidate;
}

static uint64_t pop(struct piece *piece)
{
    uint64_t first = piece->heap[0];
    piece->heap[0] = piece->heap[--piece->candidates];
    if (piece->candidates > 0)
        sift_down(piece, 0);
    return first;
}

static uint64_t candidate(const struct piece *piece, uint32_t i)
{
    return (uint64_t)piece->nodes[i].rank << 32 | i;
}

/* Looks up the rule of the pair that starts at i; false: there is none. */
static bool pair(struct piece *piece, uint32_t i)
{
    struct clsa_bpe_node *node = &piece->nodes[i];
    node->rank = CLSA_BPE_NONE;
    if (node->next == CLSA_BPE_NONE)
        return false;
    const struct clsa_bpe_rule *rule =
        find(piece->bpe, (uint32_t)piece->ids[i],
             (uint32_t)piece->ids[node->next], &piece->steps);
    node->rank = rule->rank;
    node->merged = rule->merged;
    return rule->rank != CLSA_BPE_NONE;
}

static void link_all(struct piece *piece, size_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        piece->nodes[i].prev = i > 0 ? i - 1 : CLSA_BPE_NONE;
        piece->nodes[i].next = i + 1 < n ? i + 1 : CLSA_BPE_NONE;
        if (pair(piece, i))
            piece->heap[piece->candidates++] = candidate(piece, i);
    }
    for (size_t i = piece->candidates / 2; i-- > 0;)
        sift_down(piece, i);
}

/* Merges position i with its neighbor, which then is no symbol any more. */
static void join(struct piece *piece, uint32_t i)
{
    struct clsa_bpe_node *node = &piece->nodes[i];
    struct clsa_bpe_node *gone = &piece->nodes[node->next];
    piece->ids[i] = (int32_t)node->merged;
    gone->rank = CLSA_BPE_NONE;
    node->next = gone->next;
    if (node->next != CLSA_BPE_NONE)
        piece->nodes[node->next].prev = i;
    if (pair(piece, i))
        push(piece, candidate(piece, i));
    if (node->prev != CLSA_BPE_NONE && pair(piece, node->prev))
        push(piece, candidate(piece, node->prev));
}

/* A merge takes one candidate out and puts at most two in, and there are at
   most n - 1 merges: the heap never holds 2 n. */
static size_t merge_long(struct piece *piece, size_t n)
{
    link_all(piece, n);
    while (piece->candidates > 0) {
        uint64_t top = pop(piece);
        uint32_t i = (uint32_t)top;
        if (piece->nodes[i].rank == top >> 32)
            join(piece, i);
    }
    size_t count = 0;
    for (uint32_t i = 0; i != CLSA_BPE_NONE; i = piece->nodes[i].next)
        piece->ids[count++] = piece->ids[i];
    return count;
}

static clsa_status reserve(struct clsa_bpe_scratch *scratch, size_t n,
                           clsa_error *error)
{
    if (n <= scratch->capacity)
        return CLSA_OK;
    clsa_bpe_scratch_free(scratch);
    scratch->nodes = clsa_mem_calloc(n, sizeof *scratch->nodes);
    scratch->heap = clsa_mem_calloc(n, 2 * sizeof *scratch->heap);
    if (!scratch->nodes || !scratch->heap) {
        clsa_bpe_scratch_free(scratch);
        return clsa_fail_memory(error, "merging", n);
    }
    scratch->capacity = n;
    return CLSA_OK;
}

clsa_status clsa_bpe_merge(const struct clsa_bpe *bpe,
                           struct clsa_bpe_scratch *scratch, int32_t *ids,
                           size_t *count, clsa_error *error)
{
    if (*count <= SHORT_PIECE) {
        *count = merge_short(bpe, ids, *count, &scratch->steps);
        return CLSA_OK;
    }
    CLSA_TRY(reserve(scratch, *count, error));
    struct piece piece = {
        .bpe = bpe,
        .ids = ids,
        .nodes = scratch->nodes,
        .heap = scratch->heap,
    };
    *count = merge_long(&piece, *count);
    scratch->steps += piece.steps;
    return CLSA_OK;
}

void clsa_bpe_scratch_free(struct clsa_bpe_scratch *scratch)
{
    clsa_mem_free(scratch->nodes);
    clsa_mem_free(scratch->heap);
    scratch->nodes = NULL;
    scratch->heap = NULL;
    scratch->capacity = 0;
}
