#pragma once

#include <stddef.h>

#include "finish.h"

// Sliding windows over planes that were laid out so that each place of a window reads numbers that lie side by side: with a stride of s,
// every s-th column of a padded plane is a plane of its own, a phase, and so is every s-th row. What a window reads at one of its places
// then lies at a constant offset from the window's own number, and neighbouring windows are neighbouring lanes. Between the windows of
// two rows there may be some of which nobody wants the result.

// How one phase of a plane is filled: rows of padding, then `rows` rows, then rows of padding, each of before + count + after columns, of
// which those in the middle are `count` numbers of the plane, column_step apart.
typedef struct {
    ptrdiff_t rows_before;
    ptrdiff_t rows;
    ptrdiff_t rows_after;
    ptrdiff_t before;
    ptrdiff_t count;
    ptrdiff_t after;
    // The first number's place in the plane, and the distances of rows and of columns there.
    ptrdiff_t source;
    ptrdiff_t row_step;
    ptrdiff_t column_step;
    // The phase's place in the memory that is filled.
    ptrdiff_t target;
} ck_window_phase;

// Where `is_padded`, the padding is there already, as another plane's filling of the same memory has left it.
void ck_window_fill(
    const ck_window_phase *phases, ptrdiff_t count, const float *plane, float padding, int is_padded, float *target);

// y[row * y_step + i] = x[row * x_step + i] for rows of a few columns.
void ck_window_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t columns);

// y[i] = start + sum over t < taps of weights[t] x[offsets[t] + i], for i < n. Up to 15 numbers of x behind the last are read.
void ck_window_sum(
    const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y, ptrdiff_t n);

// y[i] = the largest of x[offsets[t] + i], NaN where any is, for i < n and taps >= 1. Up to 15 numbers of x behind the last are read.
void ck_window_max(const float *x, const ptrdiff_t *offsets, ptrdiff_t taps, float *y, ptrdiff_t n);

// c[i * ldc + j] = start[i] + sum over channels and taps t of a[(channel * taps + t) * rows + i] x[channel * channel_step + offsets[t]
// + j], for i < rows and all columns j of a tile, see ck_gemm_tile, or where `is_half` the first half of them; `rows` is at most a
// tile's.
void ck_window_product(
    int level, int rows, int is_half, ptrdiff_t channels, ptrdiff_t channel_step, ptrdiff_t taps, const ptrdiff_t *offsets,
    const float *a, const float *x, const float *start, float *c, ptrdiff_t ldc);

// The windows of a strip of rows, laid out: of `step` lanes from one row's first window to the next row's, `width` are windows.
typedef struct {
    const float *x;
    ptrdiff_t channels;
    ptrdiff_t channel_step;
    ptrdiff_t taps;
    const ptrdiff_t *offsets;
    ptrdiff_t lanes;
    ptrdiff_t step;
    ptrdiff_t width;
} ck_window_strip;

// Whether ck_window_strip_product() works on this machine.
int ck_has_window_strips(void);

// The products of all windows of a strip, one behind the other, with a panel of weights, a[(channel * taps + t) * a_step + i] for output i <
// rows: y[i * y_step + window] = f(start[i] + residual[i * y_step + window] + their sum), where `residual` may be null. `rows` is at most a
// tile's. Up to 31 numbers of x behind the last are read. `ahead` as ck_pointwise() has it.
void ck_window_strip_product(
    int rows, const ck_window_strip *strip, const float *a, ptrdiff_t a_step, const float *start, const float *residual,
    const ck_finish *finish, float *y, ptrdiff_t y_step, const float *ahead);
