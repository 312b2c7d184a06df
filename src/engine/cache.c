/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a cache: taking, sharing, writing and scanning them. */
#include <stdatomic.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/index.h"
#include "src/engine/store.h"

struct clsa_page {
    atomic_uint owners;
    unsigned char *data; /* [layout.page_bytes] */
};

static void set_layout(struct clsa_cache_layout *l)
{
    l->head_bytes = clsa_format_bytes(l->kv, l->head_dim);
    l->row_bytes = 2 * l->kv_heads * l->head_bytes;
    size_t key = l->index == CLSA_TYPE_F32  ? 4
                 : l->index == CLSA_TYPE_I8 ? 1
                                            : 2;
    l->key_bytes = key * l->index_dim;
    l->keys_at = clsa_round_up(CLSA_PAGE_ROWS * l->row_bytes, CLSA_CACHE_LINE);
    l->scales_at = clsa_round_up(l->keys_at + CLSA_PAGE_ROWS * l->key_bytes,
                                 CLSA_CACHE_LINE);
    bool scaled = l->index == CLSA_TYPE_I8 && l->index_dim;
    l->page_bytes =
        l->scales_at + (scaled ? CLSA_PAGE_ROWS * sizeof(float) : 0);
}

static clsa_status kv_format(clsa_type type, uint32_t e,
                             enum clsa_format *format, clsa_error *error)
{
    switch (type) {
    case CLSA_TYPE_F32:
        *format = CLSA_F32;
        return CLSA_OK;
    case CLSA_TYPE_F16:
        *format = CLSA_F16;
        return CLSA_OK;
    case CLSA_TYPE_BF16:
        *format = CLSA_BF16;
        return CLSA_OK;
    case CLSA_TYPE_Q8_0:
        if (e % CLSA_BLOCK)
            return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                             "cache type q8_0 needs a head size that is a "
                             "multiple of 32, this model has %u: use bf16",
                             e);
        *format = CLSA_Q8_0;
        return CLSA_OK;
    default:
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "cache type %d: use f32, f16, bf16 or q8_0",
                         (int)type);
    }
}

clsa_status clsa_cache_open(struct clsa_cache *cache,
                            const struct clsa_store_plan *plan,
                            const struct clsa_store_options *options,
                            clsa_error *error)
{
    const clsa_type index = options->index;
    struct clsa_cache c = {
        .layout = {.index = index,
                   .kv_heads = plan->kv_heads,
                   .head_dim = plan->head_dim,
                   .index_dim = plan->index_dim},
        .team = options->team,
        .budget = options->budget,
        .page_capacity = (size_t)(options->context / CLSA_PAGE_ROWS + 1),
    };
    CLSA_TRY(kv_format(options->kv, plan->head_dim, &c.layout.kv, error));
    if (index != CLSA_TYPE_F32 && index != CLSA_TYPE_BF16 &&
        index != CLSA_TYPE_I8)
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "index type %d: use f32, bf16 or i8", (int)index);
    set_layout(&c.layout);
    c.pages = clsa_mem_calloc(c.page_capacity, sizeof *c.pages);
    if (!c.pages)
        return clsa_fail_memory(error, "the table of cache pages",
                                c.page_capacity * sizeof *c.pages);
    *cache = c;
    return CLSA_OK;
}

static void page_release(const struct clsa_cache *cache, struct clsa_page *page)
{
    const size_t bytes = cache->layout.page_bytes;
    if (!page || atomic_fetch_sub(&page->owners, 1) > 1)
        return;
    clsa_budget_unmap(cache->budget, page->data, bytes);
    clsa_mem_free(page);
}

