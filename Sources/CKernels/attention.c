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
                float value = softmax_weight(row[j] - maxima[j]);
                row[j] = value;
                block[j] += value;
            }
        }
        for (int j = 0; j < columns; j++) totals[j] += block[j];
    }
    for (int j = 0; j < columns; j++) sums[j] = totals[j];
}

CK_KERNEL(
    void, attention_softmax_columns, (float *scores, ptrdiff_t keys, int columns, float *sums), (scores, keys, columns, sums)) {
    if (columns == 32) return softmax_columns(scores, keys, 32, sums);
    softmax_columns(scores, keys, 16, sums);
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
