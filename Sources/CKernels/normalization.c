#include "normalization.h"

#include <math.h>

#include "elementwise.h"
#include "vector_math.h"

// 16 KiB: half of a usual first-level cache.
enum { BLOCK = 4096, LANES = VECTOR_LANES };

normalization_moments normalization_merge(normalization_moments a, normalization_moments b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const double count = (double)a.count + (double)b.count;
    const double difference = b.mean - a.mean;
    const double share = (double)b.count / count;
    return (normalization_moments){
        .mean = a.mean + difference * share,
        .squares = a.squares + b.squares + difference * difference * (double)a.count * share,
        .count = a.count + b.count,
    };
}

// The sum of a block in four independent chains of lanes.
VECTOR_INLINE double block_sum(const float *x, size_t count) {
    vector_f32 a = 0, b = 0, c = 0, d = 0;
    size_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        a += VECTOR_CONST_AT(x + i);
        b += VECTOR_CONST_AT(x + i + LANES);
        c += VECTOR_CONST_AT(x + i + 2 * LANES);
        d += VECTOR_CONST_AT(x + i + 3 * LANES);
    }
    for (; i + LANES <= count; i += LANES) a += VECTOR_CONST_AT(x + i);
    float lanes[LANES];
    VECTOR_AT(lanes) = (a + b) + (c + d);
    double sum = (double)lanes_sum(lanes);
    for (; i < count; i++) sum += (double)x[i];
    return sum;
}

VECTOR_INLINE normalization_moments measure_block(const float *x, size_t count) {
    // The rounded mean only centres the second sum, whose remainder corrects it.
    const float centre = (float)(block_sum(x, count) / (double)count);
    vector_f32 sum_a = 0, sum_b = 0, squares_a = 0, squares_b = 0;
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        const vector_f32 u = VECTOR_CONST_AT(x + i) - centre, v = VECTOR_CONST_AT(x + i + LANES) - centre;
        sum_a += u;
        sum_b += v;
        squares_a += u * u;
        squares_b += v * v;
    }
    float sums[LANES], sums_of_squares[LANES];
    VECTOR_AT(sums) = sum_a + sum_b;
    VECTOR_AT(sums_of_squares) = squares_a + squares_b;
    double sum = (double)lanes_sum(sums), squares = (double)lanes_sum(sums_of_squares);
    for (; i < count; i++) {
        const double difference = (double)x[i] - (double)centre;
        sum += difference;
        squares += difference * difference;
    }
    const double rest = sum / (double)count;
    return (normalization_moments){.mean = (double)centre + rest, .squares = squares - sum * rest, .count = count};
}

CK_KERNEL(normalization_moments, normalization_measure, (const float *x, size_t count), (x, count)) {
    normalization_moments total = {0, 0, 0};
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t length = count - start < BLOCK ? count - start : BLOCK;
        total = normalization_merge(total, measure_block(x + start, length));
    }
    return total;
}

CK_KERNEL(double, normalization_sum_of_squares, (const float *x, size_t count), (x, count)) {
    double total = 0;
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t length = count - start < BLOCK ? count - start : BLOCK;
        const float *block = x + start;
        vector_f32 a = 0, b = 0;
        size_t i = 0;
        for (; i + 2 * LANES <= length; i += 2 * LANES) {
            const vector_f32 u = VECTOR_CONST_AT(block + i), v = VECTOR_CONST_AT(block + i + LANES);
            a += u * u;
            b += v * v;
        }
        float lanes[LANES];
        VECTOR_AT(lanes) = a + b;
        total += (double)lanes_sum(lanes);
        for (; i < length; i++) total += (double)block[i] * (double)block[i];
    }
    return total;
}

// Channels whose numbers are prepared at a time.
enum { AFFINE_COLUMNS = 256 };

CK_KERNEL(
    void, normalization_affine, (const float *x, float *y, size_t count, double mean, double factor, double bias, int has_silu),
    (x, y, count, mean, factor, bias, has_silu)) {
    // The difference from the rounded mean is exact near it; what rounding dropped goes into the shift.
    const float centre = (float)mean, slope = (float)factor;
    const float shift = (float)(bias - (mean - (double)centre) * factor);
    if (has_silu) {
        VECTOR_LOOP
        for (size_t i = 0; i < count; i++) y[i] = silu((x[i] - centre) * slope + shift);
    } else {
        VECTOR_LOOP
        for (size_t i = 0; i < count; i++) y[i] = (x[i] - centre) * slope + shift;
    }
}

