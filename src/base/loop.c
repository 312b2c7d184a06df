/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares, chunks of them, and the end of a loop.
 *
 * A seat's claims are one word: number of the loop, chunks taken from the
 * front by the owner of the share, chunks taken from the end by others. A word
 * of an earlier loop counts as nothing taken. So claims need no preparation:
 * whoever comes first to a loop may take chunks of any share.
 */
#include "src/base/clock.h"
#include "src/base/loop.h"
#include "src/base/team_parts.h"

/* Chunks of a share. The owner takes three quarters of what is left of them at
   a time: few takes, as kernels prepare something for every call. */
#define CHUNKS 16

/* Turns of waiting before a thread takes chunks of others: who is nearly done
   with them does them best. */
#define TURNS 100

void clsa_loop_spread(struct clsa_loop *loop, clsa_items_on_node *on_node,
                      const void *context)
{
    const unsigned nodes = loop->w->nodes < 2 ? 1 : loop->w->nodes;
    size_t n = 0;
    for (unsigned i = 0; i < nodes; i++)
        n += on_node(context, i, nodes);
    clsa_loop_add(loop, n);
    loop->items[loop->parts - 1].on_node = on_node;
    loop->items[loop->parts - 1].context = context;
}

/* ----------------------------------------------------------------- shares */

static unsigned node_of(const struct clsa_worker *w, unsigned id)
{
    return id == w->id ? w->node : w->nodes >= 2 ? w->team->place[id].node : 0;
}

/* The share of a thread in a part. */
static void share_of(const struct clsa_loop *ph, unsigned part, unsigned id,
                     size_t *begin, size_t *end)
{
    const struct clsa_worker *w = ph->w;
    if (!ph->items[part].on_node || w->nodes < 2) {
        clsa_share(id, w->count, ph->items[part].n, begin, end);
        return;
    }
    const unsigned node = node_of(w, id);
    const bool self = id == w->id;
    clsa_share(self ? w->rank : w->team->place[id].rank,
               self ? w->ranks : w->team->ranks[node],
               ph->items[part].on_node(ph->items[part].context, node, w->nodes),
               begin, end);
}

static size_t share_size(const struct clsa_loop *ph, unsigned id)
{
    size_t size = 0, begin, end;
    for (unsigned i = 0; i < ph->parts; i++) {
        share_of(ph, i, id, &begin, &end);
        size += end - begin;
    }
    return size;
}

/* The next items of what was taken: of one part. */
static void hand_out(struct clsa_loop *ph)
{
    size_t from = 0, begin, end;
    unsigned i = 0;
    for (;; i++, from += end - begin) {
        share_of(ph, i, ph->owner, &begin, &end);
        if (ph->at < from + (end - begin))
            break;
    }
    ph->part = i;
    ph->node = node_of(ph->w, ph->owner);
    ph->begin = begin + (ph->at - from);
    ph->end = clsa_min(end, begin + (ph->stop - from));
    ph->at += ph->end - ph->begin;
    ph->did += ph->end - ph->begin;
}

/* ----------------------------------------------------------------- claims */

/* Takes chunks of a share: the owner from its front, others one from its end.
   False: none are left. */
static bool take(struct clsa_loop *ph, unsigned id)
{
    struct clsa_seat *seat = &ph->w->team->meeting.seat[id];
    const size_t size = share_size(ph, id);
    const unsigned chunks = (unsigned)clsa_min(size, CHUNKS);
    const bool own = id == ph->w->id;
    uint64_t old = atomic_load_explicit(&seat->claims, memory_order_relaxed);
    unsigned front, back, n;
    do {
        if (old >> 16 > ph->number)
            return false;
        const bool ours = old >> 16 == ph->number;
        front = ours ? old >> 8 & 255 : 0;
        back = ours ? old & 255 : 0;
        if (front + back == chunks)
            return false;
        n = own ? (3 * (chunks - front - back) + 3) / 4 : 1;
    } while (!atomic_compare_exchange_weak_explicit(
        &seat->claims, &old,
        ph->number << 16 | (front + (own ? n : 0)) << 8 | (back + !own),
        memory_order_relaxed, memory_order_relaxed));
    const unsigned first = own ? front : chunks - back - 1;
    ph->own_taken = ph->own_taken || front + back + n == chunks;
    ph->owner = id;
    ph->at = size * first / chunks;
    ph->stop = size * (first + n) / chunks;
    return true;
}

