#pragma once

#include <stddef.h>
#include <stdint.h>

// Products of float32 whose factors are rounded to bytes: the left one row by row as a product reads it, as ONNX's DynamicQuantizeLinear
// rounds a tensor, the right one once, column by column. What they multiply are the kernels of integer_product.h.

// Rounds rows of k numbers: with l and h the least and the largest of a row and 0, its scale is h / 255 - l / 255, its zero point -l / scale,
// rounded, and its bytes are x · (1 / scale), rounded, + the zero point, brought into 0...255; halves go to even numbers. A scale below
// 2^-100 counts as 0, and so does the row. Where a number isn't finite, the scale is NaN. Bytes behind the k-th, up to a multiple of four,
// are 0.
void ck_quantize_rows(
    const float *x, ptrdiff_t step, ptrdiff_t k, ptrdiff_t rows, uint8_t *y, ptrdiff_t y_step, float *scales, int32_t *zeros);

// The same of a transpose, k rows of `rows` numbers; y is as above.
void ck_quantize_columns(
    const float *x, ptrdiff_t step, ptrdiff_t k, ptrdiff_t rows, uint8_t *y, ptrdiff_t y_step, float *scales, int32_t *zeros);

// A right factor's panel of `columns` columns, a multiple of 16: the columns' scales (their largest magnitude over 127), the sums of their
// bytes, of int32, and the bytes in groups of four rows as ck_bytes_kernel reads them. Numbers are given row by row.
void ck_quantize_byte_panel(const float *numbers, ptrdiff_t depth, int columns, float *panel);

// Rows of floats whose place such a panel takes.
ptrdiff_t ck_byte_panel_rows(ptrdiff_t depth);

// What becomes of a tile's sums: y[i][j] = (sums[i][j] - row_zeros[i] · column_sums[j]) · scales[j] · row_scales[i] + offsets[j]
// + row_offsets[i] + addend[i][j]. The last three may be null.
typedef struct {
    const float *row_scales;
    const int32_t *row_zeros;
    const float *scales;
    const int32_t *column_sums;
    const float *offsets;
    const float *row_offsets;
    const float *addend;
    ptrdiff_t addend_step;
} ck_dynamic_terms;

void ck_scale_dynamic_sums(
    const int32_t *sums, ptrdiff_t step, ck_dynamic_terms terms, int rows, int columns, float *y, ptrdiff_t y_step);
