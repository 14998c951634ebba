#include "attention.h"

#include "include/bfloat16.h"
#include "pairs.h"
#include "vector_math.h"

#if defined(__x86_64__)
enum { LANES = 16, QUERIES = 32 };

// 2^x within 8e-5 of it, a fiftieth of what rounding to bfloat16 may leave out: the polynomial is a fit to the least relative error between
// -1/2 and 1/2. What would be subnormal, and slow, is zero, and NaN stays one.
TARGET_BFLOAT16 VECTOR_INLINE __m512 powers_of_two(__m512 x) {
    const __mmask16 is_normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126), _CMP_NLT_UQ);
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(x, whole);
    __m512 power = _mm512_set1_ps(0.055171635f);
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.24261113f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.69326097f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.99992806f));
    return _mm512_maskz_scalef_ps(is_normal, power, whole);
}

TARGET_BFLOAT16 static int softmax_pairs(
    const float *scores, ptrdiff_t keys, float scale, float *references, float *sums, float *corrections, float *pairs) {
    const __m512 margin = _mm512_set1_ps(CK_ATTENTION_MARGIN), per_e = _mm512_set1_ps(1.44269504f);
    const __m512 factor = _mm512_set1_ps(scale), factor_of_two = _mm512_mul_ps(factor, per_e);
    const __m512i order = order_of_pairs();
    __m512 largest[2], reference[2];
    int exceeds = 0;
    for (int half = 0; half < 2; half++) {
        const float *column = scores + half * LANES;
        largest[half] = _mm512_mul_ps(factor, _mm512_loadu_ps(column));
        for (ptrdiff_t key = 1; key < keys; key++)
            largest[half] = _mm512_max_ps(_mm512_mul_ps(factor, _mm512_loadu_ps(column + key * QUERIES)), largest[half]);
        reference[half] = _mm512_loadu_ps(references + half * LANES);
        exceeds |= _mm512_cmp_ps_mask(largest[half], _mm512_add_ps(reference[half], margin), _CMP_GT_OQ);
    }
    for (int half = 0; half < 2; half++) {
        if (exceeds) {
            const __m512 raised = _mm512_max_ps(largest[half], reference[half]);
            const __mmask16 stays = _mm512_cmp_ps_mask(raised, reference[half], _CMP_EQ_OQ);
            const __m512 correction = _mm512_mask_mov_ps(
                powers_of_two(_mm512_mul_ps(_mm512_sub_ps(reference[half], raised), per_e)), stays, _mm512_set1_ps(1));
            _mm512_storeu_ps(corrections + half * LANES, correction);
            _mm512_storeu_ps(references + half * LANES, raised);
            _mm512_storeu_ps(sums + half * LANES, _mm512_mul_ps(_mm512_loadu_ps(sums + half * LANES), correction));
            reference[half] = raised;
        }
        // Before any score that is a number, references times this would be infinite.
        const __m512 offset = _mm512_mul_ps(_mm512_max_ps(reference[half], _mm512_set1_ps(-1e38f)), per_e);
        const float *column = scores + half * LANES;
        __m512 total = _mm512_setzero_ps();
        for (ptrdiff_t key = 0; key < keys; key += 2, column += 2 * QUERIES) {
            const __m512 low = powers_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(column), factor_of_two, offset));
            __m512 high = _mm512_setzero_ps();
            if (key + 1 < keys) high = powers_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(column + QUERIES), factor_of_two, offset));
            total = _mm512_add_ps(total, _mm512_add_ps(low, high));
            const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            _mm512_storeu_si512(pairs + key / 2 * QUERIES + half * LANES, _mm512_permutexvar_epi16(order, rounded));
        }
        _mm512_storeu_ps(sums + half * LANES, _mm512_add_ps(_mm512_loadu_ps(sums + half * LANES), total));
    }
    return exceeds != 0;
}
#endif

int attention_softmax_pairs(
    float *scores, ptrdiff_t keys, int columns, float scale, float *references, float *sums, float *corrections, float *pairs) {
#if defined(__x86_64__)
    if (ck_has_pair_instruction() && columns == QUERIES)
        return softmax_pairs(scores, keys, scale, references, sums, corrections, pairs);
#endif
    const int exceeds = attention_softmax_tile(scores, keys, columns, scale, references, sums, corrections);
    ck_pack_column_pairs(scores, columns, keys, columns, columns, 1, pairs, columns);
    return exceeds;
}
