/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: reproducible values for models and caches whose content does not
 * matter but its distribution does. Value i of a stream is a function of the
 * stream's seed and i alone, so that threads may make any part of it.
 */
#ifndef CLSA_BASE_RANDOM_H
#define CLSA_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Bound of a uniform distribution around 0 with variance 1. */
#define CLSA_RANDOM_UNIT 1.7320508f

/* The seed of stream `n` of a seed. */
static inline uint64_t clsa_random_stream(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Value i of a stream, uniform over all 32 bits. Both halves of the seed go
   in at different places, so that no stream is a part of another. */
static inline uint32_t clsa_random_bits(uint64_t stream, uint32_t i)
{
    uint32_t h = (uint32_t)stream + i * 0x9e3779b9u;
    h = (h ^ h >> 16) * 0x7feb352du;
    h ^= (uint32_t)(stream >> 32);
    h = (h ^ h >> 15) * 0x846ca68bu;
    return h ^ h >> 16;
}

/* x[0..n) = the stream, uniform over -bound..bound. */
static inline void clsa_random_floats(float *x, size_t n, uint64_t stream,
                                      float bound)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(int32_t)clsa_random_bits(stream, (uint32_t)i) *
               (bound * 0x1p-31f);
}

#endif /* CLSA_BASE_RANDOM_H */
