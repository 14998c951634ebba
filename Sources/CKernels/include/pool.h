#pragma once

#include <stddef.h>

// Pooling of a row of windows with many places each: of each column's rows first, then of the columns.

// y[i] = the largest, or the sum, of x[row * row_step + i * stride + tap * dilation - before] for i < n, row < rows and tap < taps, where x
// has `width` columns and `outside` around them. NaN is the largest number. `line` has room for `before`, the columns, and for what
// windows see behind them, where the caller has written `outside`, as before the columns; `rows` is at least 1.
void ck_pool_row(
    const float *x, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t width, float *line, ptrdiff_t before, ptrdiff_t taps,
    ptrdiff_t dilation, ptrdiff_t stride, float *y, ptrdiff_t n, int is_sum);
