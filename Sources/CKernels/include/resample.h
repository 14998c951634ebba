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

// What linear interpolation at points of a picture of `height` × `width` takes, of a grid's coordinates (x, y) of each point from -1 to 1:
// four offsets and weights each, the upper row first. An offset of -1, whose weight is 0, is for what lies outside; with `is_border` the
// border is taken instead, and only points that are no numbers have none. -1 and 1 are the middles of the outermost pixels where
// `aligns_corners`, else their edges.
void ck_grid_taps(
    const float *grid, ptrdiff_t points, ptrdiff_t height, ptrdiff_t width, int aligns_corners, int is_border, ptrdiff_t *offsets,
    float *weights);

// y[i] = Σ weights[i * taps + tap] * x[offsets[i * taps + tap]] for i < points and tap < taps; an offset of -1 stands for a number 0.
void ck_sum_taps(
    const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, ptrdiff_t points, float *y);

// Rows that are lanes of a vector.
enum { CK_RESAMPLED_ROWS = 16 };
