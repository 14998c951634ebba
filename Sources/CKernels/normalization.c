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

// Of `count` >= 16 numbers the last `rest`, in the last lanes, with `fill` in the others: one by one, they would take longer than all before
// them in a short row.
VECTOR_INLINE void copy_last(const float *x, size_t count, size_t rest, float fill, float *lanes) {
    const vector_i32 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const vector_f32 last = VECTOR_CONST_AT(x + count - LANES), others = fill;
    VECTOR_AT(lanes) = lane >= (vector_i32)((int32_t)LANES - (int32_t)rest) ? last : others;
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
    if (i < count && count >= LANES) {
        copy_last(x, count, count - i, 0, lanes);
        b += VECTOR_AT(lanes);
        i = count;
    }
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
    if (i + LANES <= count) {
        const vector_f32 u = VECTOR_CONST_AT(x + i) - centre;
        sum_a += u;
        squares_a += u * u;
        i += LANES;
    }
    float sums[LANES], sums_of_squares[LANES];
    if (i < count && count >= LANES) {
        copy_last(x, count, count - i, centre, sums);
        const vector_f32 v = VECTOR_AT(sums) - centre;
        sum_b += v;
        squares_b += v * v;
        i = count;
    }
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
        if (i + LANES <= length) {
            const vector_f32 u = VECTOR_CONST_AT(block + i);
            a += u * u;
            i += LANES;
        }
        float lanes[LANES];
        if (i < length && length >= LANES) {
            copy_last(block, length, length - i, 0, lanes);
            const vector_f32 v = VECTOR_AT(lanes);
            b += v * v;
            i = length;
        }
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

// y = (x - mean)·factor·scale[i] + bias[i]; `bias` may be null.
VECTOR_INLINE void affine_elements(
    const float *x, float *y, size_t count, double mean, double factor, const float *scale, const float *bias) {
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

// d = x - mean of x; d / sqrt(mean of d² + epsilon) * scale[i] + bias[i], each step rounded to float and free to overflow.
VECTOR_INLINE void layer_row_written_out(
    const float *x, float *y, size_t count, float epsilon, const float *scale, const float *bias) {
    const float divisor = (float)count;
    const float mean = ck_row_sum(x, (ptrdiff_t)count) / divisor;
    const float deviation = sqrtf(float_squares(x, count, mean) / divisor + epsilon);
    for (size_t i = 0; i < count; i++) {
        const float value = (x[i] - mean) / deviation * scale[i];
        y[i] = bias ? value + bias[i] : value;
    }
}

// x * (1 / sqrt(mean of x² + epsilon)) * scale[i], in the same way.
VECTOR_INLINE void root_mean_square_row_written_out(
    const float *x, float *y, size_t count, float epsilon, const float *scale) {
    const float factor = 1.0f / sqrtf(float_squares(x, count, 0) / (float)count + epsilon);
    for (size_t i = 0; i < count; i++) y[i] = x[i] * factor * scale[i];
}

// Sums of so large numbers stay finite in any order. (Rows of numbers that are nearly one show how their mean is rounded.)
static const double largest_square = 1e29;

CK_KERNEL(
    void, normalization_layer_rows,
    (const float *x, float *y, size_t rows, size_t count, double epsilon, const float *scale, size_t scale_step,
     const float *bias, size_t bias_step, int is_written_out, double *statistics),
    (x, y, rows, count, epsilon, scale, scale_step, bias, bias_step, is_written_out, statistics)) {
    for (size_t row = 0; row < rows; row++, x += count, y += count, scale += scale_step) {
        const normalization_moments moments = normalization_measure_body(x, count);
        const double variance = moments.squares / (double)count;
        const double factor = 1.0 / __builtin_elementwise_sqrt(variance + epsilon);
        if (statistics) {
            statistics[2 * row] = moments.mean;
            statistics[2 * row + 1] = factor;
        }
        const int is_usual = variance < largest_square && variance * 1e12 >= moments.mean * moments.mean;
        if (is_written_out && !is_usual) {
            layer_row_written_out(x, y, count, (float)epsilon, scale, bias);
        } else {
            affine_elements(x, y, count, moments.mean, factor, scale, bias);
        }
        if (bias) bias += bias_step;
    }
}

CK_KERNEL(
    void, normalization_root_mean_square_rows,
    (const float *x, float *y, size_t rows, size_t count, double epsilon, const float *scale, size_t scale_step,
     int is_written_out, double *statistics),
    (x, y, rows, count, epsilon, scale, scale_step, is_written_out, statistics)) {
    for (size_t row = 0; row < rows; row++, x += count, y += count, scale += scale_step) {
        const double mean = normalization_sum_of_squares_body(x, count) / (double)count;
        const double factor = 1.0 / __builtin_elementwise_sqrt(mean + epsilon);
        if (statistics) {
            statistics[2 * row] = 0;
            statistics[2 * row + 1] = factor;
        }
        if (is_written_out && !(mean < largest_square)) {
            root_mean_square_row_written_out(x, y, count, (float)epsilon, scale);
        } else {
            affine_elements(x, y, count, 0, factor, scale, 0);
        }
    }
}

VECTOR_INLINE float row_maximum(const float *x, size_t count) {
    vector_f32 a = -INFINITY, b = -INFINITY;
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        const vector_f32 u = VECTOR_CONST_AT(x + i), v = VECTOR_CONST_AT(x + i + LANES);
        a = u > a ? u : a;
        b = v > b ? v : b;
    }
    if (i + LANES <= count) {
        const vector_f32 u = VECTOR_CONST_AT(x + i);
        a = u > a ? u : a;
        i += LANES;
    }
    float lanes[LANES];
    if (i < count && count >= LANES) {
        copy_last(x, count, count - i, -INFINITY, lanes);
        const vector_f32 v = VECTOR_AT(lanes);
        b = v > b ? v : b;
        i = count;
    }
    a = a > b ? a : b;
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
        // The last vector begins before the others end, or is a padded one; it is read before y, which may be x, is written.
        float last[LANES] = {0};
        if (rest > 0) {
            if (length < LANES)
                for (size_t i = 0; i < rest; i++) last[i] = x[start + i];
            else
                memcpy(last, x + start + length - LANES, sizeof last);
            VECTOR_LOOP
            for (size_t i = 0; i < LANES; i++) last[i] = decaying_exponential(last[i] - maximum);
        }
        VECTOR_LOOP
        for (size_t i = 0; i < whole; i++) y[start + i] = decaying_exponential(x[start + i] - maximum);
        if (length < LANES) {
            for (size_t i = 0; i < rest; i++) y[start + i] = last[i];
        } else if (rest > 0) {
            memcpy(y + start + length - LANES, last, sizeof last);
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

CK_KERNEL(void, normalization_softmax_rows, (const float *x, float *y, size_t rows, size_t count), (x, y, rows, count)) {
    for (size_t row = 0; row < rows; row++, x += count, y += count) {
        const float factor = (float)(1.0 / exponentials(x, y, count, row_maximum(x, count)));
        VECTOR_LOOP
        for (size_t i = 0; i < count; i++) y[i] *= factor;
    }
}

CK_KERNEL(void, normalization_log_softmax_rows, (const float *x, float *y, size_t rows, size_t count), (x, y, rows, count)) {
    for (size_t row = 0; row < rows; row++, x += count, y += count) {
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
