#include "attention.h"

#include <math.h>

#include "transpose.h"
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

CK_KERNEL(
    int, attention_are_finite, (const float *numbers, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t width),
    (numbers, row_step, rows, width)) {
    // Infinities and NaN times 0 are NaN, and so are sums with them.
    float sums[VECTOR_LANES] = {0};
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *line = numbers + row * row_step;
        ptrdiff_t i = 0;
        for (; i + VECTOR_LANES <= width; i += VECTOR_LANES)
            for (int j = 0; j < VECTOR_LANES; j++) sums[j] += line[i + j] * 0.0f;
        for (; i < width; i++) sums[0] += line[i] * 0.0f;
    }
    int are_finite = 1;
    for (int j = 0; j < VECTOR_LANES; j++) are_finite &= sums[j] == 0;
    return are_finite;
}

// Whether a number from `first` to before `end` is above `least`, or NaN.
VECTOR_INLINE int any_above(const float *numbers, int first, int end, float least) {
    int i = first;
    for (; i + VECTOR_LANES <= end; i += VECTOR_LANES) {
        int any = 0;
        for (int j = 0; j < VECTOR_LANES; j++) any |= !(numbers[i + j] <= least);
        if (any) return 1;
    }
    for (; i < end; i++)
        if (!(numbers[i] <= least)) return 1;
    return 0;
}

CK_KERNEL(
    int, attention_reached_keys,
    (const float *mask, ptrdiff_t row_step, int queries, int keys, float least, int *first, int *end),
    (mask, row_step, queries, keys, least, first, end)) {
    int lowest = keys, highest = 0;
    // In causal masks the last query reaches the others' keys, too.
    for (int query = queries - 1; query >= 0; query--) {
        const float *row = mask + query * row_step;
        if (any_above(row, highest, keys, least))
            for (highest = keys; row[highest - 1] <= least;) highest--;
        if (any_above(row, 0, lowest, least))
            for (lowest = 0; row[lowest] <= least;) lowest++;
        if (!any_above(row, lowest, highest, least)) return 0;
    }
    *first = lowest;
    *end = highest;
    return 1;
}

// decaying_exponential() with an operation less: where a multiplication and an addition are rounded once, one constant for ln 2 leaves an error of
// n·1.9e-9, which is 6e-8 for the largest weights.
VECTOR_INLINE float weight_of_score(float x) {
    const float magic = 12582912.0f, y = x < -87.0f ? -87.0f : x;
    const float shifted = y * 1.44269504f + magic;
    const float power = exponential_of_rest(y - (shifted - magic) * 0.693147182f);
    return x < -87.0f ? 0.0f : power * shifted_power_of_two(float_to_bits(shifted));
}

// Keys whose weights are added up by themselves: in one sum of many, small ones beside a large one would all be rounded to its last digit.
enum { SUMMED_KEYS = 8 };

// Of a scale of 0 or more.
VECTOR_INLINE int softmax_tile(
    float *scores, ptrdiff_t keys, const int columns, const float scale, float *references, float *sums, float *corrections) {
    float largest[32], total[32];
    for (int j = 0; j < columns; j++) largest[j] = scores[j];
    for (ptrdiff_t key = 1; key < keys; key++) {
        const float *row = scores + key * columns;
        for (int j = 0; j < columns; j++) largest[j] = row[j] > largest[j] ? row[j] : largest[j];
    }
    for (int j = 0; j < columns; j++) largest[j] *= scale;
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
    for (ptrdiff_t first = 0; first < keys; first += SUMMED_KEYS) {
        const ptrdiff_t end = first + SUMMED_KEYS < keys ? first + SUMMED_KEYS : keys;
        float part[32] = {0};
        for (ptrdiff_t key = first; key < end; key++) {
            float *row = scores + key * columns;
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) {
                float value = weight_of_score(row[j] * scale - references[j]);
                row[j] = value;
                part[j] += value;
            }
        }
        for (int j = 0; j < columns; j++) total[j] += part[j];
    }
    for (int j = 0; j < columns; j++) sums[j] += total[j];
    return exceeds;
}

CK_KERNEL(
    int, attention_softmax_tile,
    (float *scores, ptrdiff_t keys, int columns, float scale, float *references, float *sums, float *corrections),
    (scores, keys, columns, scale, references, sums, corrections)) {
    if (scale < 0) {
        // The least score would become the largest.
        VECTOR_LOOP
        for (ptrdiff_t i = 0; i < keys * columns; i++) scores[i] *= scale;
        scale = 1;
    }
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

// Eight or sixteen numbers of every query at a time, turned into rows; the last of a width begin earlier where they would reach beyond it.
#define WRITE_COLUMNS(lanes)                                                                                                        \
    VECTOR_INLINE void attention_write_columns_##lanes(                                                                             \
        float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step) {           \
        float factors[32];                                                                                                          \
        for (int j = 0; j < columns; j++) factors[j] = 1.0f / sums[j];                                                              \
        for (ptrdiff_t e = 0; e < width; e++)                                                                                       \
            for (int j = 0; j < columns; j++) values[e * columns + j] *= factors[j];                                                \
        for (ptrdiff_t e = 0; width >= lanes && e < width; e += lanes) {                                                            \
            const ptrdiff_t first = e + lanes <= width ? e : width - lanes;                                                         \
            transpose_rows_##lanes(values + first * columns, columns, queries, lanes, row_step, output + first);                    \
        }                                                                                                                           \
        for (int j = 0; width < lanes && j < queries; j++)                                                                          \
            for (ptrdiff_t e = 0; e < width; e++) output[j * row_step + e] = values[e * columns + j];                               \
    }
WRITE_COLUMNS(8)
WRITE_COLUMNS(16)
#undef WRITE_COLUMNS

CK_KERNEL_BY_LANES(
    void, attention_write_columns,
    (float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step),
    (values, sums, columns, queries, width, output, row_step))