/* Page i of a cache, on the node that the pages of this number belong to. */
static clsa_status page_new(const struct clsa_cache *cache, size_t i,
                            struct clsa_page **new, clsa_error *error)
{
    size_t bytes = cache->layout.page_bytes;
    struct clsa_page *page = clsa_mem_calloc(1, sizeof *page);
    if (!page)
        return clsa_fail_memory(error, "a cache page", sizeof *page);
    page->data = clsa_budget_map(cache->budget, bytes, "a cache page", error);
    if (!page->data) {
        clsa_mem_free(page);
        return CLSA_ERR_MEMORY;
    }
    atomic_init(&page->owners, 1);
    clsa_team_bind(cache->team, page->data, bytes,
                   (unsigned)(i % clsa_team_nodes(cache->team)));
    *new = page;
    return CLSA_OK;
}

void clsa_cache_close(struct clsa_cache *cache)
{
    clsa_cache_truncate(cache, 0);
    clsa_mem_free(cache->pages);
    cache->pages = NULL;
}

unsigned char *clsa_cache_page(const struct clsa_cache *cache, size_t i)
{
    return cache->pages[i]->data;
}

/* Bytes of the first n rows of a page without the room between its parts. */
static size_t packed_bytes(const struct clsa_cache_layout *l, size_t n)
{
    const bool scaled = l->page_bytes > l->scales_at;
    return n * (l->row_bytes + l->key_bytes + (scaled ? sizeof(float) : 0));
}

/* The first n rows of a page, its three parts one after the other. */
static void pack(const struct clsa_cache_layout *l, unsigned char *to,
                 const unsigned char *page, size_t n)
{
    memcpy(to, page, n * l->row_bytes);
    to += n * l->row_bytes;
    memcpy(to, page + l->keys_at, n * l->key_bytes);
    if (l->page_bytes > l->scales_at)
        memcpy(to + n * l->key_bytes, page + l->scales_at, n * sizeof(float));
}

static void unpack(const struct clsa_cache_layout *l, unsigned char *page,
                   const unsigned char *from, size_t n)
{
    memcpy(page, from, n * l->row_bytes);
    from += n * l->row_bytes;
    memcpy(page + l->keys_at, from, n * l->key_bytes);
    if (l->page_bytes > l->scales_at)
        memcpy(page + l->scales_at, from + n * l->key_bytes, n * sizeof(float));
}

/* Replaces the last page by a copy of our own where others use it too. */
static clsa_status own_last_page(struct clsa_cache *cache, clsa_error *error)
{
    size_t used = cache->length % CLSA_PAGE_ROWS;
    struct clsa_page **last = &cache->pages[cache->length / CLSA_PAGE_ROWS];
    const struct clsa_cache_layout *l = &cache->layout;
    if (used == 0 || !*last || atomic_load(&(*last)->owners) == 1)
        return CLSA_OK;
    struct clsa_page *page;
    CLSA_TRY(page_new(cache, cache->length / CLSA_PAGE_ROWS, &page, error));
    memcpy(page->data, (*last)->data, used * l->row_bytes);
    memcpy(page->data + l->keys_at, (*last)->data + l->keys_at,
           used * l->key_bytes);
    if (l->page_bytes > l->scales_at)
        memcpy(page->data + l->scales_at, (*last)->data + l->scales_at,
               used * sizeof(float));
    page_release(cache, *last);
    *last = page;
    return CLSA_OK;
}

clsa_status clsa_cache_reserve(struct clsa_cache *cache, uint64_t count,
                               clsa_error *error)
{
    CLSA_TRY(own_last_page(cache, error));
    size_t next = (size_t)(cache->length / CLSA_PAGE_ROWS);
    if (next < cache->page_count && !cache->pages[next]) {
        CLSA_TRY(page_new(cache, next, &cache->pages[next], error));
        cache->dropped = next;
    }
    while (cache->page_count * CLSA_PAGE_ROWS < cache->length + count) {
        struct clsa_page *page;
        CLSA_TRY(page_new(cache, cache->page_count, &page, error));
        cache->pages[cache->page_count++] = page;
    }
    return CLSA_OK;
}

