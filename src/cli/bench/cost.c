/* SPDX-License-Identifier: Apache-2.0 */
/* The roofline of a decoding step. */
#include <string.h>

#include "src/cli/bench/cost.h"
#include "src/cli/library.h"

static enum bench_product product_of(clsa_type type)
{
    switch (type) {
    case CLSA_TYPE_Q4_0:
    case CLSA_TYPE_Q4_1:
    case CLSA_TYPE_Q5_0:
    case CLSA_TYPE_Q5_1:
    case CLSA_TYPE_Q2_K:
    case CLSA_TYPE_Q4_K:
    case CLSA_TYPE_Q5_K:
        return BENCH_NIBBLE;
    case CLSA_TYPE_Q8_0:
    case CLSA_TYPE_Q3_K:
    case CLSA_TYPE_Q6_K:
    case CLSA_TYPE_IQ4_NL:
    case CLSA_TYPE_IQ4_XS:
        return BENCH_FULL;
    default:
        return BENCH_FLOAT;
    }
}

static bool has_output(const clsa_model *model)
{
    clsa_tensor_info t;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &t, sizeof t);
        if (strcmp(t.name, "output.weight") == 0)
            return true;
    }
    return false;
}

void bench_weights_of(const clsa_model *model, struct bench_weights *weights)
{
    double most[CLSA_TYPE_BF16 + 1] = {0};
    bool untied = has_output(model);
    memset(weights, 0, sizeof *weights);
    weights->type = CLSA_TYPE_F32;
    clsa_tensor_info t;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_model_tensor(model, i, &t, sizeof t);
        /* one row of an embedding that is not the output matrix as well */
        if (t.dims < 2 || (untied && strcmp(t.name, "token_embd.weight") == 0))
            continue;
        weights->bytes[product_of(t.type)] += (double)t.size;
        weights->macs[product_of(t.type)] +=
            (double)t.shape[0] * (double)t.shape[1];
        most[t.type] += (double)t.size;
        if (most[t.type] > most[weights->type])
            weights->type = t.type;
    }
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Milliseconds, of bytes at GB/s and of 10^9 multiply-adds per second. */
static double phase(double bytes, double gbs, double macs, double gmacs)
{
    return larger(bytes / gbs, macs / gmacs) * 1e-6;
}

static double cost_of_weights(const struct bench_step *s,
                              const struct bench_peaks *peaks, double gbs)
{
    const double gmacs[BENCH_PRODUCTS] = {
        peaks->int8_gmacs, peaks->nibble_gmacs, peaks->fma_gflops / 2};
    double ms = 0;
    for (int i = 0; i < BENCH_PRODUCTS; i++)
        ms += phase(s->weights->bytes[i], gbs, s->weights->macs[i] * s->batch,
                    gmacs[i]);
    return ms;
}

void bench_cost_of(const struct bench_step *s, const struct bench_peaks *peaks,
                   double stream_gbs, double set_gbs, struct bench_cost *cost)
{
    const clsa_model_info *info = s->info;
    double ge = (double)info->kv_heads * info->head_size;
    double he = (double)info->heads * info->head_size;
    double self = info->self_layers, cross = info->layers - self;
    double row = (double)clsa_type_row_bytes(s->kv_type, 2 * (uint64_t)ge);
    double seen = s->context + 1 < info->window ? s->context + 1 : info->window;
    double fma = peaks->fma_gflops / 2;
    memset(cost, 0, sizeof *cost);
    for (int i = 0; i < BENCH_PRODUCTS; i++)
        cost->weights += s->weights->bytes[i];
    cost->index = s->batch * s->searched;
    cost->gather = s->batch * s->changed * row;
    double windows = s->batch * self * seen * 2 * ge * (double)sizeof(float);
    double read = s->batch * cross * s->rows * row;
    cost->cache = windows + read;
    cost->ms = cost_of_weights(s, peaks, stream_gbs);
    cost->ms +=
        phase(windows, stream_gbs, s->batch * self * seen * 2 * he, fma);
    cost->ms += phase(
        cost->index, stream_gbs, s->batch * s->search_macs,
        s->indexed && s->index_type == CLSA_TYPE_I8 ? peaks->int8_gmacs : fma);
    if (cost->gather > 0)
        cost->ms += cost->gather / peaks->gather_gbs * 1e-6;
    cost->ms += phase(read, s->dense ? stream_gbs : set_gbs,
                      s->batch * cross * s->rows * 2 * he, fma);
}
