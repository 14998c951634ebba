#include "elementwise.h"

#include <float.h>
#include <string.h>

#include "wide_math.h"

#define CK_BINARY(name, expression)                                                                                          \
    CK_KERNEL(                                                                                                               \
        void, name, (const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n),             \
        (a, a_step, b, b_step, y, n)) {                                                                                      \
        if (a_step && b_step) {                                                                                              \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                  \
                float u = a[i], v = b[i];                                                                                    \
                y[i] = (expression);                                                                                         \
            }                                                                                                                \
        } else if (a_step) {                                                                                                 \
            const float v = *b;                                                                                              \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                  \
                float u = a[i];                                                                                              \
                y[i] = (expression);                                                                                         \
            }                                                                                                                \
        } else {                                                                                                             \
            const float u = *a;                                                                                              \
            ptrdiff_t step = b_step;                                                                                         \
            if (!step) {                                                                                                     \
                const float v = *b;                                                                                          \
                for (ptrdiff_t i = 0; i < n; i++) y[i] = (expression);                                                       \
                return;                                                                                                      \
            }                                                                                                                \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                  \
                float v = b[i];                                                                                              \
                y[i] = (expression);                                                                                         \
            }                                                                                                                \
        }                                                                                                                    \
    }

CK_BINARY(ck_add, u + v)
CK_BINARY(ck_sub, u - v)
CK_BINARY(ck_mul, u *v)
CK_BINARY(ck_div, u / v)
CK_BINARY(ck_min, u != u ? u : (v < u || v != v ? v : u))
CK_BINARY(ck_max, u != u ? u : (v > u || v != v ? v : u))
CK_BINARY(ck_prelu, u < 0.0f ? u * v : u)

// The remainder a - trunc(a / b) b of a finite b. In double precision it is exact below 2^27: the quotient is at least 2^-24 from the integer
// above it, which is more than is rounded away, and its product with b has no more than 51 bits.
VECTOR_INLINE float small_remainder(double a, double b) {
    const double rest = a - __builtin_elementwise_trunc(a / b) * b;
    return (float)copysign(rest, a);
}

// C's, with the sign of a.
VECTOR_INLINE float truncated_remainder(float rest, float b) {
    (void)b;
    return rest;
}

// Python's: with the sign of b, zeros included.
VECTOR_INLINE float floored_remainder(float rest, float b) {
    const float moved = (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
    return rest == 0.0f ? copysignf(0.0f, b) : moved;
}

// Blocks with other quotients go to the C library.
#define CK_REMAINDER(name, finish)                                                                                           \
    CK_KERNEL(                                                                                                               \
        void, name, (const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *y, ptrdiff_t n),             \
        (a, a_step, b, b_step, y, n)) {                                                                                      \
        enum { BLOCK = 256 };                                                                                                \
        float dividends[BLOCK], divisors[BLOCK], rests[BLOCK];                                                               \
        for (ptrdiff_t start = 0; start < n; start += BLOCK) {                                                               \
            const ptrdiff_t count = n - start < BLOCK ? n - start : BLOCK;                                                   \
            for (ptrdiff_t i = 0; i < count; i++) {                                                                          \
                dividends[i] = a_step ? a[start + i] : *a;                                                                   \
                divisors[i] = b_step ? b[start + i] : *b;                                                                    \
            }                                                                                                                \
            int is_small = 1;                                                                                                \
            for (ptrdiff_t i = 0; i < count; i++)                                                                            \
                is_small &= (fabsf(dividends[i]) < fabsf(divisors[i]) * 0x1p27f) & (fabsf(divisors[i]) <= 0x1p100f);          \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) {                                                              \
                rests[i] = small_remainder(dividends[i], divisors[i]);                                                       \
            }                                                                                                                \
            if (!is_small)                                                                                                   \
                for (ptrdiff_t i = 0; i < count; i++) rests[i] = fmodf(dividends[i], divisors[i]);                           \
            for (ptrdiff_t i = 0; i < count; i++) y[start + i] = finish(rests[i], divisors[i]);                              \
        }                                                                                                                    \
    }

CK_REMAINDER(ck_truncated_remainder, truncated_remainder)
CK_REMAINDER(ck_floored_remainder, floored_remainder)

#define CK_UNARY(name, expression)                                                                                           \
    CK_KERNEL(void, name, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {                                              \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                      \
            float v = x[i];                                                                                                  \
            y[i] = (expression);                                                                                             \
        }                                                                                                                    \
    }

