/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of one large product through oneDNN. */
#include <stdlib.h>
#include <string.h>

#include "bench/gemm.h"
#include "bench/team.h"

#define PRODUCTS 5 /* the median counts */

/* Tokens, rows and columns of weights. */
enum { PEAK_M = 512, PEAK_N = 8192, PEAK_K = 2048 };

struct product {
    struct clsa_gemm *gemm;
    void *x, *w, *packed, *y;
};

static void close_product(struct product *p)
{
    clsa_gemm_close(p->gemm);
    free(p->x);
    free(p->w);
    free(p->packed);
    free(p->y);
}

/* Operands of small values in any of the types. */
static int open_product(struct product *p, enum clsa_gemm_type type,
                        unsigned threads)
{
    const size_t size = clsa_gemm_size(type);
    memset(p, 0, sizeof *p);
    p->gemm = clsa_gemm_open(type, PEAK_M, PEAK_N, PEAK_K, CLSA_GEMM_ROWS, 1,
                             threads);
    if (!p->gemm)
        return -1;
    p->x = malloc((size_t)PEAK_M * PEAK_K * size);
    p->w = malloc((size_t)PEAK_N * PEAK_K * size);
    p->packed = aligned_alloc(64, (clsa_gemm_bytes(p->gemm) + 63) / 64 * 64);
    p->y = malloc((size_t)PEAK_M * PEAK_N * sizeof(float));
    if (!p->x || !p->w || !p->packed || !p->y)
        return -1;
    memset(p->x, 0x3e, (size_t)PEAK_M * PEAK_K * size);
    memset(p->w, 0x3d, (size_t)PEAK_N * PEAK_K * size);
    return clsa_gemm_pack(p->gemm, 0, p->packed, p->w);
}

double bench_gemm(enum clsa_gemm_type type, unsigned threads)
{
    const double flop = 2.0 * PEAK_M * PEAK_N * PEAK_K;
    struct product p;
    int failed = open_product(&p, type, threads);
    if (!failed) /* does not count */
        failed = clsa_gemm_run(p.gemm, 0, p.y, p.x, p.packed);
    double seconds[PRODUCTS];
    for (int i = 0; i < PRODUCTS && !failed; i++) {
        const double start = bench_now();
        failed = clsa_gemm_run(p.gemm, 0, p.y, p.x, p.packed);
        seconds[i] = bench_now() - start;
    }
    close_product(&p);
    return failed ? 0 : flop / bench_least(seconds, PRODUCTS) * 1e-9;
}
