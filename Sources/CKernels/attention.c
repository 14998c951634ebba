#include "attention.h"

#include <math.h>

#include "vector_math.h"

CK_KERNEL(void, attention_add_mask, (float *scores, const float *mask, size_t count), (scores, mask, count)) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] == -INFINITY ? -INFINITY : scores[i] + mask[i];
}

CK_KERNEL(void, attention_apply_mask, (float *scores, const uint8_t *mask, size_t count), (scores, mask, count)) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] ? scores[i] : -INFINITY;
}

// 2^x for x <= 0, with a relative error below 1.6e-7, but for results below 2^-125, which stay there: weights that no sum shows.
//
// 2^x is 2^n 2^r with |r| <= 1/2; 2^r is 1 + r p(r), p of degree 4 fitted for the least relative error (9.2e-8) by reweighted least
// squares.
VECTOR_INLINE float binary_softmax_weight(float x) {
    x = x < -125.0f ? -125.0f : x;
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the significand.
    const float magic = 12582912.0f;
    const float shifted = x + magic;
    const float r = x - (shifted - magic);
    float p = r * 0x1.5bba24p-10f + 0x1.3cea90p-7f;
    p = p * r + 0x1.c6b752p-5f;
    p = p * r + 0x1.ebf9bcp-3f;
    p = p * r + 0x1.62e42ap-1f;
    return bits_to_float(float_to_bits(p * r + 1.0f) + (float_to_bits(shifted) << 23));
}

VECTOR_INLINE int softmax_block(
    float *scores, ptrdiff_t keys, const int columns, float *maxima, float *sums, float *corrections) {
    float largest[32], references[32], totals[32], block[32];
    for (int j = 0; j < columns; j++) largest[j] = maxima[j];
    for (ptrdiff_t key = 0; key < keys; key++) {
        const float *row = scores + key * columns;
        for (int j = 0; j < columns; j++) largest[j] = row[j] > largest[j] ? row[j] : largest[j];
    }
    int grows = 0;
    for (int j = 0; j < columns; j++) {
        grows |= largest[j] > maxima[j];
        corrections[j] = largest[j] > maxima[j] ? binary_softmax_weight(maxima[j] - largest[j]) : 1.0f;
        maxima[j] = largest[j];
        // Where every score is -∞, a difference from the largest would be none.
        references[j] = largest[j] == -INFINITY ? 0.0f : largest[j];
        totals[j] = sums[j] * corrections[j];
    }
    // Sums of 64 keys at a time: the rounding errors of thousands of keys don't add up in one number.
    for (ptrdiff_t first = 0; first < keys; first += 64) {
        ptrdiff_t end = first + 64 < keys ? first + 64 : keys;
        for (int j = 0; j < columns; j++) block[j] = 0;
        for (ptrdiff_t key = first; key < end; key++) {
            float *row = scores + key * columns;
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) {
                float value = binary_softmax_weight(row[j] - references[j]);
                row[j] = value;
                block[j] += value;
            }
        }
        for (int j = 0; j < columns; j++) totals[j] += block[j];
    }
    for (int j = 0; j < columns; j++) sums[j] = totals[j];
    return grows;
}

CK_KERNEL(
    int, attention_softmax_block,
    (float *scores, ptrdiff_t keys, int columns, float *maxima, float *sums, float *corrections),
    (scores, keys, columns, maxima, sums, corrections)) {
    if (columns == 32) return softmax_block(scores, keys, 32, maxima, sums, corrections);
    return softmax_block(scores, keys, 16, maxima, sums, corrections);
}

CK_KERNEL(
    void, attention_scale_columns, (float *values, ptrdiff_t rows, int columns, const float *factors),
    (values, rows, columns, factors)) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        VECTOR_LOOP
        for (int j = 0; j < columns; j++) values[row * columns + j] *= factors[j];
    }
}

CK_KERNEL(
    void, attention_write_columns,
    (const float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step),
    (values, sums, columns, queries, width, output, row_step)) {
    for (int j = 0; j < queries; j++) {
        const float factor = 1.0f / sums[j];
        float *row = output + j * row_step;
        for (ptrdiff_t e = 0; e < width; e++) row[e] = values[e * columns + j] * factor;
    }
}
