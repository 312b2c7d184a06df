/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topk.c: exact top-k selection of ranks, AVX2.
 *
 * Selection is a quickselect without branches on data. Each round takes two
 * pivots from a small sample that bracket the k-th largest, counts what lies
 * above each of them, and compresses the part that holds the k-th to the
 * front: about an eighth of it. A bracket that misses still leaves less. Many
 * ranks are narrowed down by a larger sample before.
 */
#include <math.h>

#include "simd/avx2/avx2.h"

enum {
    SAMPLE = 32,   /* ranks; from this size on a sort decides */
    AROUND = 2,    /* of the sample, to either side of the k-th */
    NARROW = 1024, /* ranks of the sample that many are narrowed down by */
};

/* AVX2 compares signed integers: all ranks are read with this bit changed. */
#define SIGN (INT64_C(-0x7fffffffffffffff) - 1)

INLINE __m256i load4(const uint64_t *v)
{
    return _mm256_loadu_si256((const __m256i *)v);
}

INLINE unsigned bits4(__m256i mask)
{
    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(mask));
}

/* The chosen lanes to out, which has room for all four; returns how many. */
INLINE size_t compress4(uint64_t *out, __m256i v, unsigned bits)
{
    static const uint32_t lanes[16][8] = {
#define PAIR(i) 2 * (i), 2 * (i) + 1
        {0},
        {PAIR(0)},
        {PAIR(1)},
        {PAIR(0), PAIR(1)},
        {PAIR(2)},
        {PAIR(0), PAIR(2)},
        {PAIR(1), PAIR(2)},
        {PAIR(0), PAIR(1), PAIR(2)},
        {PAIR(3)},
        {PAIR(0), PAIR(3)},
        {PAIR(1), PAIR(3)},
        {PAIR(0), PAIR(1), PAIR(3)},
        {PAIR(2), PAIR(3)},
        {PAIR(0), PAIR(2), PAIR(3)},
        {PAIR(1), PAIR(2), PAIR(3)},
        {PAIR(0), PAIR(1), PAIR(2), PAIR(3)},
#undef PAIR
    };
    const __m256i order = _mm256_loadu_si256((const __m256i *)lanes[bits]);
    _mm256_storeu_si256((__m256i *)out, _mm256_permutevar8x32_epi32(v, order));
    return (size_t)__builtin_popcount(bits);
}

INLINE int64_t signed_of(uint64_t rank)
{
    return (int64_t)(rank ^ (uint64_t)SIGN);
}

/* How many of v are above each of two pivots. */
static void count_above(const uint64_t *v, size_t n, const int64_t pivot[2],
                        size_t above[2])
{
    const __m256i sign = _mm256_set1_epi64x(SIGN);
    const __m256i p0 = _mm256_set1_epi64x(pivot[0]);
    const __m256i p1 = _mm256_set1_epi64x(pivot[1]);
    __m256i c0 = _mm256_setzero_si256(), c1 = c0;
    int64_t sum[2][4];
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const __m256i x = _mm256_xor_si256(load4(v + i), sign);
        c0 = _mm256_sub_epi64(c0, _mm256_cmpgt_epi64(x, p0));
        c1 = _mm256_sub_epi64(c1, _mm256_cmpgt_epi64(x, p1));
    }
    _mm256_storeu_si256((__m256i *)sum[0], c0);
    _mm256_storeu_si256((__m256i *)sum[1], c1);
    for (int j = 0; j < 2; j++) {
        above[j] = (size_t)(sum[j][0] + sum[j][1] + sum[j][2] + sum[j][3]);
        for (size_t k = i; k < n; k++)
            above[j] += signed_of(v[k]) > pivot[j];
    }
}

/* The ranks of v with low < v <= high to the front of out (which may be v), in
   their order; returns how many. */
