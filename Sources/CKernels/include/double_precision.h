#pragma once

#include <stddef.h>

// Loops over contiguous float64 arrays, vectorised for the CPU at hand. `y` may be `x` itself, but may not overlap it otherwise.

// At most 1.1 ulp; tanh and sigmoid at most 3.
void ck_wide_exp(const double *x, double *y, ptrdiff_t n);
void ck_wide_log(const double *x, double *y, ptrdiff_t n);
void ck_wide_tanh(const double *x, double *y, ptrdiff_t n);
void ck_wide_sigmoid(const double *x, double *y, ptrdiff_t n);
void ck_wide_sqrt(const double *x, double *y, ptrdiff_t n);
void ck_wide_reciprocal(const double *x, double *y, ptrdiff_t n);
void ck_wide_abs(const double *x, double *y, ptrdiff_t n);
void ck_wide_neg(const double *x, double *y, ptrdiff_t n);
void ck_wide_floor(const double *x, double *y, ptrdiff_t n);
void ck_wide_ceil(const double *x, double *y, ptrdiff_t n);
void ck_wide_round_even(const double *x, double *y, ptrdiff_t n);
void ck_wide_relu(const double *x, double *y, ptrdiff_t n);
