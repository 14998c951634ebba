#include "attention.h"

#include <float.h>

#include "include/bfloat16.h"
#include "pairs.h"
#include "vector_math.h"

#if defined(__x86_64__)
enum { LANES = 16, QUERIES = 32 };

// How far a score may be above its reference, so that the sum of the weights of a block, which has fewer than e^6 keys, stays below
// LARGEST_SUM, e^CK_ATTENTION_MARGIN.
#define MARGIN (CK_ATTENTION_MARGIN - 6)
#define LARGEST_SUM 3.5849128e9f

// 2^x within 8e-5 of it, a fiftieth of what rounding to bfloat16 may leave out: the polynomial is a fit to the least relative error between
// 0 and 1. 2^-∞ is 0, and NaN stays one. What would be subnormal is 0 where such are flushed.
TARGET_BFLOAT16 VECTOR_INLINE __m512 powers_of_two(__m512 x) {
    const __m512 rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 power = _mm512_set1_ps(0.07802452f);
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.22606716f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.69583356f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(0.9999252f));
    return _mm512_scalef_ps(power, x);
}

// Weights of all scores relative to the references, in pairs, and their sums: whether one is as large as LARGEST_SUM, or no number.
TARGET_BFLOAT16 static int weigh(
    const float *scores, ptrdiff_t keys, float scale, const float *references, float *pairs, __m512 *totals) {
    const __m512 per_e = _mm512_set1_ps(1.44269504f), factor = _mm512_mul_ps(_mm512_set1_ps(scale), per_e);
    const __m512i order = order_of_pairs();
    int exceeds = 0;
    for (int half = 0; half < 2; half++) {
        // Before any score that is a number, references times this would be infinite.
        const __m512 reference = _mm512_max_ps(_mm512_loadu_ps(references + half * LANES), _mm512_set1_ps(-1e38f));
        const __m512 offset = _mm512_mul_ps(reference, per_e);
        const float *column = scores + half * LANES;
        __m512 total = _mm512_setzero_ps();
        for (ptrdiff_t key = 0; key < keys; key += 2, column += 2 * QUERIES) {
            const __m512 low = powers_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(column), factor, offset));
            __m512 high = _mm512_setzero_ps();
            if (key + 1 < keys) high = powers_of_two(_mm512_fmsub_ps(_mm512_loadu_ps(column + QUERIES), factor, offset));
            total = _mm512_add_ps(total, _mm512_add_ps(low, high));
            const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            _mm512_storeu_si512(pairs + key / 2 * QUERIES + half * LANES, _mm512_permutexvar_epi16(order, rounded));
        }
        totals[half] = total;
        exceeds |= _mm512_cmp_ps_mask(total, _mm512_set1_ps(LARGEST_SUM), _CMP_NLT_UQ);
    }
    return exceeds != 0;
}

// Raises all references to the largest scores if one of these is above its own by more than the margin: whether one is.
TARGET_BFLOAT16 static int raise_references(
    const float *scores, ptrdiff_t keys, float scale, float *references, float *sums, float *corrections) {
    const __m512 margin = _mm512_set1_ps(MARGIN), per_e = _mm512_set1_ps(1.44269504f), factor = _mm512_set1_ps(scale);
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
    for (int half = 0; exceeds && half < 2; half++) {
        const __m512 raised = _mm512_max_ps(largest[half], reference[half]);
        const __mmask16 stays = _mm512_cmp_ps_mask(raised, reference[half], _CMP_EQ_OQ);
        const __m512 correction = _mm512_mask_mov_ps(
            powers_of_two(_mm512_mul_ps(_mm512_sub_ps(reference[half], raised), per_e)), stays, _mm512_set1_ps(1));
        _mm512_storeu_ps(corrections + half * LANES, correction);
        _mm512_storeu_ps(references + half * LANES, raised);
        _mm512_storeu_ps(sums + half * LANES, _mm512_mul_ps(_mm512_loadu_ps(sums + half * LANES), correction));
    }
    return exceeds != 0;
}

TARGET_BFLOAT16 static int softmax_pairs(
    const float *scores, ptrdiff_t keys, float scale, float *references, float *sums, float *corrections, float *pairs) {
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | _MM_FLUSH_ZERO_ON);
    // After the first keys references are seldom raised. Sums of weights tell when, without a search for the largest score.
    __m512 totals[2];
    int exceeds = 0;
    if (references[0] == -FLT_MAX || weigh(scores, keys, scale, references, pairs, totals)) {
        exceeds = raise_references(scores, keys, scale, references, sums, corrections);
        weigh(scores, keys, scale, references, pairs, totals);
    }
    for (int half = 0; half < 2; half++)
        _mm512_storeu_ps(sums + half * LANES, _mm512_add_ps(_mm512_loadu_ps(sums + half * LANES), totals[half]));
    _mm_setcsr(mode);
    return exceeds;
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
