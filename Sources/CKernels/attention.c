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

CK_KERNEL(void, attention_limit_mask, (float *mask, size_t count, float least), (mask, count, least)) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) mask[i] = mask[i] < least && mask[i] != -INFINITY ? least : mask[i];
}

VECTOR_INLINE int softmax_tile(
    float *scores, ptrdiff_t keys, const int columns, const float scale, float *references, float *sums, float *corrections) {
    float largest[32], total[32];
    for (int j = 0; j < columns; j++) largest[j] = scores[j] * scale;
    for (ptrdiff_t key = 1; key < keys; key++) {
        const float *row = scores + key * columns;
        for (int j = 0; j < columns; j++) {
            const float score = row[j] * scale;
            largest[j] = score > largest[j] ? score : largest[j];
        }
    }
    int exceeds = 0;
    for (int j = 0; j < columns; j++) exceeds |= largest[j] > references[j] + CK_ATTENTION_MARGIN;
    if (exceeds) {
        for (int j = 0; j < columns; j++) {
            const float reference = largest[j] > references[j] ? largest[j] : references[j];
            corrections[j] = reference == references[j] ? 1.0f : decaying_exponential(references[j] - reference);
            references[j] = reference;
            sums[j] *= corrections[j];
        }
    }
    for (int j = 0; j < columns; j++) total[j] = 0;
    for (ptrdiff_t key = 0; key < keys; key++) {
        float *row = scores + key * columns;
        VECTOR_LOOP
        for (int j = 0; j < columns; j++) {
            float value = decaying_exponential(row[j] * scale - references[j]);
            row[j] = value;
            total[j] += value;
        }
    }
    for (int j = 0; j < columns; j++) sums[j] += total[j];
    return exceeds;
}

CK_KERNEL(
    int, attention_softmax_tile,
    (float *scores, ptrdiff_t keys, int columns, float scale, float *references, float *sums, float *corrections),
    (scores, keys, columns, scale, references, sums, corrections)) {
    if (columns == 32) return softmax_tile(scores, keys, 32, scale, references, sums, corrections);
    return softmax_tile(scores, keys, 16, scale, references, sums, corrections);
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