// Blocks of numbers whose exponentials are neither subnormal nor infinite leave out what is for those: the same bits in less time.
CK_KERNEL(void, ck_exp, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {
    for (ptrdiff_t start = 0; start < n; start += 256) {
        const ptrdiff_t end = n - start < 256 ? n : start + 256;
        int is_moderate = 1;
        for (ptrdiff_t i = start; i < end; i++) is_moderate &= fabsf(x[i]) <= 87.0f;
        if (is_moderate) {
            VECTOR_LOOP for (ptrdiff_t i = start; i < end; i++) y[i] = moderate_exponential(x[i]);
        } else {
            VECTOR_LOOP for (ptrdiff_t i = start; i < end; i++) y[i] = exponential(x[i]);
        }
    }
}

CK_UNARY(ck_log, logarithm(v))
CK_UNARY(ck_erf, error_function(v))
CK_UNARY(ck_tanh, hyperbolic_tangent(v))
CK_UNARY(ck_atan, arctangent(v))
CK_UNARY(ck_asin, arcsine(v))
CK_UNARY(ck_acos, arccosine(v))
CK_UNARY(ck_sinh, (float)wide_hyperbolic_sine(v))
CK_UNARY(ck_cosh, (float)wide_hyperbolic_cosine(v))
CK_UNARY(ck_asinh, (float)wide_inverse_hyperbolic_sine(v))
CK_UNARY(ck_acosh, (float)wide_inverse_hyperbolic_cosine(v))
CK_UNARY(ck_atanh, (float)wide_inverse_hyperbolic_tangent(v))
CK_UNARY(ck_sigmoid, sigmoid(v))
// The C library's sqrtf sets errno, which keeps its loops from vectorising.
CK_UNARY(ck_sqrt, __builtin_elementwise_sqrt(v))
CK_UNARY(ck_reciprocal, 1.0f / v)
CK_UNARY(ck_abs, fabsf(v))
CK_UNARY(ck_neg, -v)
CK_UNARY(ck_sign, v > 0.0f ? 1.0f : (v < 0.0f ? -1.0f : v))
CK_UNARY(ck_floor, floorf(v))
CK_UNARY(ck_ceil, ceilf(v))
CK_UNARY(ck_round_even, rintf(v))

CK_UNARY(ck_relu, v < 0.0f ? 0.0f : v)
CK_UNARY(ck_softplus, (v > 0.0f ? v : 0.0f) + logarithm_one_plus(decaying_exponential(-fabsf(v))))
CK_UNARY(ck_softsign, v / (1.0f + fabsf(v)))
CK_UNARY(ck_hard_swish, v *fminf(fmaxf(v * (1.0f / 6.0f) + 0.5f, 0.0f), 1.0f))
CK_UNARY(ck_hard_swish_divided_last, v > FLT_MAX / 6.0f ? INFINITY : v *fminf(fmaxf(v * (1.0f / 6.0f) + 0.5f, 0.0f), 1.0f))
CK_UNARY(ck_silu, v *sigmoid(v))
CK_UNARY(ck_gelu_erf, gaussian_error_linear_unit(v))
CK_UNARY(ck_gelu_erf_halved_last, v > 0.5f * FLT_MAX ? INFINITY : gaussian_error_linear_unit(v))

#define GATED_GELU(gate, value) ((value) * ((gate) > limit ? INFINITY : gaussian_error_linear_unit(gate)))
#define GATED_GELU_ROWS(n)                                                                                                   \
    for (ptrdiff_t row = 0; row < rows; row++) {                                                                             \
        const float *values = x + row * x_step;                                                                              \
        float *target = y + row * y_step;                                                                                    \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < (n); i++) target[i] = GATED_GELU(values[gate + i], values[i]);                 \
    }

// Rows of 8, half a tile of 16 columns, two at a time: clang unrolls a loop of 8 before it would make vectors of it.
VECTOR_INLINE void gate_rows_of_8(
    const float *x, ptrdiff_t x_step, ptrdiff_t gate, float *y, ptrdiff_t y_step, ptrdiff_t rows, const float limit) {
    for (ptrdiff_t row = 0; row < rows; row += 2) {
        const ptrdiff_t next = row + 1 < rows ? row + 1 : row;
        const float *first = x + row * x_step, *second = x + next * x_step;
        float values[16], gates[16];
        memcpy(values, first, sizeof(float[8]));
        memcpy(values + 8, second, sizeof(float[8]));
        memcpy(gates, first + gate, sizeof(float[8]));
        memcpy(gates + 8, second + gate, sizeof(float[8]));
        VECTOR_LOOP for (int i = 0; i < 16; i++) values[i] = GATED_GELU(gates[i], values[i]);
        memcpy(y + row * y_step, values, sizeof(float[8]));
        memcpy(y + next * y_step, values + 8, sizeof(float[8]));
    }
}

