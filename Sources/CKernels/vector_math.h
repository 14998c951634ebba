// Lanes of 16 floats and the exponential, private to the kernels of this module.
//
// The compiler turns 16 lanes into one, two or four registers, whichever the function's target has. Vectors stay local to a
// function (how they are passed depends on the target); what is shared are scalar functions, whose loops vectorise.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// One copy of a function for each level of x86-64; the loader picks when the program starts.
#if defined(__x86_64__) && defined(__linux__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), min_vector_width(512)))
#else
#define VECTOR_CLONES
#endif

#define VECTOR_INLINE static inline __attribute__((always_inline, unused))

// Loops over independent elements, as wide as the widest registers. An output may be an input, element for element, which the
// compiler would otherwise take for a dependence at run time.
#define VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety) vectorize_width(16)")

#define VECTOR_LANES 16

// At any address of a float.
typedef float vector_f32 __attribute__((ext_vector_type(VECTOR_LANES), aligned(4), may_alias));

#define VECTOR_AT(pointer) (*(vector_f32 *)(pointer))
#define VECTOR_CONST_AT(pointer) (*(const vector_f32 *)(pointer))

// The sum of 16 lanes, in a tree.
VECTOR_INLINE float lanes_sum(const float *lanes) {
    float sums[VECTOR_LANES / 2];
    for (int i = 0; i < VECTOR_LANES / 2; i++) sums[i] = lanes[i] + lanes[i + VECTOR_LANES / 2];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

VECTOR_INLINE float lanes_maximum(const float *lanes) {
    float result = lanes[0];
    for (int i = 1; i < VECTOR_LANES; i++) result = lanes[i] > result ? lanes[i] : result;
    return result;
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

// e^x with an error below 1.5 ulp, without branches; infinity, zero, subnormal results and NaN come out as they should.
//
// x = n·ln 2 + r with |r| <= ln 2 / 2, where ln 2 is split in two so that n·high is exact (Cody and Waite, Software Manual for the
// Elementary Functions, 1980, chapter 6). e^r is 1 + r + r²·q(r), q of degree 4 fitted for the least relative error (3.1e-9) over
// the interval by reweighted least squares. 2^n is applied as a product of two powers, since n may leave the exponent's range.
VECTOR_INLINE float exponential(float x) {
    // Comparisons are false for NaN, which so passes through.
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the significand.
    const float magic = 12582912.0f;
    const float shifted = x * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float q = r * 0x1.6a23ccp-10f + 0x1.123a20p-7f;
    q = q * r + 0x1.5558f2p-5f;
    q = q * r + 0x1.555492p-3f;
    q = q * r + 0x1.fffffcp-2f;
    const float power = (q * r) * r + r + 1.0f;
    const int32_t exponent = (int32_t)(float_to_bits(shifted) - 0x4B400000u);
    const int32_t half = exponent >> 1;
    return power * bits_to_float((uint32_t)(half + 127) << 23) * bits_to_float((uint32_t)(exponent - half + 127) << 23);
}

// x·σ(x) = x / (1 + e^-x), the SiLU activation.
VECTOR_INLINE float silu(float x) { return x / (1.0f + exponential(-x)); }
