/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: the K and V rows of all tokens, for one layer or for all layers that
 * read it, with index keys beside them where selections are made by them.
 *
 * It grows by pages of CLSA_PAGE_ROWS rows. In a page the index keys lie apart
 * from the K/V rows, so that a scan streams nothing but keys and scales:
 *
 *   rows   [CLSA_PAGE_ROWS][K: g][e] [V: g][e]  in the K/V format
 *   keys   [CLSA_PAGE_ROWS][e_i]                in the index format
 *   scales [CLSA_PAGE_ROWS] floats              (i8 keys only)
 *
 * Page p lies on memory node p % nodes of the team, keys and rows together, and
 * the threads of that node scan it (clsa_loop_spread).
 *
 * Forked caches share pages; a page that has several owners is never written:
 * clsa_cache_reserve copies it first.
 */
#ifndef CLSA_ENGINE_CACHE_H
#define CLSA_ENGINE_CACHE_H

#include "simd/simd.h"
#include "src/base/budget.h"
#include "src/base/team.h"
#include "src/model/network.h"

#define CLSA_PAGE_ROWS 4096

struct clsa_page;
struct clsa_scan;

/* Formats and sizes of the rows, the same for all pages of a cache. */
struct clsa_cache_layout {
    enum clsa_format kv; /* F32, F16, BF16 or Q8_0 */
    clsa_type index;     /* F32, BF16 or I8 */
    uint32_t kv_heads, head_dim;
    uint32_t index_dim; /* e_i; 0: no keys */
    size_t head_bytes;  /* one K or V row of one head */
    size_t row_bytes;   /* one row: K and V of all heads */
    size_t key_bytes;   /* one index key */
    size_t keys_at;     /* offset of the keys in a page */
    size_t scales_at;   /* offset of the scales */
    size_t page_bytes;
};

struct clsa_cache {
    struct clsa_cache_layout layout;
    const struct clsa_team *team; /* whose nodes hold the pages */
    struct clsa_budget *budget;   /* of the model, for pages */
    struct clsa_page **pages;
    size_t page_count, page_capacity;
    size_t dropped;  /* pages at the front that are no more there */
    uint64_t length; /* rows written */
};

struct clsa_store_options;

/* Room for the rows of options->context tokens; takes no page yet. */
clsa_status clsa_cache_open(struct clsa_cache *cache,
                            const struct clsa_store_plan *plan,
                            const struct clsa_store_options *options,
                            clsa_error *error);
void clsa_cache_close(struct clsa_cache *cache);

/* Make rows length .. length + count - 1 writable. Nothing changes on
   failure except spare pages. */
clsa_status clsa_cache_reserve(struct clsa_cache *cache, uint64_t count,
                               clsa_error *error);

/* Forget rows from `length` on, and the pages that hold only such rows. */
void clsa_cache_truncate(struct clsa_cache *cache, uint64_t length);

/* Give up the pages before the one that the next row goes to. */
void clsa_cache_drop(struct clsa_cache *cache);

/* Have `length` rows, none of which is there. `cache` is empty. */
void clsa_cache_skip(struct clsa_cache *cache, uint64_t length);

/* Let `to`, open and empty, share the rows of `from`. */
void clsa_cache_share(struct clsa_cache *to, const struct clsa_cache *from);

/*
 * For snapshots: a cache with the full pages of another one, all shared, and
 * the rows after them (the tail) packed into clsa_cache_tail_bytes. load_tail
 * makes a page of them in a cache that shares the full pages, up to `length`.
 */
clsa_status clsa_cache_open_shared(struct clsa_cache *to,
                                   const struct clsa_cache *from,
                                   clsa_error *error);
size_t clsa_cache_tail_bytes(const struct clsa_cache *cache);
void clsa_cache_save_tail(const struct clsa_cache *cache, unsigned char *tail);
clsa_status clsa_cache_load_tail(struct clsa_cache *cache,
                                 const unsigned char *tail, uint64_t length,
                                 clsa_error *error);

/* Bytes of the pages that no other cache shares. */
size_t clsa_cache_own_bytes(const struct clsa_cache *cache);

/* Bytes of the pages held, shared ones included. */
size_t clsa_cache_bytes(const struct clsa_cache *cache);

/* Bytes of the index key of a row, with its scale. */
size_t clsa_cache_key_bytes(const struct clsa_cache_layout *layout);

/* Start of page `i` < page_count. */
unsigned char *clsa_cache_page(const struct clsa_cache *cache, size_t i);

static inline unsigned char *clsa_cache_row(const struct clsa_cache *cache,
                                            uint64_t row)
{
    return clsa_cache_page(cache, row / CLSA_PAGE_ROWS) +
           row % CLSA_PAGE_ROWS * cache->layout.row_bytes;
}

/*
 * Write row `row` (reserved, not yet part of `length`). k, v: [g e]; key:
 * [e_i], NULL without an indexer. May run for different rows at once.
 */
void clsa_cache_write(struct clsa_cache *cache, const struct clsa_simd *simd,
                      uint64_t row, const float *k, const float *v,
                      const float *key);

/* Scores of rows first .. first + n - 1, all in one page. */
void clsa_cache_scan(const struct clsa_cache *cache,
                     const struct clsa_simd *simd, uint64_t first, size_t n,
                     const struct clsa_index_query *query, float *score);

/* The same by several queries: the sum over them, in their order, of weight *
   max(0, score). n <= CLSA_SCAN_RUN of index.h. */
void clsa_cache_scan_heads(const struct clsa_cache *cache,
                           const struct clsa_simd *simd, uint64_t first,
                           size_t n, const struct clsa_scan *scan,
                           float *score);

/* The same by the K of all heads, side by side: x [g e] . k. */
void clsa_cache_score(const struct clsa_cache *cache,
                      const struct clsa_simd *simd, uint64_t first, size_t n,
                      const float *x, float *score);

#endif /* CLSA_ENGINE_CACHE_H */