CK_KERNEL(
    void, ck_gated_gelu,
    (const float *x, ptrdiff_t x_step, ptrdiff_t gate, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t n, int halves_last),
    (x, x_step, gate, y, y_step, rows, n, halves_last)) {
    const float limit = halves_last ? 0.5f * FLT_MAX : INFINITY;
    // Half a tile's columns, of 32 or of 16, without what loops of any length begin with.
    if (n == 16) {
        GATED_GELU_ROWS(16)
    } else if (n == 8) {
        gate_rows_of_8(x, x_step, gate, y, y_step, rows, limit);
    } else {
        GATED_GELU_ROWS(n)
    }
}
#undef GATED_GELU
#undef GATED_GELU_ROWS

// (1 + tanh u) / 2 = sigmoid(2 u).
CK_UNARY(ck_gelu_tanh, v *sigmoid(1.59576912f * (v + 0.044715f * v * v * v)))

// tanh(log(1 + e)) = (e^2 + 2 e) / (e^2 + 2 e + 2), with e = exp(x).
VECTOR_INLINE float ck_mish1(float x) {
    float e = decaying_exponential(x > 20.0f ? 20.0f : x);
    float n = e * (e + 2.0f);
    return x * (n / (n + 2.0f));
}

CK_UNARY(ck_mish, ck_mish1(v))

// Numbers beyond the range reduction's reach go to the C library, whose reduction has no bound.
#define CK_TRIGONOMETRIC(name, expression, library)                                                                          \
    CK_KERNEL(void, name, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {                                              \
        for (ptrdiff_t start = 0; start < n; start += 1024) {                                                                \
            const ptrdiff_t end = n - start < 1024 ? n : start + 1024;                                                       \
            int is_far = 0;                                                                                                  \
            for (ptrdiff_t i = start; i < end; i++) is_far |= !(fabsf(x[i]) < 1048576.0f);                                   \
            if (is_far) {                                                                                                    \
                for (ptrdiff_t i = start; i < end; i++) {                                                                    \
                    const float v = x[i];                                                                                    \
                    y[i] = fabsf(v) < 1048576.0f ? (expression) : library(v);                                                \
                }                                                                                                            \
            } else {                                                                                                         \
                VECTOR_LOOP for (ptrdiff_t i = start; i < end; i++) {                                                        \
                    const float v = x[i];                                                                                    \
                    y[i] = (expression);                                                                                     \
                }                                                                                                            \
            }                                                                                                                \
        }                                                                                                                    \
    }

CK_TRIGONOMETRIC(ck_sin, (float)wide_sine(v, 0), sinf)
CK_TRIGONOMETRIC(ck_cos, (float)wide_sine(v, 1), cosf)
CK_TRIGONOMETRIC(ck_tan, (float)wide_tangent(v), tanf)

#define CK_PARAMETRIC(name, expression)                                                                                      \
    CK_KERNEL(void, name, (const float *x, float *y, ptrdiff_t n, float a, float b), (x, y, n, a, b)) {                      \
        (void)b;                                                                                                             \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                      \
            float v = x[i];                                                                                                  \
            y[i] = (expression);                                                                                             \
        }                                                                                                                    \
    }

// exp(x) - 1 by way of tanh(x / 2) = t: 2 t / (1 - t), which loses nothing near 0; for x <= 0.
VECTOR_INLINE float ck_expm1_negative(float x) {
    float t = hyperbolic_tangent(0.5f * x);
    return 2.0f * t / (1.0f - t);
}

