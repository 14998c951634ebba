#pragma once

#include <stddef.h>

// Convolutions of one channel each by square kernels, of small strides, straight from the planes and into them.

typedef struct {
    // Of a plane.
    ptrdiff_t input_rows;
    ptrdiff_t input_columns;
    ptrdiff_t output_rows;
    ptrdiff_t output_columns;
    // Zeros before the first row, and before the first column.
    ptrdiff_t pad_top;
    ptrdiff_t pad_left;
    // Rows and columns of a kernel, and those from one window to the next.
    int kernel;
    int stride;
} ck_depthwise_geometry;

// Whether ck_depthwise() computes convolutions of such kernels and strides on this machine.
int ck_has_depthwise(ptrdiff_t kernel, ptrdiff_t stride);

// The output rows first_row <= row < last_row of `count` planes that lie one behind the other: of each the windows' products with the
// plane's own kernel, weights[plane][row][column], and starts[plane], or 0 where `starts` is null.
void ck_depthwise(
    const ck_depthwise_geometry *g, const float *x, ptrdiff_t count, const float *weights, const float *starts,
    ptrdiff_t first_row, ptrdiff_t last_row, float *y);
