/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cost: what a decoding step has to move and to compute, and the time
 * that the machine needs for it at the least. The time is a sum over phases of
 * the larger of bytes / bandwidth of where they come from and multiply-adds /
 * peak of the instructions for them.
 */
#ifndef CLSA_CLI_BENCH_COST_H
#define CLSA_CLI_BENCH_COST_H

#include <stdbool.h>

#include "bench/peaks.h"
#include "clsa.h"

/* Kinds of products, by the peak that holds for them. */
enum bench_product { BENCH_FULL, BENCH_NIBBLE, BENCH_FLOAT, BENCH_PRODUCTS };

/* Matrices of a model, by kind. */
struct bench_weights {
    double bytes[BENCH_PRODUCTS], macs[BENCH_PRODUCTS];
    clsa_type type; /* most of the bytes have it */
};

void bench_weights_of(const clsa_model *model, struct bench_weights *weights);

/* One step: B sequences of a context length. */
struct bench_step {
    const clsa_model_info *info;
    const struct bench_weights *weights;
    clsa_type kv_type, index_type;
    double context, batch;
    double rows;         /* that the cross-decoder reads, per sequence */
    double changed;      /* of them gathered, per sequence */
    double searched;     /* bytes read to choose rows, per sequence */
    double search_macs;  /* and what is computed of them */
    bool dense, indexed; /* indexed: the index is searched */
};

struct bench_cost {
    double weights, index, gather, cache; /* bytes */
    double ms;
};

/*
 * `stream_gbs` is the bandwidth of what is read once per step, `set_gbs` that
 * of the working set, which is read once per layer.
 */
void bench_cost_of(const struct bench_step *step,
                   const struct bench_peaks *peaks, double stream_gbs,
                   double set_gbs, struct bench_cost *cost);

#endif /* CLSA_CLI_BENCH_COST_H */