CK_KERNEL(
    void, normalization_affine_columns,
    (const float *x, float *y, size_t rows, size_t columns, const double *mean, const double *factor, const double *bias),
    (x, y, rows, columns, mean, factor, bias)) {
    float centres[AFFINE_COLUMNS], slopes[AFFINE_COLUMNS], shifts[AFFINE_COLUMNS];
    for (size_t first = 0; first < columns; first += AFFINE_COLUMNS) {
        const size_t count = columns - first < AFFINE_COLUMNS ? columns - first : AFFINE_COLUMNS;
        for (size_t i = 0; i < count; i++) {
            const size_t channel = first + i;
            centres[i] = (float)mean[channel], slopes[i] = (float)factor[channel];
            shifts[i] = (float)(bias[channel] - (mean[channel] - (double)centres[i]) * factor[channel]);
        }
        for (size_t row = 0; row < rows; row++) {
            const float *source = x + row * columns + first;
            float *target = y + row * columns + first;
            VECTOR_LOOP
            for (size_t i = 0; i < count; i++) target[i] = (source[i] - centres[i]) * slopes[i] + shifts[i];
        }
    }
}

CK_KERNEL(
    void, normalization_affine_elements,
    (const float *x, float *y, size_t count, double mean, double factor, const float *scale, const float *bias),
    (x, y, count, mean, factor, scale, bias)) {
    const float centre = (float)mean, slope = (float)factor;
    const float shift = (float)(-(mean - (double)centre) * factor);
    if (bias) {
        VECTOR_LOOP
        for (size_t i = 0; i < count; i++) y[i] = ((x[i] - centre) * slope + shift) * scale[i] + bias[i];
    } else {
        VECTOR_LOOP
        for (size_t i = 0; i < count; i++) y[i] = ((x[i] - centre) * slope + shift) * scale[i];
    }
}

// The sum of (x - mean)², in the blocks of a row's sum, so that it is rounded and overflows as that does.
VECTOR_INLINE float float_squares(const float *x, size_t count, float mean) {
    double squares = 0;
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t length = count - start < BLOCK ? count - start : BLOCK;
        float block[BLOCK];
        for (size_t i = 0; i < length; i++) {
            const float d = x[start + i] - mean;
            block[i] = d * d;
        }
        squares += (double)ck_row_sum(block, (ptrdiff_t)length);
    }
    return (float)squares;
}

CK_KERNEL(
    void, normalization_layer_row_written_out,
    (const float *x, float *y, size_t count, float epsilon, const float *scale, const float *bias),
    (x, y, count, epsilon, scale, bias)) {
    const float divisor = (float)count;
    const float mean = ck_row_sum(x, (ptrdiff_t)count) / divisor;
    const float deviation = sqrtf(float_squares(x, count, mean) / divisor + epsilon);
    for (size_t i = 0; i < count; i++) {
        const float value = (x[i] - mean) / deviation * scale[i];
        y[i] = bias ? value + bias[i] : value;
    }
}

CK_KERNEL(
    void, normalization_root_mean_square_row_written_out,
    (const float *x, float *y, size_t count, float epsilon, const float *scale), (x, y, count, epsilon, scale)) {
    const float factor = 1.0f / sqrtf(float_squares(x, count, 0) / (float)count + epsilon);
    for (size_t i = 0; i < count; i++) y[i] = x[i] * factor * scale[i];
}

VECTOR_INLINE float row_maximum(const float *x, size_t count) {
    vector_f32 a = -INFINITY, b = -INFINITY;
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        const vector_f32 u = VECTOR_CONST_AT(x + i), v = VECTOR_CONST_AT(x + i + LANES);
        a = u > a ? u : a;
        b = v > b ? v : b;
    }
    a = a > b ? a : b;
    float lanes[LANES];
    VECTOR_AT(lanes) = a;
    float maximum = lanes_maximum(lanes);
    for (; i < count; i++) maximum = x[i] > maximum ? x[i] : maximum;
    return maximum;
}

