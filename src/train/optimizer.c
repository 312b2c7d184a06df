/* SPDX-License-Identifier: Apache-2.0 */
/* AdamW. */
#include <math.h>
#include <string.h>

#include "src/base/random.h"
#include "src/train/optimizer.h"

#define FIRST  0.9f
#define SECOND 0.99f
#define EPS    1e-12f /* gradients are small, as losses are means */
#define DECAY  0.002f /* of a value, times the rate */
#define MEAN   0.97f  /* of the running mean, after the first steps */

enum { PARTS = 4 };

/* Values of a part, and their size in the beginning. */
struct part {
    size_t count;
    float size;
};

static void list_parts(const struct clsa_student *s, struct part *parts)
{
    const float d = 1 / sqrtf((float)s->d), h = 1 / (float)s->heads;
    const size_t more = s->heads > 1 ? s->heads : 0;
    parts[0] = (struct part){s->e * s->d, d};
    parts[1] = (struct part){s->heads * s->e * s->d, d / sqrtf((float)s->e)};
    parts[2] = (struct part){more * s->d, h * d};
    parts[3] = (struct part){more, h};
}

void clsa_student_start(const struct clsa_student *s, uint64_t seed)
{
    struct part parts[PARTS];
    float *values = s->k;
    list_parts(s, parts);
    for (int i = 0; i < PARTS; values += parts[i++].count)
        clsa_random_floats(values, parts[i].count,
                           clsa_random_stream(seed, (uint64_t)i),
                           parts[i].size * CLSA_RANDOM_UNIT);
    for (size_t i = 0; i < parts[3].count; i++)
        s->b[i] = 1 / (float)s->heads;
}

/* Values begin .. begin + part->count - 1. */
static void step_part(const struct clsa_optimizer *o, size_t begin,
                      const struct part *part, uint64_t step, float rate)
{
    const float n = (float)step;
    const float unbias1 = 1 / (1 - powf(FIRST, n));
    const float unbias2 = 1 / (1 - powf(SECOND, n));
    const float keep = fminf(MEAN, n / (n + 9)), by = rate * part->size;
    for (size_t i = begin; i < begin + part->count; i++) {
        const float g = o->gradient[i];
        o->first[i] = FIRST * o->first[i] + (1 - FIRST) * g;
        o->second[i] = SECOND * o->second[i] + (1 - SECOND) * g * g;
        o->value[i] -= by * (o->first[i] * unbias1 /
                             (sqrtf(o->second[i] * unbias2) + EPS)) +
                       rate * DECAY * o->value[i];
        o->mean[i] = keep * o->mean[i] + (1 - keep) * o->value[i];
    }
}

void clsa_optimizer_step(const struct clsa_optimizer *o,
                         const struct clsa_student *sizes, uint64_t step,
                         double rate)
{
    struct part parts[PARTS];
    size_t begin = 0;
    list_parts(sizes, parts);
    for (int i = 0; i < PARTS; begin += parts[i++].count)
        step_part(o, begin, &parts[i], step, (float)rate);
}
