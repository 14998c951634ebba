#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The functions of one element from which the loops are made: no branches, so that every loop over them vectorises.
//
// Polynomials are interpolations in Chebyshev nodes over the stated range, in 40 digits, rounded to float.

#if defined(__x86_64__) && defined(__linux__)
#define CK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CK_CLONES
#endif

// One loop for operands that are either the very same array as the result or apart from it.
#define CK_VECTORIZE _Pragma("clang loop vectorize(assume_safety) interleave_count(2)")

#define CK_INLINE static inline __attribute__((always_inline))

CK_INLINE float ck_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

CK_INLINE uint32_t ck_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// exp: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody & Waite, Software Manual for the Elementary Functions, 1980,
// chapter 6), exp(r) = 1 + r + r^2 P(r), and 2^n in two factors so that neither leaves the range.
CK_INLINE float ck_exp1(float x) {
    float clamped = x < -104.0f ? -104.0f : x;
    clamped = clamped > 89.0f ? 89.0f : clamped;
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer that stands in the low bits
    float shifted = clamped * 1.442695041f + magic;
    float n = shifted - magic;
    float r = clamped - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.989118027e-04f;
    p = p * r + 1.393382088e-03f;
    p = p * r + 8.333310485e-03f;
    p = p * r + 4.166646302e-02f;
    p = p * r + 1.666666716e-01f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    int32_t exponent = (int32_t)(ck_to_bits(shifted) - 0x4B400000u);
    int32_t half = exponent >> 1;
    float first = ck_from_bits((uint32_t)(half + 127) << 23);
    float second = ck_from_bits((uint32_t)(exponent - half + 127) << 23);
    return p * first * second;
}

// 2 artanh(s) / s - 2 as a polynomial in z = s^2, for log(1 + f) = f - (f^2 / 2 - s (f^2 / 2 + R)), s = f / (2 + f)
// (the argument reduction of FreeBSD's msun, e_logf.c, described in its comment).
CK_INLINE float ck_log1(float x) {
    int tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 8388608.0f : x;
    uint32_t bits = ck_to_bits(scaled);
    // The significand in [sqrt(1/2), sqrt 2).
    uint32_t shifted = bits - 0x3F3504F3u;
    int32_t exponent = (int32_t)shifted >> 23;
    float m = ck_from_bits((shifted & 0x007FFFFFu) + 0x3F3504F3u);
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
CK_INLINE float ck_log1p_unit(float u) {
    float s = u / (2.0f + u);
    float z = s * s;
    float r = 2.078761756e-01f;
    r = r * z + 1.746470183e-01f;
    r = r * z + 2.226471156e-01f;
    r = r * z + 2.857030630e-01f;
    r = r * z + 4.000000954e-01f;
    r = r * z + 6.666666865e-01f;
    return 2.0f * s + s * (r * z);
}

// erf: x + x P(x^2) for |x| <= 1; 1 - exp(Q(|x|)) beyond, with Q = log(erfc) over 1...4.
CK_INLINE float ck_erf1(float x) {
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
    float large = copysignf(1.0f - ck_exp1(q), x);
    return a > 1.0f ? large : small;
}

// tanh: x + x^3 P(x^2) below 0.625, 1 - 2 / (exp(2 |x|) + 1) beyond (the two ranges of Cody & Waite, chapter 13).
CK_INLINE float ck_tanh1(float x) {
    float a = fabsf(x);
    float z = a * a;
    float p = 2.292744815e-03f;
    p = p * z + -8.343945257e-03f;
    p = p * z + 2.176891826e-02f;
    p = p * z + -5.395925790e-02f;
    p = p * z + 1.333330423e-01f;
    p = p * z + -3.333333433e-01f;
    float small = p * z * x + x;
    float large = 1.0f - 2.0f / (ck_exp1(2.0f * a) + 1.0f);
    return copysignf(a > 0.625f ? large : small, x);
}

CK_INLINE float ck_sigmoid1(float x) {
    float e = ck_exp1(-fabsf(x));
    float r = 1.0f / (1.0f + e);
    return x < 0.0f ? e * r : r;
}

// sin (quadrant 0) and cos (quadrant 1): x = n pi / 2 + r in double precision with pi / 2 in two parts, right for |x| < 2^20;
// odd and even polynomials over |r| <= pi / 4.
CK_INLINE float ck_sincos1(float x, uint32_t quadrant) {
    const double magic = 6755399441055744.0; // 1.5 * 2^52
    double shifted = (double)x * 0.63661977236758134308 + magic;
    double n = shifted - magic;
    double exact = (double)x - n * 1.57079632673412561417;
    float r = (float)(exact - n * 6.07710050650619224932e-11);
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    uint32_t q = (uint32_t)bits + quadrant;
    float z = r * r;
    float s = 2.724931392e-06f;
    s = s * z + -1.984008268e-04f;
    s = s * z + 8.333331905e-03f;
    s = s * z + -1.666666716e-01f;
    s = s * z * r + r;
    float c = -2.730045026e-07f;
    c = c * z + 2.480059629e-05f;
    c = c * z + -1.388888806e-03f;
    c = c * z + 4.166666791e-02f;
    c = c * (z * z) + (1.0f - 0.5f * z);
    float value = (q & 1) ? c : s;
    return ck_from_bits(ck_to_bits(value) ^ ((q & 2) << 30));
}
