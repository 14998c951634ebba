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

// 2^x for x < 127, with a relative error below 1.6e-7, but for results below 2^-125, which stay there: weights that no sum shows.
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

VECTOR_INLINE int softmax_tile(
    float *scores, ptrdiff_t keys, const int columns, float *references, float *sums, float *corrections) {
    // Weights of up to 2^32 are no less exact, so that references seldom have to be raised.
    const float margin = 32;
    float largest[32], total[32];
    for (int j = 0; j < columns; j++) largest[j] = scores[j];
    for (ptrdiff_t key = 1; key < keys; key++) {
        const float *row = scores + key * columns;
        for (int j = 0; j < columns; j++) largest[j] = row[j] > largest[j] ? row[j] : largest[j];
    }
    int exceeds = 0;
    for (int j = 0; j < columns; j++) exceeds |= largest[j] > references[j] + margin;
    if (exceeds) {
        for (int j = 0; j < columns; j++) {
            const float reference = largest[j] > references[j] ? largest[j] : references[j];
            corrections[j] = reference == references[j] ? 1.0f : binary_softmax_weight(references[j] - reference);
            references[j] = reference;
            sums[j] *= corrections[j];
        }
    }
    for (int j = 0; j < columns; j++) total[j] = 0;
    for (ptrdiff_t key = 0; key < keys; key++) {
        float *row = scores + key * columns;
        VECTOR_LOOP
        for (int j = 0; j < columns; j++) {
            float value = binary_softmax_weight(row[j] - references[j]);
            row[j] = value;
            total[j] += value;
        }
    }
    for (int j = 0; j < columns; j++) sums[j] += total[j];
    return exceeds;
}

CK_KERNEL(
    int, attention_softmax_tile,
    (float *scores, ptrdiff_t keys, int columns, float *references, float *sums, float *corrections),
    (scores, keys, columns, references, sums, corrections)) {
    if (columns == 32) return softmax_tile(scores, keys, 32, references, sums, corrections);
    return softmax_tile(scores, keys, 16, references, sums, corrections);
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
