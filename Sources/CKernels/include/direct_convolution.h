#pragma once

#include <stddef.h>

// Stride-1 convolutions with 3×3 kernels and few output channels, one input channel at a time.

enum { CK_DIRECT_OUTPUTS = 4 };

// Adds one input channel to the sums of `outputs` <= 4 output channels:
// sums[o * channel_step + y * row_step + x] += sum over i, j < 3 of weights[o * weight_step + 3 i + j] strip[(y + i) * strip_step + x + j],
// for y < rows and x < columns, a multiple of 16. A row of the strip has columns + 2 floats.
void ck_direct_convolution(
    const float *strip, ptrdiff_t strip_step, const float *weights, ptrdiff_t weight_step, int outputs, ptrdiff_t rows,
    ptrdiff_t columns, float *sums, ptrdiff_t row_step, ptrdiff_t channel_step);