void clsa_cache_truncate(struct clsa_cache *cache, uint64_t length)
{
    size_t keep = (size_t)((length + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS);
    while (cache->page_count > keep)
        page_release(cache, cache->pages[--cache->page_count]);
    cache->length = length;
    if (cache->dropped > keep)
        cache->dropped = keep;
}

void clsa_cache_drop(struct clsa_cache *cache)
{
    size_t next = (size_t)(cache->length / CLSA_PAGE_ROWS);
    for (; cache->dropped < next; cache->dropped++) {
        page_release(cache, cache->pages[cache->dropped]);
        cache->pages[cache->dropped] = NULL;
    }
}

void clsa_cache_skip(struct clsa_cache *cache, uint64_t length)
{
    cache->page_count = cache->dropped =
        (size_t)((length + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS);
    cache->length = length;
}

void clsa_cache_share(struct clsa_cache *to, const struct clsa_cache *from)
{
    size_t n = (size_t)((from->length + CLSA_PAGE_ROWS - 1) / CLSA_PAGE_ROWS);
    for (size_t i = 0; i < n; i++) {
        if (from->pages[i])
            atomic_fetch_add(&from->pages[i]->owners, 1);
        to->pages[i] = from->pages[i];
    }
    to->page_count = n;
    to->length = from->length;
    to->dropped = from->dropped;
}

clsa_status clsa_cache_open_shared(struct clsa_cache *to,
                                   const struct clsa_cache *from,
                                   clsa_error *error)
{
    const size_t full = (size_t)(from->length / CLSA_PAGE_ROWS);
    struct clsa_cache c = *from;
    c.page_capacity = full + 1;
    c.pages = clsa_mem_calloc(c.page_capacity, sizeof *c.pages);
    if (!c.pages)
        return clsa_fail_memory(error, "the table of cache pages",
                                c.page_capacity * sizeof *c.pages);
    *to = c;
    to->length = full * CLSA_PAGE_ROWS;
    for (to->page_count = 0; to->page_count < full; to->page_count++) {
        to->pages[to->page_count] = from->pages[to->page_count];
        atomic_fetch_add(&to->pages[to->page_count]->owners, 1);
    }
    return CLSA_OK;
}

size_t clsa_cache_tail_bytes(const struct clsa_cache *cache)
{
    return packed_bytes(&cache->layout,
                        (size_t)(cache->length % CLSA_PAGE_ROWS));
}

void clsa_cache_save_tail(const struct clsa_cache *cache, unsigned char *tail)
{
    const size_t n = (size_t)(cache->length % CLSA_PAGE_ROWS);
    if (n > 0)
        pack(&cache->layout, tail,
             clsa_cache_page(cache, (size_t)(cache->length / CLSA_PAGE_ROWS)),
             n);
}

clsa_status clsa_cache_load_tail(struct clsa_cache *cache,
                                 const unsigned char *tail, uint64_t length,
                                 clsa_error *error)
{
    const size_t n = (size_t)(length - cache->length);
    if (n == 0)
        return CLSA_OK;
    CLSA_TRY(clsa_cache_reserve(cache, n, error));
    unpack(&cache->layout,
           clsa_cache_page(cache, (size_t)(cache->length / CLSA_PAGE_ROWS)),
           tail, n);
    cache->length = length;
    return CLSA_OK;
}

size_t clsa_cache_own_bytes(const struct clsa_cache *cache)
{
    size_t own = 0;
    for (size_t i = 0; i < cache->page_count; i++)
        own += cache->pages[i] && atomic_load(&cache->pages[i]->owners) == 1;
    return own * cache->layout.page_bytes;
}

size_t clsa_cache_key_bytes(const struct clsa_cache_layout *layout)
{
    const bool scaled = layout->page_bytes > layout->scales_at;
    return layout->key_bytes + (scaled ? sizeof(float) : 0);
}

size_t clsa_cache_bytes(const struct clsa_cache *cache)
{
    return (cache->page_count - cache->dropped) * cache->layout.page_bytes;
}

void clsa_cache_write(struct clsa_cache *cache, const struct clsa_simd *simd,
                      uint64_t row, const float *k, const float *v,
                      const float *key)
{
    const struct clsa_cache_layout *l = &cache->layout;
    unsigned char *page = clsa_cache_page(cache, row / CLSA_PAGE_ROWS);
    size_t i = row % CLSA_PAGE_ROWS, n = (size_t)l->kv_heads * l->head_dim;
    unsigned char *at = page + i * l->row_bytes;
    simd->store[l->kv](at, k, n);
    simd->store[l->kv](at + l->row_bytes / 2, v, n);
    if (!key)
        return;
    unsigned char *keys = page + l->keys_at + i * l->key_bytes;
    if (l->index == CLSA_TYPE_I8)
        simd->quantize_row((int8_t *)keys, (float *)(page + l->scales_at) + i,
                           key, l->index_dim, 127.0f);
    else
        simd->store[l->index == CLSA_TYPE_F32 ? CLSA_F32 : CLSA_BF16](
            keys, key, l->index_dim);
}

void clsa_cache_scan(const struct clsa_cache *cache,
                     const struct clsa_simd *simd, uint64_t first, size_t n,
                     const struct clsa_index_query *query, float *score)
{
    const struct clsa_cache_layout *l = &cache->layout;
    const unsigned char *page = clsa_cache_page(cache, first / CLSA_PAGE_ROWS);
    size_t i = first % CLSA_PAGE_ROWS;
    const void *keys = page + l->keys_at + i * l->key_bytes;
    if (l->index == CLSA_TYPE_I8)
        simd->scan_i8(score, keys, (const float *)(page + l->scales_at) + i, n,
                      l->index_dim, query);
    else if (l->index == CLSA_TYPE_F32)
        simd->scan_f32(score, keys, n, l->index_dim, query);
    else
        simd->scan_bf16(score, keys, n, l->index_dim, query);
}

/* By several heads at once, keys of i8. */
static void scan_many(const struct clsa_cache *cache,
                      const struct clsa_simd *simd, uint64_t first, size_t n,
                      const struct clsa_index_heads *query, float *score)
{
    const struct clsa_cache_layout *l = &cache->layout;
    const unsigned char *page = clsa_cache_page(cache, first / CLSA_PAGE_ROWS);
    const size_t i = first % CLSA_PAGE_ROWS;
    simd->scan_heads(
        score, (const int8_t *)page + l->keys_at + i * l->key_bytes,
        (const float *)(page + l->scales_at) + i, n, l->index_dim, query);
}

void clsa_cache_scan_heads(const struct clsa_cache *cache,
                           const struct clsa_simd *simd, uint64_t first,
                           size_t n, const struct clsa_scan *scan, float *score)
{
    float one[CLSA_SCAN_RUN];
    if (cache->layout.index == CLSA_TYPE_I8) {
        scan_many(cache, simd, first, n, scan->many, score);
        return;
    }
    for (size_t i = 0; i < n; i++)
        score[i] = 0;
    for (size_t h = 0; h < scan->heads; h++) {
        const float weight = scan->weights[h];
        clsa_cache_scan(cache, simd, first, n, &scan->query[h], one);
        for (size_t i = 0; i < n; i++)
            score[i] += weight * (one[i] > 0 ? one[i] : 0.0f);
    }
}

void clsa_cache_score(const struct clsa_cache *cache,
                      const struct clsa_simd *simd, uint64_t first, size_t n,
                      const float *x, float *score)
{
    const struct clsa_cache_layout *l = &cache->layout;
    const struct clsa_rows rows = {
        .k = clsa_cache_row(cache, first), .stride = l->row_bytes, .n = n};
    simd->score[l->kv](score, x, (size_t)l->kv_heads * l->head_dim, &rows);
}
