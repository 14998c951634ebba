#include "attention.h"

#include <math.h>

#include "vector_math.h"

VECTOR_CLONES
void attention_add_mask(float *scores, const float *mask, size_t count) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] == -INFINITY ? -INFINITY : scores[i] + mask[i];
}

VECTOR_CLONES
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] ? scores[i] : -INFINITY;
}

// e^x for x <= 0 as `exponential` computes it, but for results below 2^-125, which stay there: weights that no sum of scores shows.
VECTOR_INLINE float weight(float x) {
    x = x < -86.5f ? -86.5f : x;
    const float magic = 12582912.0f;
    const float shifted = x * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float q = r * 0x1.6a23ccp-10f + 0x1.123a20p-7f;
    q = q * r + 0x1.5558f2p-5f;
    q = q * r + 0x1.555492p-3f;
    q = q * r + 0x1.fffffcp-2f;
    const float power = (q * r) * r + r + 1.0f;
    return bits_to_float(float_to_bits(power) + (float_to_bits(shifted) << 23));
}

VECTOR_INLINE void softmax_columns(float *scores, ptrdiff_t keys, const int columns, float *sums) {
    float maxima[32], totals[32], block[32];
    for (int j = 0; j < columns; j++) {
        maxima[j] = scores[j];
        totals[j] = 0;
    }
    for (ptrdiff_t key = 1; key < keys; key++) {
        const float *row = scores + key * columns;
        for (int j = 0; j < columns; j++) maxima[j] = row[j] > maxima[j] ? row[j] : maxima[j];
    }
    // Sums of 64 keys at a time: the rounding errors of thousands of keys don't add up in one number.
    for (ptrdiff_t first = 0; first < keys; first += 64) {
        ptrdiff_t end = first + 64 < keys ? first + 64 : keys;
        for (int j = 0; j < columns; j++) block[j] = 0;
        for (ptrdiff_t key = first; key < end; key++) {
            float *row = scores + key * columns;
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) {
                float value = weight(row[j] - maxima[j]);
                row[j] = value;
                block[j] += value;
            }
        }
        for (int j = 0; j < columns; j++) totals[j] += block[j];
    }
    for (int j = 0; j < columns; j++) sums[j] = totals[j];
}

VECTOR_CLONES void attention_softmax_columns(float *scores, ptrdiff_t keys, int columns, float *sums) {
    if (columns == 32) return softmax_columns(scores, keys, 32, sums);
    softmax_columns(scores, keys, 16, sums);
}

VECTOR_CLONES void attention_write_columns(
    const float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step) {
    for (int j = 0; j < queries; j++) {
        const float factor = 1.0f / sums[j];
        float *row = output + j * row_step;
        for (ptrdiff_t e = 0; e < width; e++) row[e] = values[e * columns + j] * factor;
    }
}