// y = e^(x - maximum), and the sum of that. Each block is summed while it is in the first-level cache, and its sum joins the
// others in double precision, so that long rows keep their precision.
VECTOR_INLINE double exponentials(const float *x, float *y, size_t count, float maximum) {
    double total = 0;
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t length = count - start < BLOCK ? count - start : BLOCK;
        const size_t whole = length / LANES * LANES, rest = length - whole;
        VECTOR_LOOP
        for (size_t i = 0; i < whole; i++) y[start + i] = decaying_exponential(x[start + i] - maximum);
        if (rest > 0) {
            // Padded to a whole vector: one by one, the last few would take longer than all before them in a short row.
            float lanes[LANES] = {0};
            memcpy(lanes, x + start + whole, rest * sizeof(float));
            VECTOR_LOOP
            for (size_t i = 0; i < LANES; i++) lanes[i] = decaying_exponential(lanes[i] - maximum);
            memcpy(y + start + whole, lanes, rest * sizeof(float));
        }
        total += block_sum(y + start, length);
    }
    return total;
}

CK_KERNEL(float, normalization_row_maximum, (const float *x, size_t count), (x, count)) { return row_maximum(x, count); }

CK_KERNEL(double, normalization_exponentials, (const float *x, float *y, size_t count, float maximum), (x, y, count, maximum)) {
    return exponentials(x, y, count, maximum);
}

CK_KERNEL(void, normalization_scale, (float *y, size_t count, float factor), (y, count, factor)) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) y[i] *= factor;
}

CK_KERNEL(void, normalization_softmax_row, (const float *x, float *y, size_t count), (x, y, count)) {
    const float factor = (float)(1.0 / exponentials(x, y, count, row_maximum(x, count)));
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) y[i] *= factor;
}

CK_KERNEL(void, normalization_log_softmax_row, (const float *x, float *y, size_t count), (x, y, count)) {
    const float maximum = row_maximum(x, count);
    double total = 0;
    float terms[512];
    for (size_t start = 0; start < count; start += 512) {
        const size_t length = count - start < 512 ? count - start : 512;
        total += exponentials(x + start, terms, length, maximum);
    }
    const float logarithm = (float)log(total);
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) y[i] = (x[i] - maximum) - logarithm;
}

// Columns whose running maxima and sums are kept at once.
enum { COLUMNS = 64 };

VECTOR_INLINE void softmax_columns(const float *x, float *y, size_t count, size_t stride, size_t width, int is_logarithm) {
    float maximum[COLUMNS], sum[COLUMNS];
    for (size_t column = 0; column < width; column++) {
        maximum[column] = -INFINITY;
        sum[column] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        const float *row = x + i * stride;
        VECTOR_LOOP
        for (size_t j = 0; j < width; j++) maximum[j] = row[j] > maximum[j] ? row[j] : maximum[j];
    }
    for (size_t i = 0; i < count; i++) {
        const float *row = x + i * stride;
        float *target = y + i * stride;
        VECTOR_LOOP
        for (size_t j = 0; j < width; j++) {
            const float value = decaying_exponential(row[j] - maximum[j]);
            if (!is_logarithm) target[j] = value;
            sum[j] += value;
        }
    }
    for (size_t j = 0; j < width; j++) sum[j] = is_logarithm ? logf(sum[j]) : 1.0f / sum[j];
    for (size_t i = 0; i < count; i++) {
        const float *row = x + i * stride;
        float *target = y + i * stride;
        VECTOR_LOOP
        for (size_t j = 0; j < width; j++) target[j] = is_logarithm ? (row[j] - maximum[j]) - sum[j] : target[j] * sum[j];
    }
}

CK_KERNEL(
    void, normalization_softmax_columns, (const float *x, float *y, size_t count, size_t stride, size_t width),
    (x, y, count, stride, width)) {
    for (size_t column = 0; column < width; column += COLUMNS) {
        const size_t part = width - column < COLUMNS ? width - column : COLUMNS;
        softmax_columns(x + column, y + column, count, stride, part, 0);
    }
}

CK_KERNEL(
    void, normalization_log_softmax_columns, (const float *x, float *y, size_t count, size_t stride, size_t width),
    (x, y, count, stride, width)) {
    for (size_t column = 0; column < width; column += COLUMNS) {
        const size_t part = width - column < COLUMNS ? width - column : COLUMNS;
        softmax_columns(x + column, y + column, count, stride, part, 1);
    }
}
