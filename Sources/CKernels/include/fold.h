#pragma once

#include <stddef.h>

// The sums of a transposed convolution, from the products of its pixels with the weights of a row of taps.

// y[row * y_row_step + i * stride + tap] += products[tap * step + row * row_step + i] for row < rows, i < n and tap < taps, of which there
// are at most `stride`.
void ck_add_interleaved(
    const float *products, ptrdiff_t step, ptrdiff_t row_step, ptrdiff_t taps, float *y, ptrdiff_t stride, ptrdiff_t y_row_step,
    ptrdiff_t n, ptrdiff_t rows);
