// Kernels for normalisations and softmax: single-threaded loops over float arrays.
#pragma once

#include <stddef.h>

// Mean and sum of squared differences from the mean, over `count` values.
//
// Blocks that fit the first-level cache are summed twice in float lanes, the second time around the block's own mean, and merged in
// double precision (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, equation 2.1).
typedef struct {
    double mean;
    double squares;
    size_t count;
} normalization_moments;

normalization_moments normalization_measure(const float *x, size_t count);

// Both of two disjoint parts.
normalization_moments normalization_merge(normalization_moments a, normalization_moments b);

// The sum of squares of `count` values.
double normalization_sum_of_squares(const float *x, size_t count);

// y = (x - mean)·factor + bias, for `count` values; then y·σ(y) if `has_silu`. y may be x.
void normalization_affine(const float *x, float *y, size_t count, double mean, double factor, double bias, int has_silu);

// The same of rows of one number for each of `columns` channels.
void normalization_affine_columns(
    const float *x, float *y, size_t rows, size_t columns, const double *mean, const double *factor, const double *bias);

// Layer normalisation of rows of `count` >= 1 numbers one behind the other: (x - mean) / sqrt(variance + epsilon) · scale[i] + bias[i]. Scales and
// biases of a row are scale_step and bias_step behind those of the one before; `bias` may be null. y may be x.
//
// Where `is_written_out`, rows whose squares may overflow in float, or whose numbers are nearly equal, are computed as a graph of single
// operators would, each step rounded to float. Unless it is null, `statistics` gets each row's mean and 1 / sqrt(variance + epsilon).
void normalization_layer_rows(
    const float *x, float *y, size_t rows, size_t count, double epsilon, const float *scale, size_t scale_step,
    const float *bias, size_t bias_step, int is_written_out, double *statistics);

// The same of x / sqrt(mean of x² + epsilon) · scale[i]; `statistics` gets 0 and the factor of each row.
void normalization_root_mean_square_rows(
    const float *x, float *y, size_t rows, size_t count, double epsilon, const float *scale, size_t scale_step,
    int is_written_out, double *statistics);

// Softmax, or its logarithm, of rows of `count` consecutive values. y may be x.
void normalization_softmax_rows(const float *x, float *y, size_t rows, size_t count);
void normalization_log_softmax_rows(const float *x, float *y, size_t rows, size_t count);

// Softmax, or its logarithm, along an axis of `count` values that lie `stride` apart, for `width` neighbouring columns. y may be x.
void normalization_softmax_columns(const float *x, float *y, size_t count, size_t stride, size_t width);
void normalization_log_softmax_columns(const float *x, float *y, size_t count, size_t stride, size_t width);

// The parts of a softmax: the largest value (-∞ of none), y = e^(x - maximum) with its sum, y·factor.
float normalization_row_maximum(const float *x, size_t count);
double normalization_exponentials(const float *x, float *y, size_t count, float maximum);
void normalization_scale(float *y, size_t count, float factor);
