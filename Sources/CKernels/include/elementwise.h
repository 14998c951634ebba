#pragma once

#include <stddef.h>
#include <stdint.h>

// Loops over contiguous float32 arrays, vectorised for the CPU at hand. `y` may be `x` (or an operand) itself, but may not
// overlap it otherwise. Errors are in units in the last place (ulp) against the correctly rounded result.

// Two operands; a step is 1 for an array and 0 for one number that stands for all.
void ck_add(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
void ck_sub(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
void ck_mul(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
void ck_div(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
// The smaller and the larger operand; NaN where either is.
void ck_min(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
void ck_max(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
// C's fmod, with the sign of a, which is exact; and Python's %, with the sign of b, which is rounded once where the signs differ.
void ck_truncated_remainder(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
void ck_floored_remainder(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);
// a where it isn't negative, a * b elsewhere.
void ck_prelu(const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n);

// Elementary functions, at most 2 ulp; sigmoid and the activations made of it at most 4, and the sigmoid of numbers below -87 is 0.
void ck_exp(const float *x, float *y, ptrdiff_t n);
void ck_log(const float *x, float *y, ptrdiff_t n);
void ck_erf(const float *x, float *y, ptrdiff_t n);
void ck_tanh(const float *x, float *y, ptrdiff_t n);
void ck_sigmoid(const float *x, float *y, ptrdiff_t n);
void ck_atan(const float *x, float *y, ptrdiff_t n);
void ck_sin(const float *x, float *y, ptrdiff_t n);
void ck_cos(const float *x, float *y, ptrdiff_t n);
void ck_asin(const float *x, float *y, ptrdiff_t n);
void ck_acos(const float *x, float *y, ptrdiff_t n);
void ck_tan(const float *x, float *y, ptrdiff_t n);
void ck_sinh(const float *x, float *y, ptrdiff_t n);
void ck_cosh(const float *x, float *y, ptrdiff_t n);
void ck_asinh(const float *x, float *y, ptrdiff_t n);
void ck_acosh(const float *x, float *y, ptrdiff_t n);
void ck_atanh(const float *x, float *y, ptrdiff_t n);
void ck_sqrt(const float *x, float *y, ptrdiff_t n);
void ck_reciprocal(const float *x, float *y, ptrdiff_t n);
void ck_abs(const float *x, float *y, ptrdiff_t n);
void ck_neg(const float *x, float *y, ptrdiff_t n);
// Rotates pairs of numbers, (a, b) -> (a cos - b sin, a sin + b cos), for p < half: neighbours where `is_interleaved`, else numbers `half`
// apart.
void ck_rotate(const float *x, const float *cosines, const float *sines, ptrdiff_t half, int is_interleaved, float *y);
// Zeros and NaN are themselves.
void ck_sign(const float *x, float *y, ptrdiff_t n);
void ck_floor(const float *x, float *y, ptrdiff_t n);
void ck_ceil(const float *x, float *y, ptrdiff_t n);
void ck_round_even(const float *x, float *y, ptrdiff_t n);

// Activations. Formulas: ONNX operators Relu, Softplus, Softsign, Mish, HardSwish, Gelu.
void ck_relu(const float *x, float *y, ptrdiff_t n);
void ck_softplus(const float *x, float *y, ptrdiff_t n);
void ck_softsign(const float *x, float *y, ptrdiff_t n);
void ck_mish(const float *x, float *y, ptrdiff_t n);
void ck_hard_swish(const float *x, float *y, ptrdiff_t n);
// (x * clip(x + 3, 0, 6)) / 6, whose product is infinite beyond FLT_MAX / 6.
void ck_hard_swish_divided_last(const float *x, float *y, ptrdiff_t n);
// x * sigmoid(x).
void ck_silu(const float *x, float *y, ptrdiff_t n);
// x / 2 * (1 + erf(x / sqrt 2)).
void ck_gelu_erf(const float *x, float *y, ptrdiff_t n);
// (x * (1 + erf(x / sqrt 2))) / 2, whose product is infinite beyond FLT_MAX / 2.
void ck_gelu_erf_halved_last(const float *x, float *y, ptrdiff_t n);
// y[r * y_step + i] = x[r * x_step + i] * gelu_erf(x[r * x_step + gate + i]) for r < rows and i < n; or gelu_erf_halved_last.
void ck_gated_gelu(
    const float *x, ptrdiff_t x_step, ptrdiff_t gate, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t n, int halves_last);
// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
void ck_gelu_tanh(const float *x, float *y, ptrdiff_t n);

// Activations of two parameters; those that take one ignore b.
void ck_leaky_relu(const float *x, float *y, ptrdiff_t n, float a, float b);
// a * (exp(x) - 1) below 0, b * x above. Elu: b = 1; Selu: a = alpha * gamma, b = gamma.
void ck_elu(const float *x, float *y, ptrdiff_t n, float a, float b);
// a * (exp(x / a) - 1) below 0, x above.
void ck_celu(const float *x, float *y, ptrdiff_t n, float a, float b);
// a * x + b, brought into 0...1.
void ck_hard_sigmoid(const float *x, float *y, ptrdiff_t n, float a, float b);
void ck_thresholded_relu(const float *x, float *y, ptrdiff_t n, float a, float b);
// x * sigmoid(a * x).
void ck_swish(const float *x, float *y, ptrdiff_t n, float a, float b);
// a * x + b.
void ck_scale_shift(const float *x, float *y, ptrdiff_t n, float a, float b);
// x brought into a...b; NaN stays.
void ck_clip(const float *x, float *y, ptrdiff_t n, float a, float b);

// Reductions of one row; sums in 16 or more interleaved lanes.
float ck_row_sum(const float *x, ptrdiff_t n);
float ck_row_sum_abs(const float *x, ptrdiff_t n);
float ck_row_sum_square(const float *x, ptrdiff_t n);
// The same in double precision.
double ck_row_sum_wide(const float *x, ptrdiff_t n);
double ck_row_sum_abs_wide(const float *x, ptrdiff_t n);
double ck_row_sum_square_wide(const float *x, ptrdiff_t n);
// The least and the largest; NaN where any element is; infinities of the other sign for empty rows.
float ck_row_min(const float *x, ptrdiff_t n);
float ck_row_max(const float *x, ptrdiff_t n);
// The first place of `value` among n numbers; n where there is none.
ptrdiff_t ck_row_place(const float *x, ptrdiff_t n, float value);
// Unsigned numbers in the order of n integers or floats of four bytes, whose bits are x: keys[i] = order(x[i]) ^ flip. `sign` is the bit of
// the sign, 0 of types without one; `infinity` the bits of an infinity, UINT32_MAX of integers. Zeros of floats are equal, and a NaN is
// UINT32_MAX before bits are flipped.
void ck_order_keys(const uint32_t *x, ptrdiff_t n, uint32_t sign, uint32_t infinity, uint32_t flip, uint32_t *keys);
// The first place from `start` on, before n, whose key is below `bound`; n where there is none.
ptrdiff_t ck_next_below(const uint32_t *keys, ptrdiff_t start, ptrdiff_t n, uint32_t bound);
// places[i] = the row of the largest number of column i, or the least one, of rows `step` apart: of equal ones the first, or the last. A
// NaN is the extreme, the first one in any case. `count` is below 2^31.
void ck_column_places(
    const float *x, ptrdiff_t step, ptrdiff_t count, int64_t *places, ptrdiff_t n, int is_least, int is_last);
// y[i] += x[i], += |x[i]|, += x[i]^2.
void ck_accumulate(const float *x, float *y, ptrdiff_t n);
void ck_accumulate_abs(const float *x, float *y, ptrdiff_t n);
void ck_accumulate_square(const float *x, float *y, ptrdiff_t n);
void ck_accumulate_abs_wide(const float *x, double *y, ptrdiff_t n);
void ck_accumulate_square_wide(const float *x, double *y, ptrdiff_t n);
// y[i] = x[i] times factors[i], or times one factor where the step is 0, rounded once.
void ck_scale_wide(const float *x, const double *factors, ptrdiff_t step, float *y, ptrdiff_t n);
