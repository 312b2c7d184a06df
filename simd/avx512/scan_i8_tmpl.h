/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_i8_tmpl.h: the scan of int8 keys, a template. index.c and index_vnni.c
 * define before they include it:
 *
 *   GROUP_I8  function: the sums of sixteen keys, of which `left` are there
 *
 * It defines scan_i8(), and undefines GROUP_I8.
 */
#ifndef GROUP_I8
#error "GROUP_I8: see above"
#endif

INLINE void scan_i8(float *score, const int8_t *keys, const float *scales,
                    size_t n, size_t len, const struct clsa_index_query *query)
{
    const __m512 scale = _mm512_set1_ps(query->scale);
    const uint8_t *key = (const uint8_t *)keys;
    size_t s = 0;
    for (; s + LANES <= n; s += LANES)
        _mm512_storeu_ps(
            score + s,
            _mm512_mul_ps(_mm512_mul_ps(scale, _mm512_loadu_ps(scales + s)),
                          GROUP_I8(key + s * len, len, LANES, query->q)));
    if (s < n) {
        const __mmask16 valid = avx512_first_lanes(n - s);
        const __m512 d = _mm512_maskz_loadu_ps(valid, scales + s);
        _mm512_mask_storeu_ps(
            score + s, valid,
            _mm512_mul_ps(_mm512_mul_ps(scale, d),
                          GROUP_I8(key + s * len, len, n - s, query->q)));
    }
}

#undef GROUP_I8
