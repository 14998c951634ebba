#pragma once

#include <stddef.h>
#include <stdint.h>

// Numbers between samples, as weighted sums of those around them along one axis.

// y[place * n + i] = starts[place] + Σ weights[place * taps + tap] * x[indices[place * taps + tap] * n + i] for place < places, i < n
// and tap < taps. Samples of weight 0 aren't read.
void ck_resample_rows(
    const float *x, ptrdiff_t n, const int32_t *indices, const float *weights, const float *starts, ptrdiff_t taps, float *y,
    ptrdiff_t places);

// y[row * y_step + place] = starts[place] + Σ weights[place * taps + tap] * x[row * x_step + indices[place * taps + tap]] for
// row < rows, with indices below `extent`. `scratch` is of CK_RESAMPLED_ROWS * (extent + places) floats.
void ck_resample_columns(
    const float *x, ptrdiff_t x_step, ptrdiff_t extent, ptrdiff_t rows, const int32_t *indices, const float *weights,
    const float *starts, ptrdiff_t taps, float *scratch, float *y, ptrdiff_t y_step, ptrdiff_t places);

// Rows that are lanes of a vector.
enum { CK_RESAMPLED_ROWS = 16 };