/* Takes a chunk of somebody else: of the own node, if there is one. */
static bool steal(struct clsa_loop *ph)
{
    const struct clsa_worker *w = ph->w;
    for (unsigned far = 0; far <= (w->nodes >= 2); far++)
        for (unsigned i = 1; i < w->count; i++) {
            const unsigned id = (w->id + i) % w->count;
            if ((node_of(w, id) != w->node) == far && take(ph, id))
                return true;
        }
    return false;
}

/* ---------------------------------------------------------------- the end */

static bool is_over(const struct clsa_loop *ph)
{
    return atomic_load_explicit(&ph->w->team->meeting.passed,
                                memory_order_acquire) >= ph->number;
}

/* What this thread did is done; who does the last item ends the loop. */
static void report(struct clsa_loop *ph)
{
    struct clsa_meeting *m = &ph->w->team->meeting;
    struct clsa_seat *seat = &m->seat[ph->w->id];
    if (ph->did) {
        const uint64_t done =
            ph->did +
            atomic_fetch_add_explicit(&m->done, ph->did, memory_order_acq_rel);
        ph->did = 0;
        if (done == ph->w->turn->expected) {
            atomic_store(&m->passed, ph->number);
            clsa_wait_over(m);
        }
    }
    atomic_store_explicit(&seat->busy, 0, memory_order_release);
    clsa_seat_return(seat);
}

static void set_busy(const struct clsa_loop *ph)
{
    atomic_store_explicit(&ph->w->team->meeting.seat[ph->w->id].busy,
                          ph->number, memory_order_release);
}

static bool steal_or_wait(struct clsa_loop *ph)
{
    struct clsa_meeting *m = &ph->w->team->meeting;
    struct clsa_patience wait = {0};
    for (; !is_over(ph);
         clsa_wait(m, ph->w->id, &wait, &m->passed, ph->number)) {
        if (ph->all_taken || (!ph->steals && wait.turns < TURNS))
            continue;
        set_busy(ph);
        ph->steals = true;
        if (steal(ph))
            return true;
        ph->all_taken = true;
        atomic_store_explicit(&m->seat[ph->w->id].busy, 0,
                              memory_order_release);
    }
    return false;
}

/* The same, with the time that it takes for those who measure. */
static bool steal_or_end(struct clsa_loop *ph)
{
    uint64_t *waited = ph->w->waited;
    if (!waited)
        return steal_or_wait(ph);
    const uint64_t start = clsa_clock();
    const bool more = steal_or_wait(ph);
    *waited += clsa_clock() - start;
    return more;
}

static bool is_alone(const struct clsa_worker *w)
{
    return w->count == 1 || !w->turn;
}

static void begin(struct clsa_loop *ph)
{
    uint64_t n = 0;
    ph->begun = true;
    ph->owner = ph->w->id;
    if (is_alone(ph->w)) {
        ph->stop = share_size(ph, ph->w->id);
        ph->over = true;
        return;
    }
    for (unsigned i = 0; i < ph->parts; i++)
        n += ph->items[i].n;
    ph->number = ++ph->w->turn->loop;
    ph->w->turn->expected += n;
    ph->over = n == 0 || is_over(ph);
    if (!ph->over)
        set_busy(ph);
}

bool clsa_loop_next(struct clsa_loop *ph)
{
    if (!ph->begun)
        begin(ph);
    if (ph->at == ph->stop) {
        if (ph->over)
            return false;
        if (ph->own_taken || !take(ph, ph->w->id)) {
            ph->own_taken = true;
            report(ph);
            ph->over = !steal_or_end(ph);
            if (ph->over)
                return false;
        }
    }
    hand_out(ph);
    return true;
}
