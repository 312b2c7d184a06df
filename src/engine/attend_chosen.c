/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention to chosen rows where they lie: if each layer has a cache of its
 * own, what layers share of a selection is the list alone. A thread takes a
 * part of the rows for all heads, and copies a few rows at a time to memory of
 * its own that stays in L2: a row is read from memory once, K and V of all
 * heads, and the heads find theirs side by side.
 */
#include "src/base/minmax.h"
#include "src/engine/attention.h"

#define STAGE_ROWS 64

static size_t stage_rows(const struct clsa_cache_layout *l)
{
    return clsa_attend_fitting(l, STAGE_ROWS);
}

static size_t plane_bytes(const struct clsa_cache_layout *l)
{
    return stage_rows(l) * l->head_bytes + CLSA_PLANE_GAP;
}

size_t clsa_stage_bytes(const struct clsa_cache_layout *layout)
{
    return clsa_round_up(2 * layout->kv_heads * plane_bytes(layout),
                         CLSA_CACHE_LINE);
}

/* n of the rows of a list, into the stage of the worker. */
static void fetch(const struct clsa_pass *p, const struct clsa_cache *cache,
                  const uint32_t *list, size_t n, unsigned char *stage)
{
    const unsigned char *from[STAGE_ROWS];
    uint32_t slot[STAGE_ROWS];
    const struct clsa_gather g = {.from = from,
                                  .slot = slot,
                                  .to = stage,
                                  .n = n,
                                  .planes = 2 * (size_t)cache->layout.kv_heads,
                                  .row_bytes = cache->layout.head_bytes,
                                  .plane_bytes = plane_bytes(&cache->layout)};
    for (size_t i = 0; i < n; i++) {
        from[i] = clsa_cache_row(cache, list[i]);
        slot[i] = (uint32_t)i;
    }
    p->simd->gather(&g);
}

void clsa_attend_chosen(const struct clsa_pass *p,
                        const struct clsa_attention *a, size_t i, size_t part)
{
    const struct clsa_step_token *token = clsa_pass_token(p, i);
    const struct clsa_cache *cache = clsa_token_cache(token, p->layer);
    const struct clsa_cache_layout *l = &cache->layout;
    const struct clsa_scratch *s = p->model->scratch;
    struct clsa_attend_scratch *own = p->w->scratch;
    unsigned char *stage = s->stage + p->w->id * s->stage_bytes;
    const size_t each = stage_rows(l), plane = plane_bytes(l);
    const size_t begin = part * CLSA_ATTEND_ROWS;
    const size_t end = clsa_min(begin + CLSA_ATTEND_ROWS, token->set->n);
    for (size_t first = begin, n; first < end; first += n) {
        n = clsa_min(each, end - first);
        fetch(p, cache, token->set->rows + first, n, stage);
        for (uint32_t head = 0; head < l->kv_heads; head++)
            clsa_attend_rows(
                p, a, &(struct clsa_attend_item){i, first, n, head}, l->kv,
                &(struct clsa_rows){.k = stage + head * plane,
                                    .v = stage + (l->kv_heads + head) * plane,
                                    .stride = l->head_bytes,
                                    .n = n,
                                    .scratch = own->kernel,
                                    .cap = p->layer->softcap});
    }
}