static size_t compress(uint64_t *out, const uint64_t *v, size_t n, int64_t low,
                       int64_t high)
{
    const __m256i sign = _mm256_set1_epi64x(SIGN);
    const __m256i lo = _mm256_set1_epi64x(low), hi = _mm256_set1_epi64x(high);
    size_t m = 0, i = 0;
    for (; i + 4 <= n; i += 4) {
        const __m256i v4 = load4(v + i), x = _mm256_xor_si256(v4, sign);
        const __m256i in = _mm256_andnot_si256(_mm256_cmpgt_epi64(x, hi),
                                               _mm256_cmpgt_epi64(x, lo));
        m += compress4(out + m, v4, bits4(in)); /* m <= i: room for four */
    }
    for (; i < n; i++) {
        const int64_t x = signed_of(v[i]);
        out[m] = v[i];
        m += x > low && x <= high;
    }
    return m;
}

/* v[n], n <= SAMPLE, descending. */
static void sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint64_t x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] < x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

/* Two different ranks of v around the k-th largest: the higher, the lower. */
static void bracket(const uint64_t *v, size_t n, size_t k, int64_t pivot[2])
{
    uint64_t sample[SAMPLE];
    for (size_t i = 0; i < SAMPLE; i++)
        sample[i] = v[i * n / SAMPLE];
    sort(sample, SAMPLE);
    const size_t at = k * SAMPLE / n;
    const size_t high = at > AROUND ? at - AROUND : 0;
    const size_t low = at + AROUND < SAMPLE ? at + AROUND : SAMPLE - 1;
    pivot[0] = signed_of(sample[high]);
    pivot[1] = signed_of(sample[low]);
}

/* The k-th largest of n different ranks; v is scratch. */
static uint64_t kth_largest(uint64_t *v, size_t n, size_t k)
{
    while (n > SAMPLE) {
        int64_t pivot[2];
        size_t above[2];
        bracket(v, n, k, pivot);
        count_above(v, n, pivot, above);
        if (k <= above[0]) {
            n = compress(v, v, n, pivot[0], INT64_MAX);
        } else if (k <= above[1]) {
            n = compress(v, v, n, pivot[1], pivot[0]);
            k -= above[0];
        } else {
            /* signed_of of no rank in use is INT64_MIN: see clsa_rank */
            n = compress(v, v, n, INT64_MIN, pivot[1]);
            k -= above[1];
        }
    }
    sort(v, n);
    return v[k - 1];
}

/*
 * Most of many ranks are far below the k-th: the ones above a rank of a sample
 * that is a little lower go to the front, in their order. Returns how many,
 * or n if the sample tells nothing or was wrong, which it seldom is: the
 * k-th is at k * NARROW / n in the sample, give or take the root of that.
 */
static size_t narrow(uint64_t *ranks, size_t n, size_t k, uint64_t *copy)
{
    uint64_t sample[NARROW];
    const size_t at = k * NARROW / n;
    const size_t low = at + 3 * (size_t)sqrtf((float)at) + 3;
    if (n < 4 * NARROW || low > NARROW / 2)
        return n;
    for (size_t i = 0; i < NARROW; i++)
        sample[i] = ranks[i * n / NARROW];
    const int64_t pivot = signed_of(kth_largest(sample, NARROW, low));
    const size_t m = compress(copy, ranks, n, pivot - 1, INT64_MAX);
    if (m < k)
        return n;
    memcpy(ranks, copy, m * sizeof *ranks);
    return m;
}

static size_t topk_avx2(uint64_t *ranks, size_t n, size_t k, uint64_t *copy)
{
    if (n <= k)
        return n;
    n = narrow(ranks, n, k, copy);
    memcpy(copy, ranks, n * sizeof *ranks);
    const int64_t least = signed_of(kth_largest(copy, n, k));
    return compress(ranks, ranks, n, least - 1, INT64_MAX);
}

void clsa_topk_avx2(struct clsa_simd *table)
{
    table->topk = topk_avx2;
}