CK_PARAMETRIC(ck_leaky_relu, v < 0.0f ? a * v : v)
CK_PARAMETRIC(ck_elu, v > 0.0f ? b * v : a *ck_expm1_negative(v > 0.0f ? 0.0f : v))
CK_PARAMETRIC(ck_celu, v > 0.0f ? v : a *ck_expm1_negative((v > 0.0f ? 0.0f : v) / a))
CK_PARAMETRIC(ck_hard_sigmoid, a *v + b < 0.0f ? 0.0f : (a * v + b > 1.0f ? 1.0f : a * v + b))
CK_PARAMETRIC(ck_thresholded_relu, v > a ? v : 0.0f)
CK_PARAMETRIC(ck_swish, v *sigmoid(a * v))
// max(min, x) first, then min(max, x): where min > max the result is max (ONNX Clip-13).
CK_PARAMETRIC(ck_scale_shift, a *v + b)
CK_PARAMETRIC(ck_clip, (v < a ? a : v) > b ? b : (v < a ? a : v))

#define CK_ROW_SUM(name, expression)                                                                                         \
    VECTOR_INLINE float name##_block(const float *x, ptrdiff_t n) {                                                          \
        _Pragma("clang fp reassociate(on)") float sum = 0;                                                                   \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                                  \
            float v = x[i];                                                                                                  \
            sum += (expression);                                                                                             \
        }                                                                                                                    \
        return sum;                                                                                                          \
    }                                                                                                                        \
    /* Sums of blocks in double precision: the error stays that of one block, however long the row. */                       \
    CK_KERNEL(float, name, (const float *x, ptrdiff_t n), (x, n)) {                                                          \
        if (n <= 4096) return name##_block(x, n);                                                                            \
        double sum = 0;                                                                                                      \
        for (ptrdiff_t start = 0; start < n; start += 4096) {                                                                \
            sum += name##_block(x + start, n - start < 4096 ? n - start : 4096);                                             \
        }                                                                                                                    \
        return (float)sum;                                                                                                   \
    }

CK_ROW_SUM(ck_row_sum, v)
CK_ROW_SUM(ck_row_sum_abs, fabsf(v))
CK_ROW_SUM(ck_row_sum_square, v *v)

typedef double vector_f64 __attribute__((ext_vector_type(VECTOR_LANES)));
typedef double vector_f64x8 __attribute__((ext_vector_type(8)));
typedef double vector_f64x4 __attribute__((ext_vector_type(4)));
#define WIDE(x) __builtin_convertvector(x, vector_f64)

// The expression is 0 where v is, as behind the last number.
#define CK_ROW_SUM_WIDE(name, expression)                                                                                    \
    CK_KERNEL(double, name, (const float *x, ptrdiff_t n), (x, n)) {                                                         \
        vector_f64 sums[2] = {0, 0};                                                                                         \
        ptrdiff_t i = 0;                                                                                                     \
        for (; i + 2 * VECTOR_LANES <= n; i += 2 * VECTOR_LANES) {                                                           \
            for (int j = 0; j < 2; j++) {                                                                                    \
                const vector_f64 v = WIDE(VECTOR_CONST_AT(x + i + VECTOR_LANES * j));                                        \
                sums[j] += (expression);                                                                                     \
            }                                                                                                                \
        }                                                                                                                    \
        if (i + VECTOR_LANES <= n) {                                                                                         \
            const vector_f64 v = WIDE(VECTOR_CONST_AT(x + i));                                                               \
            sums[0] += (expression);                                                                                         \
            i += VECTOR_LANES;                                                                                               \
        }                                                                                                                    \
        if (i < n) {                                                                                                         \
            vector_f32 last = 0;                                                                                             \
            if (n >= VECTOR_LANES) {                                                                                         \
                /* The last vector, without those of its numbers that are summed already. */                                 \
                const vector_i32 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};                              \
                const vector_f32 whole = VECTOR_CONST_AT(x + n - VECTOR_LANES);                                              \
                last = lane >= (vector_i32)(int32_t)(VECTOR_LANES - (n - i)) ? whole : last;                                 \
            } else {                                                                                                         \
                for (ptrdiff_t j = 0; j < n; j++) last[j] = x[j];                                                            \
            }                                                                                                                \
            const vector_f64 v = WIDE(last);                                                                                 \
            sums[1] += (expression);                                                                                         \
        }                                                                                                                    \
        const vector_f64 lanes = sums[0] + sums[1];                                                                          \
        const vector_f64x8 eight = lanes.lo + lanes.hi;                                                                      \
        const vector_f64x4 four = eight.lo + eight.hi;                                                                       \
        return (four[0] + four[2]) + (four[1] + four[3]);                                                                    \
    }

