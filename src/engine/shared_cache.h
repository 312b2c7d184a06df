/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_cache: the one KV cache of all cross-decoder layers. In the way of a
 * token: the second line, "append K, V, index key".
 *
 * It grows by pages of CLSA_PAGE_ROWS rows. In a page the index keys lie apart
 * from the K/V rows, so that a scan streams nothing but keys and scales:
 *
 *   rows   [CLSA_PAGE_ROWS][K: g][e] [V: g][e]  in the K/V format
 *   keys   [CLSA_PAGE_ROWS][e_i]                in the index format
 *   scales [CLSA_PAGE_ROWS] floats              (i8 keys only)
 *
 * Page p lies on memory node p % nodes of the team, keys and rows together, and
 * the threads of that node scan it (clsa_share_pages).
 *
 * Forked caches share pages; a page that has several owners is never written:
 * clsa_cache_reserve copies it first.
 */
#ifndef CLSA_ENGINE_SHARED_CACHE_H
#define CLSA_ENGINE_SHARED_CACHE_H

#include "simd/simd.h"
#include "src/base/budget.h"
#include "src/base/team.h"
#include "src/model/hparams.h"

#define CLSA_PAGE_ROWS 4096

struct clsa_page;

/* Formats and sizes of the rows, the same for all pages of a cache. */
struct clsa_cache_layout {
    enum clsa_format kv; /* F32, F16, BF16 or Q8_0 */
    clsa_type index;     /* F32, BF16 or I8 */
    uint32_t g, e;       /* KV heads and head size */
    uint32_t index_size; /* e_i; 0: no keys */
    size_t head_bytes;   /* one K or V row of one head */
    size_t row_bytes;    /* one row: K and V of all heads */
    size_t key_bytes;    /* one index key */
    size_t keys_at;      /* offset of the keys in a page */
    size_t scales_at;    /* offset of the scales */
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

/* Room for up to `context` rows; takes no page yet. */
clsa_status clsa_cache_open(struct clsa_cache *cache,
                            const struct clsa_team *team,
                            struct clsa_budget *budget,
                            const struct clsa_hparams *hp, clsa_type kv,
                            clsa_type index, uint64_t context,
                            clsa_error *error);
void clsa_cache_close(struct clsa_cache *cache);

/* Make rows length .. length + count - 1 writable. Nothing changes on
   failure but for spare pages. */
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

/* Bytes of the pages held, shared ones included. */
size_t clsa_cache_bytes(const struct clsa_cache *cache);

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

/* The same by the K of all heads, side by side: x [g e] . k. */
void clsa_cache_score(const struct clsa_cache *cache,
                      const struct clsa_simd *simd, uint64_t first, size_t n,
                      const float *x, float *score);

#endif /* CLSA_ENGINE_SHARED_CACHE_H */
