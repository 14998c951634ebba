// Lanes of 16 floats, and the functions of one element from which loops are made: no branches, so that every loop over them
// vectorises.
//
// Vectors stay local to a function (how they are passed depends on the target); what is shared are scalar functions.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel.h"

// Loops over independent elements, as wide as the widest registers and no wider, so that short rows run in vectors too. An output
// may be an input, element for element, which the compiler would otherwise take for a dependence at run time.
#define VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety) vectorize_width(16) interleave_count(1)")

#define VECTOR_LANES 16

// At any address of a float.
typedef float vector_f32 __attribute__((ext_vector_type(VECTOR_LANES), aligned(4), may_alias));

typedef int32_t vector_i32 __attribute__((ext_vector_type(VECTOR_LANES)));

// Parts of a vector.
typedef float vector_f32x8 __attribute__((ext_vector_type(8)));
typedef float vector_f32x4 __attribute__((ext_vector_type(4)));
typedef float vector_f32x2 __attribute__((ext_vector_type(2)));

#define VECTOR_AT(pointer) (*(vector_f32 *)(pointer))
#define VECTOR_CONST_AT(pointer) (*(const vector_f32 *)(pointer))

// The sum of 16 lanes, in a tree.
VECTOR_INLINE float lanes_sum(const float *lanes) {
    float sums[VECTOR_LANES / 2];
    for (int i = 0; i < VECTOR_LANES / 2; i++) sums[i] = lanes[i] + lanes[i + VECTOR_LANES / 2];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// The largest of 16 lanes, none of them NaN, in a tree.
VECTOR_INLINE float lanes_maximum(const float *lanes) {
    const vector_f32 sixteen = VECTOR_CONST_AT(lanes);
    const vector_f32x8 eight = sixteen.hi > sixteen.lo ? sixteen.hi : sixteen.lo;
    const vector_f32x4 four = eight.hi > eight.lo ? eight.hi : eight.lo;
    const vector_f32x2 two = four.hi > four.lo ? four.hi : four.lo;
    return two.y > two.x ? two.y : two.x;
}

VECTOR_INLINE float bits_to_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

VECTOR_INLINE uint32_t float_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// e^x is 2^n e^r, with x = n ln 2 + r and |r| <= ln 2 / 2. ln 2 is split in two so that n times its first part is exact (Cody and
// Waite, Software Manual for the Elementary Functions, 1980, chapter 6). e^r is 1 + r + r² q(r), q of degree 4 fitted for the least
// relative error (3.1e-9) over the interval by reweighted least squares.
typedef struct {
    // e^r
    float power;
    // The bits of a number whose lowest ones are n: 0x4B400000 + n.
    uint32_t shifted;
} reduced_exponential;

// e^r for |r| <= ln 2 / 2, as above.
VECTOR_INLINE float exponential_of_rest(float r) {
    float q = r * 0x1.6a23ccp-10f + 0x1.123a20p-7f;
    q = q * r + 0x1.5558f2p-5f;
    q = q * r + 0x1.555492p-3f;
    q = q * r + 0x1.fffffcp-2f;
    return (q * r) * r + r + 1.0f;
}

VECTOR_INLINE reduced_exponential reduce_exponential(float x) {
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the significand.
    const float magic = 12582912.0f;
    const float shifted = x * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    return (reduced_exponential){.power = exponential_of_rest(r), .shifted = float_to_bits(shifted)};
}

// 2^n for -126 <= n <= 127, where n stands in the low bits of `shifted`, as reduce_exponential() has it.
VECTOR_INLINE float shifted_power_of_two(uint32_t shifted) { return bits_to_float((shifted << 23) + 0x3F800000u); }

// e^x for -87 <= x <= 88; NaN stays one.
VECTOR_INLINE float moderate_exponential(float x) {
    const reduced_exponential e = reduce_exponential(x);
    return e.power * shifted_power_of_two(e.shifted);
}

// e^x for x <= 88, and 0 below -87, where it would be subnormal soon: nobody sees such a term of a sum, and products with subnormal numbers,
// or such results, take ten times as long on processors of Intel. NaN stays one.
VECTOR_INLINE float decaying_exponential(float x) {
    const float power = moderate_exponential(x < -87.0f ? -87.0f : x);
    return x < -87.0f ? 0.0f : power;
}

// e^x with an error below 1.5 ulp; infinity, zero, subnormal results and NaN come out as they should.
VECTOR_INLINE float exponential(float x) {
    // Comparisons are false for NaN, which so passes through.
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const reduced_exponential e = reduce_exponential(x);
    const int32_t n = (int32_t)(e.shifted - 0x4B400000u);
    // 2^128 is beyond the range, 2^127 twice is not.
    const int32_t exponent = n > 127 ? 127 : n < -125 ? -125 : n;
    const float value = e.power * bits_to_float((uint32_t)(exponent + 127) << 23);
    // The bits of a small number are the whole number of times that 2^-149 goes into it, as it is rounded by adding 2^23. Computed in this way,
    // none of the operations has a subnormal result, which takes ten times as long on processors of Intel.
    const float times = e.power * bits_to_float((uint32_t)((n < -125 ? n : -125) + 149 + 127) << 23);
    const uint32_t rounded = float_to_bits(times + 8388608.0f) - 0x4B000000u, whole = float_to_bits(times) - 0x4A800000u;
    const float small = bits_to_float(times < 8388608.0f ? rounded : whole);
    // The bits of NaN, taken for an integer, may be any number.
    return n < -125 && x == x ? small : value * (n > 127 ? 2.0f : 1.0f);
}

// The polynomials below are interpolations in Chebyshev nodes over the stated range, in 40 digits, rounded to float.

// 2 artanh(s) / s - 2 as a polynomial in z = s^2, for log(1 + f) = f - (f^2 / 2 - s (f^2 / 2 + R)), s = f / (2 + f)
// (the argument reduction of FreeBSD's msun, e_logf.c, described in its comment).
VECTOR_INLINE float logarithm(float x) {
    int tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 8388608.0f : x;
    uint32_t bits = float_to_bits(scaled);
    // The significand in [sqrt(1/2), sqrt 2).
    uint32_t shifted = bits - 0x3F3504F3u;
    int32_t exponent = (int32_t)shifted >> 23;
    float m = bits_to_float((shifted & 0x007FFFFFu) + 0x3F3504F3u);
    float e = (float)exponent - (tiny ? 23.0f : 0.0f);
    float f = m - 1.0f;
    float s = f / (2.0f + f);
    float z = s * s;
    float r = 2.333161384e-01f;
    r = r * z + 2.855077982e-01f;
    r = r * z + 4.000012279e-01f;
    r = r * z + 6.666666865e-01f;
    r = r * z;
    float half_square = 0.5f * f * f;
    float result = e * 0.693359375f + (f - (half_square - (s * (half_square + r) + e * -2.12194440e-4f)));
    result = x == INFINITY ? INFINITY : result;
    result = x == 0.0f ? -INFINITY : result;
    return x >= 0.0f ? result : NAN;
}

// log(1 + u) for 0 <= u <= 1.
VECTOR_INLINE float logarithm_one_plus(float u) {
    // Smaller ones, which are their own logarithms, have squares that are subnormal.
    const float v = u < 1e-10f ? 1e-10f : u;
    float s = v / (2.0f + v);
    float z = s * s;
    float r = 2.078761756e-01f;
    r = r * z + 1.746470183e-01f;
    r = r * z + 2.226471156e-01f;
    r = r * z + 2.857030630e-01f;
    r = r * z + 4.000000954e-01f;
    r = r * z + 6.666666865e-01f;
    return u < 1e-10f ? u : 2.0f * s + s * (r * z);
}

// erf: x + x P(x^2) for |x| <= 1; 1 - exp(Q(|x|)) beyond, with Q = log(erfc) over 1...4.
VECTOR_INLINE float error_function(float x) {
    float a = fabsf(x);
    float z = a * a;
    float p = -9.667044651e-06f;
    p = p * z + 1.126595889e-04f;
    p = p * z + -8.484080317e-04f;
    p = p * z + 5.221031606e-03f;
    p = p * z + -2.686543018e-02f;
    p = p * z + 1.128378212e-01f;
    p = p * z + -3.761263788e-01f;
    p = p * z + 1.283791661e-01f;
    float small = p * x + x;
    float c = a > 4.0f ? 4.0f : a;
    float q = -7.582681860e-08f;
    q = q * c + 3.321684517e-06f;
    q = q * c + -6.229834980e-05f;
    q = q * c + 6.858366542e-04f;
    q = q * c + -5.064947065e-03f;
    q = q * c + 2.709952369e-02f;
    q = q * c + -1.110550165e-01f;
    q = q * c + -6.309530139e-01f;
    q = q * c + -1.130675197e+00f;
    q = q * c + 4.163292178e-04f;
    float large = copysignf(1.0f - moderate_exponential(q), x);
    return a > 1.0f ? large : small;
}

// atan: x + x P(x^2) for |x| <= 1, π/2 - atan(1 / x) beyond. An error below 2 ulp.
VECTOR_INLINE float arctangent(float x) {
    const float a = fabsf(x);
    const float inverse = 1.0f / a;
    const float t = a > 1.0f ? inverse : a;
    const float z = t * t;
    float p = -2.386997221e-03f;
    p = p * z + 1.350777131e-02f;
    p = p * z + -3.587153926e-02f;
    p = p * z + 6.250169128e-02f;
    p = p * z + -8.656880260e-02f;
    p = p * z + 1.103376448e-01f;
    p = p * z + -1.427856833e-01f;
    p = p * z + 1.999973953e-01f;
    p = p * z + -3.333333135e-01f;
    const float small = t + t * (z * p);
    // π/2 in two parts.
    const float large = (1.570796371e+00f - small) - 4.371138829e-08f;
    return copysignf(a > 1.0f ? large : small, x);
}

// asin and acos of numbers up to 0.7: x + x z P(z) with z = x², P of degree 7 fitted for the least relative error (1.8e-9) by reweighted least
// squares; beyond, by way of asin x = π/2 - 2 asin(sqrt((1 - x) / 2)), whose arguments are below 0.39. Errors below 2 ulp; NaN beyond 1.
typedef struct {
    // Of |x|, or of sqrt((1 - |x|) / 2) where `is_turned`.
    float value;
    int is_turned;
} reduced_arcsine;

VECTOR_INLINE reduced_arcsine reduce_arcsine(float x) {
    const float a = fabsf(x);
    const int is_turned = a > 0.7f;
    const float turned = 0.5f - 0.5f * a;
    const float z = is_turned ? turned : a * a;
    const float s = is_turned ? __builtin_elementwise_sqrt(turned) : a;
    float p = z * 0x1.e896d4p-4f + -0x1.04ef84p-3f;
    p = p * z + 0x1.9dc6b0p-4f;
    p = p * z + -0x1.26d582p-8f;
    p = p * z + 0x1.20c0b6p-5f;
    p = p * z + 0x1.69cae6p-5f;
    p = p * z + 0x1.334ad6p-4f;
    p = p * z + 0x1.555524p-3f;
    return (reduced_arcsine){.value = s + s * (z * p), .is_turned = is_turned};
}

VECTOR_INLINE float arcsine(float x) {
    const reduced_arcsine r = reduce_arcsine(x);
    // π/2 in two parts.
    const float turned = 1.570796371e+00f - (2.0f * r.value + 4.371138829e-08f);
    return copysignf(r.is_turned ? turned : r.value, x);
}

VECTOR_INLINE float arccosine(float x) {
    const reduced_arcsine r = reduce_arcsine(x);
    const float signed_value = copysignf(r.value, x);
    const float straight = 1.570796371e+00f - (signed_value + 4.371138829e-08f);
    const float turned = x < 0.0f ? 3.141592741e+00f - (2.0f * r.value + 8.742277657e-08f) : 2.0f * r.value;
    return r.is_turned ? turned : straight;
}

// 2^x for |x| <= 125, with a relative error below 1.6e-7.
//
// 2^x is 2^n 2^r with |r| <= 1/2; 2^r is 1 + r p(r), p of degree 4 fitted for the least relative error (9.2e-8) by reweighted least
// squares.
VECTOR_INLINE float power_of_two(float x) {
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the significand.
    const float magic = 12582912.0f;
    const float shifted = x + magic;
    const float r = x - (shifted - magic);
    float p = r * 0x1.5bba24p-10f + 0x1.3cea90p-7f;
    p = p * r + 0x1.c6b752p-5f;
    p = p * r + 0x1.ebf9bcp-3f;
    p = p * r + 0x1.62e42ap-1f;
    return bits_to_float(float_to_bits(p * r + 1.0f) + (float_to_bits(shifted) << 23));
}

// x (1 + erf(x / sqrt 2)) / 2, which is max(x, 0) - |x| erfc(|x| / sqrt 2) / 2. The binary logarithm of erfc(a / sqrt 2) / 2 is a
// polynomial of degree 10 over 0...6, fitted for the least absolute error of the result (2.7e-8) by reweighted least squares; beyond 6
// the second term is below 6e-9.
VECTOR_INLINE float gaussian_error_linear_unit(float x) {
    const float a = fabsf(x);
    float q = -0x1.e39f94p-26f;
    q = q * a + 0x1.bd2870p-21f;
    q = q * a + -0x1.60916cp-17f;
    q = q * a + 0x1.31c08ap-14f;
    q = q * a + -0x1.1516acp-12f;
    q = q * a + -0x1.445acp-15f;
    q = q * a + 0x1.caec2p-8f;
    q = q * a + -0x1.adf568p-5f;
    q = q * a + -0x1.d63984p-2f;
    q = q * a + -0x1.26aefp+0f;
    q = q * a + -0x1.fffffep-1f;
    const float tail = a * power_of_two(q);
    // x · 0 has the sign that x (1 + erf) has where the error function is -1, and is NaN for -∞.
    return (x > 0.0f ? x : x * 0.0f) - (a > 6.0f ? 0.0f : tail);
}

// tanh: x + x^3 P(x^2) below 0.625, 1 - 2 / (exp(2 |x|) + 1) beyond (the two ranges of Cody & Waite, chapter 13).
VECTOR_INLINE float hyperbolic_tangent(float x) {
    float a = fabsf(x);
    float z = a * a;
    float p = 2.292744815e-03f;
    p = p * z + -8.343945257e-03f;
    p = p * z + 2.176891826e-02f;
    p = p * z + -5.395925790e-02f;
    p = p * z + 1.333330423e-01f;
    p = p * z + -3.333333433e-01f;
    float small = p * z * x + x;
    float large = 1.0f - 2.0f / (moderate_exponential(a > 20.0f ? 40.0f : 2.0f * a) + 1.0f);
    return copysignf(a > 0.625f ? large : small, x);
}

// 0 below -87.
VECTOR_INLINE float sigmoid(float x) {
    float e = decaying_exponential(-fabsf(x));
    float r = 1.0f / (1.0f + e);
    return x < 0.0f ? e * r : r;
}

// x·σ(x), the SiLU activation.
VECTOR_INLINE float silu(float x) { return x * sigmoid(x); }

// A number brought between integers, rounded to the nearest, halves to even: adding 1.5·2^23 leaves it in the lowest bits of the
// significand. NaN becomes the least.
VECTOR_INLINE int32_t rounded_between(float x, float least, float largest) {
    x = x > least ? x : least;
    x = x < largest ? x : largest;
    return (int32_t)(float_to_bits(x + 12582912.0f) - 0x4B400000u);
}