CK_ROW_SUM_WIDE(ck_row_sum_wide, v)
CK_ROW_SUM_WIDE(ck_row_sum_abs_wide, __builtin_elementwise_abs(v))
CK_ROW_SUM_WIDE(ck_row_sum_square_wide, v *v)
#undef WIDE

// Running extremes in lanes; a comparison with NaN is false, so NaNs are noted beside them. The last vector may begin before the others end.
#define CK_ROW_EXTREME(name, start, comparison)                                                                              \
    CK_KERNEL(float, name, (const float *x, ptrdiff_t n), (x, n)) {                                                          \
        float extreme = start;                                                                                               \
        int has_nan = 0;                                                                                                     \
        if (n < VECTOR_LANES) {                                                                                              \
            for (ptrdiff_t i = 0; i < n; i++) {                                                                              \
                has_nan |= x[i] != x[i];                                                                                     \
                extreme = x[i] comparison extreme ? x[i] : extreme;                                                          \
            }                                                                                                                \
            return has_nan ? NAN : extreme;                                                                                  \
        }                                                                                                                    \
        vector_f32 best[2] = {start, start};                                                                                 \
        vector_i32 nans = 0;                                                                                                 \
        for (ptrdiff_t i = 0; i < n; i += 2 * VECTOR_LANES) {                                                                \
            for (int j = 0; j < 2; j++) {                                                                                    \
                const ptrdiff_t place = i + VECTOR_LANES * j;                                                                \
                const vector_f32 v = VECTOR_CONST_AT(x + (place < n - VECTOR_LANES ? place : n - VECTOR_LANES));             \
                nans |= (vector_i32)(v != v);                                                                                \
                best[j] = v comparison best[j] ? v : best[j];                                                                \
            }                                                                                                                \
        }                                                                                                                    \
        const vector_f32 both = best[1] comparison best[0] ? best[1] : best[0];                                              \
        const vector_f32x8 eight = both.hi comparison both.lo ? both.hi : both.lo;                                           \
        const vector_f32x4 four = eight.hi comparison eight.lo ? eight.hi : eight.lo;                                        \
        const vector_f32x2 two = four.hi comparison four.lo ? four.hi : four.lo;                                             \
        extreme = two.y comparison two.x ? two.y : two.x;                                                                    \
        return __builtin_reduce_or(nans) ? NAN : extreme;                                                                    \
    }

CK_ROW_EXTREME(ck_row_min, INFINITY, <)
CK_ROW_EXTREME(ck_row_max, -INFINITY, >)

CK_KERNEL(ptrdiff_t, ck_row_place, (const float *x, ptrdiff_t n, float value), (x, n, value)) {
    enum { BLOCK = 64 };
    ptrdiff_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        int is_found = 0;
        VECTOR_LOOP for (ptrdiff_t j = 0; j < BLOCK; j++) is_found |= x[i + j] == value;
        if (is_found) break;
    }
    while (i < n && x[i] != value) i++;
    return i;
}

CK_KERNEL(
    void, ck_rotate, (const float *x, const float *cosines, const float *sines, ptrdiff_t half, int is_interleaved, float *y),
    (x, cosines, sines, half, is_interleaved, y)) {
    if (is_interleaved) {
        VECTOR_LOOP for (ptrdiff_t p = 0; p < half; p++) {
            const float a = x[2 * p], b = x[2 * p + 1];
            y[2 * p] = cosines[p] * a - sines[p] * b;
            y[2 * p + 1] = sines[p] * a + cosines[p] * b;
        }
    } else {
        VECTOR_LOOP for (ptrdiff_t p = 0; p < half; p++) {
            const float a = x[p], b = x[half + p];
            y[p] = cosines[p] * a - sines[p] * b;
            y[half + p] = sines[p] * a + cosines[p] * b;
        }
    }
}

CK_KERNEL(
    void, ck_order_keys, (const uint32_t *x, ptrdiff_t n, uint32_t sign, uint32_t infinity, uint32_t flip, uint32_t *keys),
    (x, n, sign, infinity, flip, keys)) {
    if (infinity == UINT32_MAX) {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) keys[i] = x[i] ^ sign ^ flip;
        return;
    }
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {
        const uint32_t magnitude = x[i] & ~sign;
        // All bits of negative numbers, the sign of others.
        const uint32_t ordered = x[i] ^ ((0u - (x[i] >> 31)) | sign);
        keys[i] = (magnitude > infinity ? UINT32_MAX : magnitude == 0 ? sign : ordered) ^ flip;
    }
}

