// How numbers of float32 become bytes, see include/dynamic_product.h.
#pragma once

#include "vector_math.h"

// The least and the largest of numbers and 0, and NaN where one isn't finite, which comparisons don't show.
typedef struct {
    float least;
    float largest;
    float poison;
} byte_range;

// Two vectors at a time, so that one doesn't wait for the other.
VECTOR_INLINE byte_range range_of(const float *x, ptrdiff_t k) {
    enum { LANES = 2 * VECTOR_LANES };
    float lows[LANES] = {0}, highs[LANES] = {0}, poisons[LANES] = {0};
    ptrdiff_t p = 0;
    for (; p + LANES <= k; p += LANES)
#pragma clang loop vectorize(assume_safety) vectorize_width(16) interleave_count(2)
        for (int j = 0; j < LANES; j++) {
            const float value = x[p + j];
            lows[j] = value < lows[j] ? value : lows[j];
            highs[j] = value > highs[j] ? value : highs[j];
            poisons[j] += value * 0;
        }
    byte_range range = {0, 0, 0};
    for (; p < k; p++) {
        range.least = x[p] < range.least ? x[p] : range.least;
        range.largest = x[p] > range.largest ? x[p] : range.largest;
        range.poison += x[p] * 0;
    }
    for (int j = 0; j < LANES; j++) {
        range.least = lows[j] < range.least ? lows[j] : range.least;
        range.largest = highs[j] > range.largest ? highs[j] : range.largest;
        range.poison += poisons[j];
    }
    return range;
}

// How numbers are rounded must not depend on whether a multiplication and an addition are one operation.
#pragma STDC FP_CONTRACT OFF

// Adding 1.5·2^23 leaves the nearest integer in the lowest bits of the significand.
static const float rounding_magic = 12582912.0f;
// Below it, 1 / scale might not be finite.
static const float least_scale = 0x1p-100f;

VECTOR_INLINE int32_t nearest_integer(float x) { return (int32_t)(float_to_bits(x + rounding_magic) - 0x4B400000u); }

typedef struct {
    // 1 / scale; 0 where that counts as 0.
    float inverse;
    float scale;
    int32_t zero;
} byte_rounding;

VECTOR_INLINE byte_rounding rounding_of(byte_range range) {
    const float scale = (range.largest / 255 - range.least / 255) + range.poison;
    // Comparisons are false for NaN, which so stays the scale.
    if (scale < least_scale) return (byte_rounding){0, 0, 0};
    const float inverse = 1 / scale, zero = -range.least * inverse;
    return (byte_rounding){inverse, scale, zero == zero ? nearest_integer(zero) : 0};
}

// 0...255, of NaN 0.
VECTOR_INLINE uint32_t rounded_byte(float x, float inverse, float zero) {
    float value = x * inverse;
    value = value > -zero ? value : -zero;
    value = value < 255 - zero ? value : 255 - zero;
    return (uint32_t)nearest_integer(value) + (uint32_t)(int32_t)zero;
}

// -127...127, of NaN -127.
VECTOR_INLINE int32_t rounded_weight(float x, float inverse) {
    float value = x * inverse;
    value = value > -127 ? value : -127;
    value = value < 127 ? value : 127;
    return nearest_integer(value);
}

// The scale of weights whose largest magnitude is given.
VECTOR_INLINE float weight_scale(float largest, float poison) {
    const float scale = largest / 127 + poison;
    return scale < least_scale ? 0 : scale;
}

VECTOR_INLINE float inverse_of(float scale) { return scale == 0 ? 0 : 1 / scale; }
