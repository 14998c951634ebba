// Rounding to bfloat16 in pairs, see include/bfloat16.h.
#pragma once

#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_BFLOAT16 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16"), min_vector_width(512)))
#endif

// Whether the processor has the instructions of AVX512-BF16, and may use them.
int ck_has_pair_instruction(void);

// Two numbers, rounded to nearest, ties to even. Numbers too large become infinite, as in any rounding, and NaN stays one.
VECTOR_INLINE uint32_t pair_of(float low, float high) {
    uint32_t a = float_to_bits(low), b = float_to_bits(high);
    uint32_t rounded_a = low == low ? a + 0x7fff + (a >> 16 & 1) : a | 0x400000;
    uint32_t rounded_b = high == high ? b + 0x7fff + (b >> 16 & 1) : b | 0x400000;
    return rounded_a >> 16 | (rounded_b & 0xffff0000);
}

// The numbers of a pair.
VECTOR_INLINE float low_of(uint32_t pair) { return bits_to_float(pair << 16); }
VECTOR_INLINE float high_of(uint32_t pair) { return bits_to_float(pair & 0xffff0000); }

// The pairs of two rows of numbers times `factor`, column by column; zeros in the place of the second where it is null.
VECTOR_INLINE void pair_rows(const float *low, const float *high, int count, float factor, float *pairs) {
    if (high) {
        VECTOR_LOOP
        for (int j = 0; j < count; j++) pairs[j] = bits_to_float(pair_of(low[j] * factor, high[j] * factor));
    } else {
        for (int j = 0; j < count; j++) pairs[j] = bits_to_float(pair_of(low[j] * factor, 0));
    }
}

#if defined(__x86_64__)
// The lanes below `count`, all of them where these are 16 or more.
VECTOR_INLINE __mmask16 first_lanes(ptrdiff_t count) {
    return count >= 16 ? 0xffff : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

// Of two vectors of 16 numbers of bfloat16 side by side, one number of each in turn.
TARGET_BFLOAT16 VECTOR_INLINE __m512i order_of_pairs(void) {
    uint16_t order[32];
    for (int i = 0; i < 16; i++) order[2 * i] = (uint16_t)i, order[2 * i + 1] = (uint16_t)(i + 16);
    return _mm512_loadu_si512(order);
}

// pair_rows() by the processor's own rounding, which takes numbers below 2^-126 for zero; of the rows' first `count` numbers, with zeros
// for those up to `columns`.
TARGET_BFLOAT16 VECTOR_INLINE void pair_rows_by_instruction(
    const float *low, const float *high, int count, int columns, float factor, float *pairs, __m512i order) {
    const __m512 scale = _mm512_set1_ps(factor);
    for (int i = 0; i < columns; i += 16) {
        const __mmask16 read = first_lanes(count - i);
        const __m512 first = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(read, low + i));
        const __m512 second = high ? _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(read, high + i)) : _mm512_setzero_ps();
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(second, first);
        _mm512_mask_storeu_epi32(pairs + i, first_lanes(columns - i), _mm512_permutexvar_epi16(order, rounded));
    }
}
#endif