CK_KERNEL(
    ptrdiff_t, ck_next_below, (const uint32_t *keys, ptrdiff_t start, ptrdiff_t n, uint32_t bound), (keys, start, n, bound)) {
    enum { BLOCK = 32 };
    ptrdiff_t i = start;
    for (; i + BLOCK <= n; i += BLOCK) {
        int is_found = 0;
        VECTOR_LOOP for (ptrdiff_t j = 0; j < BLOCK; j++) is_found |= keys[i + j] < bound;
        if (is_found) break;
    }
    while (i < n && keys[i] >= bound) i++;
    return i;
}

// `vectors` neighbouring vectors of columns, in registers for all rows. The first NaN of a column is its extreme.
VECTOR_INLINE void column_places(
    const int vectors, const int is_least, const int is_last, const float *x, ptrdiff_t step, ptrdiff_t count, int64_t *places) {
    vector_f32 best[4];
    vector_i32 place[4];
    for (int v = 0; v < vectors; v++) {
        best[v] = VECTOR_CONST_AT(x + VECTOR_LANES * v);
        place[v] = 0;
    }
    for (ptrdiff_t row = 1; row < count; row++) {
        for (int v = 0; v < vectors; v++) {
            const vector_f32 numbers = VECTOR_CONST_AT(x + row * step + VECTOR_LANES * v);
            vector_i32 replaces = (vector_i32)(is_least ? numbers < best[v] : numbers > best[v]);
            if (is_last) replaces |= (vector_i32)(numbers == best[v]);
            replaces |= (vector_i32)(numbers != numbers) & (vector_i32)(best[v] == best[v]);
            best[v] = replaces ? numbers : best[v];
            place[v] = replaces ? (vector_i32)(int32_t)row : place[v];
        }
    }
    for (int v = 0; v < vectors; v++)
        for (int lane = 0; lane < VECTOR_LANES; lane++) places[VECTOR_LANES * v + lane] = place[v][lane];
}

VECTOR_INLINE void all_column_places(
    const int is_least, const int is_last, const float *x, ptrdiff_t step, ptrdiff_t count, int64_t *places, ptrdiff_t n) {
    enum { WIDE = 4 * VECTOR_LANES };
    ptrdiff_t i = 0;
    for (; i + WIDE <= n; i += WIDE) column_places(4, is_least, is_last, x + i, step, count, places + i);
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) column_places(1, is_least, is_last, x + i, step, count, places + i);
    for (; i < n; i++) {
        float best = x[i];
        places[i] = 0;
        for (ptrdiff_t row = 1; row < count; row++) {
            const float number = x[row * step + i];
            if ((is_least ? number < best : number > best) || (is_last && number == best) || (number != number && best == best)) {
                best = number;
                places[i] = row;
            }
        }
    }
}

CK_KERNEL(
    void, ck_column_places,
    (const float *x, ptrdiff_t step, ptrdiff_t count, int64_t *places, ptrdiff_t n, int is_least, int is_last),
    (x, step, count, places, n, is_least, is_last)) {
    if (is_least && is_last)
        all_column_places(1, 1, x, step, count, places, n);
    else if (is_least)
        all_column_places(1, 0, x, step, count, places, n);
    else if (is_last)
        all_column_places(0, 1, x, step, count, places, n);
    else
        all_column_places(0, 0, x, step, count, places, n);
}

CK_KERNEL(void, ck_accumulate, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i];
}

CK_KERNEL(void, ck_accumulate_abs, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] += fabsf(x[i]);
}

CK_KERNEL(void, ck_accumulate_square, (const float *x, float *y, ptrdiff_t n), (x, y, n)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i] * x[i];
}

CK_KERNEL(void, ck_accumulate_abs_wide, (const float *x, double *y, ptrdiff_t n), (x, y, n)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] += (double)fabsf(x[i]);
}

CK_KERNEL(void, ck_accumulate_square_wide, (const float *x, double *y, ptrdiff_t n), (x, y, n)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] += (double)x[i] * (double)x[i];
}

CK_KERNEL(
    void, ck_scale_wide, (const float *x, const double *factors, ptrdiff_t step, float *y, ptrdiff_t n), (x, factors, step, y, n)) {
    if (step) {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((double)x[i] * factors[i]);
    } else {
        const double factor = *factors;
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((double)x[i] * factor);
    }
}
