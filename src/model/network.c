/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a network, and what follows from its plan. */
#include <math.h>

#include "src/base/mem.h"
#include "src/model/network.h"

clsa_status clsa_network_open(struct clsa_network *net, uint32_t layers,
                              uint32_t stores, uint32_t ropes,
                              clsa_error *error)
{
    net->layer_count = layers;
    net->store_count = stores;
    net->rope_count = ropes;
    net->layers = clsa_mem_calloc(layers, sizeof *net->layers);
    net->stores = clsa_mem_calloc(stores, sizeof *net->stores);
    net->ropes = clsa_mem_calloc(ropes, sizeof *net->ropes);
    if (!net->layers || !net->stores || !net->ropes)
        return clsa_fail_memory(error, "the layers of a model",
                                layers * sizeof *net->layers);
    for (uint32_t i = 0; i < layers; i++)
        net->layers[i].rope = CLSA_NO_ROPE;
    for (uint32_t i = 0; i < ropes; i++)
        net->ropes[i].factor = net->ropes[i].magnitude = 1;
    return CLSA_OK;
}

/* The pair that turns so many times in the original context of YaRN. */
static double pair_of_turns(const struct clsa_rope *rope, float turns)
{
    const double pi = 3.14159265358979323846;
    return rope->pairs *
           log((double)rope->original / ((double)turns * 2 * pi)) /
           log((double)rope->base);
}

/* How much of its frequency pair i keeps under YaRN, 0..1. */
static double kept(const struct clsa_rope *rope, uint32_t i)
{
    const double last = 2.0 * rope->pairs - 1;
    const double low = fmax(floor(pair_of_turns(rope, rope->beta_fast)), 0);
    const double high = fmin(ceil(pair_of_turns(rope, rope->beta_slow)), last);
    return 1 - fmin(fmax((i - low) / fmax(high - low, 0.001), 0), 1);
}

/* The scaled frequency of pair i. */
static double frequency(const struct clsa_rope *rope, uint32_t i)
{
    const double f =
        pow((double)rope->base, -2.0 * i / (2 * (double)rope->pairs));
    switch (rope->scaling) {
    case CLSA_ROPE_LINEAR:
        return f / (double)rope->factor;
    case CLSA_ROPE_YARN:
        return f * kept(rope, i) +
               f / (double)rope->factor * (1 - kept(rope, i));
    default:
        return f;
    }
}

static clsa_status set_frequencies(double **list, const struct clsa_rope *rope,
                                   const float *factors, clsa_error *error)
{
    double *f = clsa_mem_calloc(rope->pairs, sizeof *f);
    if (!f)
        return clsa_fail_memory(error, "rotary angles",
                                rope->pairs * sizeof *f);
    for (uint32_t i = 0; i < rope->pairs; i++)
        f[i] = frequency(rope, i) / (factors ? (double)factors[i] : 1.0);
    *list = f;
    return CLSA_OK;
}

clsa_status clsa_rope_set(struct clsa_rope *rope, const float *factors,
                          clsa_error *error)
{
    if (rope->base <= 0)
        return CLSA_OK;
    if (rope->scaling == CLSA_ROPE_YARN)
        rope->magnitude *= (float)(1 + 0.1 * log((double)rope->factor));
    return set_frequencies(&rope->frequency, rope, factors, error);
}

clsa_status clsa_rope_set_long(struct clsa_rope *rope, const float *factors,
                               clsa_error *error)
{
    return set_frequencies(&rope->long_frequency, rope, factors, error);
}

void clsa_network_close(struct clsa_network *net)
{
    for (uint32_t i = 0; net->ropes && i < net->rope_count; i++) {
        clsa_mem_free(net->ropes[i].frequency);
        clsa_mem_free(net->ropes[i].long_frequency);
    }
    clsa_mem_free(net->ropes);
    clsa_mem_free(net->stores);
    clsa_mem_free(net->layers);
    clsa_mem_free(net->vectors);
    clsa_mem_free(net->side_vectors);
    *net = (struct clsa_network){.layers = NULL};
}

static void raise(uint32_t *most, uint32_t value)
{
    if (value > *most)
        *most = value;
}

static void measure(struct clsa_largest *most, const struct clsa_layer *l)
{
    const size_t q = (size_t)l->heads.heads * l->heads.head_dim;
    const size_t kv = (size_t)l->heads.kv_heads * l->heads.head_dim;
    if (q > most->q)
        most->q = q;
    if (kv > most->kv)
        most->kv = kv;
    raise(&most->heads, l->heads.heads);
    raise(&most->head_dim, l->heads.head_dim);
    raise(&most->rope_pairs, l->heads.head_dim / 2);
    raise(&most->ffn, l->ffn);
}

/* Where a selection has to be copied anew, and sites if the plan has none. */
static void mark_caches(struct clsa_network *net)
{
    const struct clsa_layer *last = NULL;
    for (uint32_t i = 0; i < net->store_count; i++)
        net->cache_count += net->stores[i].kind == CLSA_STORE_CACHE;
    net->own_caches = net->cache_count > 1;
    for (uint32_t i = 0; i < net->layer_count; i++)
        if (clsa_layer_reads_cache(net, &net->layers[i]))
            last = &net->layers[i];
    for (uint32_t i = 0; i < net->layer_count; i++) {
        struct clsa_layer *l = &net->layers[i];
        if (!clsa_layer_reads_cache(net, l))
            continue;
        l->new_cache = net->cache_count > 1 && l->store != last->store;
        net->own_caches = net->own_caches && l->new_cache;
        last = l;
    }
}

static bool is_fine(const struct clsa_matrix *m)
{
    return m->data && (m->format == CLSA_Q4_1 || m->format == CLSA_Q5_1);
}

bool clsa_network_is_fine(const struct clsa_network *net)
{
    for (uint32_t i = 0; i < net->layer_count; i++) {
        const struct clsa_layer *l = &net->layers[i];
        if (is_fine(&l->q) || is_fine(&l->k) || is_fine(&l->v) ||
            is_fine(&l->attn_out) || is_fine(&l->gate) || is_fine(&l->up) ||
            is_fine(&l->down))
            return true;
    }
    return false;
}

void clsa_network_finish(struct clsa_network *net)
{
    mark_caches(net);
    net->first_site = net->layer_count;
    for (uint32_t i = 0; i < net->layer_count; i++) {
        struct clsa_layer *l = &net->layers[i];
        const bool cache = clsa_layer_reads_cache(net, l);
        if (l->writes)
            net->last_writer = i;
        if (l->writes && !cache)
            net->refill_end = i + 1;
        if (cache && net->reader_count == 0)
            net->first_reader = i;
        if (cache) {
            l->reader = net->reader_count++;
            net->last_reader = i;
        }
        if (l->indexed && i < net->first_site)
            net->first_site = i;
        net->site_count += l->site;
        measure(&net->largest, l);
    }
    for (uint32_t i = 0; net->site_count == 0 && i < net->layer_count; i++)
        net->layers[i].site = net->layers[i].new_cache ||
                              (net->reader_count && i == net->first_reader);
    raise(&net->largest.ffn, net->layer_input);
    for (uint32_t i = 0; i < net->store_count; i++)
        raise(&net->largest.index_dim, net->stores[i].index_dim);
}
