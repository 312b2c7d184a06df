/* SPDX-License-Identifier: Apache-2.0 */
/* score.c: scores of K rows by one query, scalar. */
#include "simd/ref/ref.h"

#define SCORE(name, format)                                                    \
    static void score_##name##_ref(float *score, const float *x, size_t len,   \
                                   const struct clsa_rows *rows)               \
    {                                                                          \
        for (size_t i = 0; i < rows->n; i++) {                                 \
            const void *k = ref_row(rows->k, rows, i);                         \
            score[i] = 0;                                                      \
            for (size_t j = 0; j < len; j++)                                   \
                score[i] += x[j] * ref_value(k, j, format);                    \
        }                                                                      \
    }

CLSA_ROW_FORMATS(SCORE)

#define FILL(name, format) table->score[format] = score_##name##_ref;

void clsa_score_ref(struct clsa_simd *table)
{
    CLSA_ROW_FORMATS(FILL)
}
