// Functions of one number in double precision, without branches, so that loops over them vectorise. Kernels of float32 that round their
// results once are right in nearly all of their bits.
#pragma once

#include "vector_math.h"

// As VECTOR_LOOP.
#define WIDE_LOOP _Pragma("clang loop vectorize(assume_safety) vectorize_width(8) interleave_count(1)")

VECTOR_INLINE double bits_to_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

VECTOR_INLINE uint64_t double_to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Adding 1.5·2^52 rounds to an integer, which then stands in the low bits of the significand.
#define WIDE_MAGIC 6755399441055744.0

// ln 2 in two parts, of which the first has so few bits that its products with exponents are exact.
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33

// 2^n for -1022 <= n <= 1023 from WIDE_MAGIC + n.
VECTOR_INLINE double wide_power_of_two(double shifted) { return bits_to_double((double_to_bits(shifted) + 1023) << 52); }

// x = n ln 2 + r, with |r| <= ln 2 / 2, as reduce_exponential() has it.
typedef struct {
    // WIDE_MAGIC + n
    double shifted;
    // e^r - 1
    double power_minus_one;
} wide_reduced_exponential;

// e^r - 1 is r + r² q(r), q of degree 9 fitted for the least relative error (1.8e-17) by reweighted least squares.
VECTOR_INLINE wide_reduced_exponential wide_reduce_exponential(double x) {
    const double shifted = x * 0x1.71547652b82fep+0 + WIDE_MAGIC;
    const double n = shifted - WIDE_MAGIC;
    const double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    double q = r * 0x1.ae6916050695cp-26 + 0x1.28a1e60046de1p-22;
    q = q * r + 0x1.71de89c6511a5p-19;
    q = q * r + 0x1.a019a7663ab36p-16;
    q = q * r + 0x1.a01a01743a975p-13;
    q = q * r + 0x1.6c16c17ee047fp-10;
    q = q * r + 0x1.111111111928fp-7;
    q = q * r + 0x1.5555555552299p-5;
    q = q * r + 0x1.5555555555538p-3;
    q = q * r + 0x1.0000000000005p-1;
    return (wide_reduced_exponential){.shifted = shifted, .power_minus_one = (q * r) * r + r};
}

// e^x with an error below 1.1 ulp; infinity, zero, subnormal results and NaN come out as they should.
VECTOR_INLINE double wide_exponential(double x) {
    // Comparisons are false for NaN, which so passes through.
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    const wide_reduced_exponential e = wide_reduce_exponential(x);
    // 2^n in two factors: as one it may be beyond the range. The first product is exact.
    const double n = e.shifted - WIDE_MAGIC;
    const double half = 0.5 * n + WIDE_MAGIC;
    const double rest = n - (half - WIDE_MAGIC);
    return (e.power_minus_one + 1.0) * wide_power_of_two(half) * wide_power_of_two(rest + WIDE_MAGIC);
}

// log x with an error below 1 ulp, by the argument reduction of logarithm(): 2 artanh(s) / s - 2 is z R(z), R of degree 6 fitted for the
// least error (2.5e-18) by reweighted least squares.
VECTOR_INLINE double wide_logarithm(double x) {
    const int tiny = x < 0x1p-1022;
    const uint64_t bits = double_to_bits(tiny ? x * 0x1p54 : x);
    // The significand in [sqrt(1/2), sqrt 2), and the exponent + 1023.
    const uint64_t shifted = bits + (0x3FF0000000000000u - 0x3FE6A09E667F3BCDu);
    const double m = bits_to_double((shifted & 0x000FFFFFFFFFFFFFu) + 0x3FE6A09E667F3BCDu);
    // The bits behind those of 2^52 are an integer.
    const double exponent = bits_to_double((shifted >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
    const double e = tiny ? exponent - 54.0 : exponent;
    const double f = m - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    double r = z * 0x1.2f048b8e224cbp-3 + 0x1.39a1d53a40b39p-3;
    r = r * z + 0x1.74663da05a4f0p-3;
    r = r * z + 0x1.c71c52112f2c6p-3;
    r = r * z + 0x1.24924941e50e0p-2;
    r = r * z + 0x1.999999997fed2p-2;
    r = r * z + 0x1.5555555555592p-1;
    r = r * z;
    const double half_square = 0.5 * f * f;
    double result = e * LN2_HIGH + (f - (half_square - (s * (half_square + r) + e * LN2_LOW)));
    result = x == INFINITY ? INFINITY : result;
    result = x == 0.0 ? -INFINITY : result;
    return x >= 0.0 ? result : NAN;
}

// tanh x with an error below 3 ulp: by way of e^(2 |x|) - 1 = u, u / (u + 2). e^(2 |x|) - 1 loses nothing near 0 as 2^n (e^r - 1) + (2^n - 1).
VECTOR_INLINE double wide_hyperbolic_tangent(double x) {
    const double a = __builtin_elementwise_abs(x);
    // 20 is as good as infinity.
    const double twice = a > 20.0 ? 40.0 : 2.0 * a;
    const wide_reduced_exponential e = wide_reduce_exponential(twice);
    const double power = wide_power_of_two(e.shifted);
    const double u = power * e.power_minus_one + (power - 1.0);
    return copysign(u / (u + 2.0), x);
}

// sinh and cosh: x + x z P(z) with z = x² below 1, P of degree 4 interpolating with an error of 8.7e-14, and (e^|x| ∓ e^-|x|) / 2 beyond. The
// error is below 1e-12.
VECTOR_INLINE double wide_hyperbolic_sine(double x) {
    const double a = __builtin_elementwise_abs(x);
    const double z = x * x;
    double p = z * 0x1.b6960254cd0d7p-26 + 0x1.71cc3c15a7ffap-19;
    p = p * z + 0x1.a01a256d5b5e9p-13;
    p = p * z + 0x1.111110f203c43p-7;
    p = p * z + 0x1.5555555578494p-3;
    const double e = wide_exponential(a);
    return a < 1.0 ? x + x * (z * p) : copysign(0.5 * (e - 1.0 / e), x);
}

VECTOR_INLINE double wide_hyperbolic_cosine(double x) {
    const double e = wide_exponential(__builtin_elementwise_abs(x));
    return 0.5 * (e + 1.0 / e);
}

// arsinh, arcosh and artanh, with errors below 1e-8 for |x| < 1e-4 and 1e-11 beyond.
VECTOR_INLINE double wide_inverse_hyperbolic_sine(double x) {
    const double a = __builtin_elementwise_abs(x);
    return a < 1e-4 ? x : copysign(wide_logarithm(a + __builtin_elementwise_sqrt(a * a + 1.0)), x);
}

VECTOR_INLINE double wide_inverse_hyperbolic_cosine(double x) {
    return x < 1.0 ? NAN : wide_logarithm(x + __builtin_elementwise_sqrt((x - 1.0) * (x + 1.0)));
}

VECTOR_INLINE double wide_inverse_hyperbolic_tangent(double x) {
    const double a = __builtin_elementwise_abs(x);
    return a < 1e-4 ? x : copysign(0.5 * wide_logarithm((1.0 + a) / (1.0 - a)), x);
}

// x = n π / 2 + r for |x| < 2^20, with π / 2 in two parts, and sine and cosine of |r| <= π / 4 with errors below 1e-11: polynomials that were
// fitted for the least error (4.9e-12 and 6.1e-14) by reweighted least squares.
typedef struct {
    double sine;
    double cosine;
    // Its lowest bits are n.
    uint64_t quadrant;
} reduced_angle;

VECTOR_INLINE reduced_angle reduce_angle(double x) {
    const double shifted = x * 0.63661977236758134308 + WIDE_MAGIC;
    const double n = shifted - WIDE_MAGIC;
    const double r = (x - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
    const double z = r * r;
    double s = z * 0x1.6cd9f008a0b06p-19 + -0x1.a00fa4ac4ef09p-13;
    s = s * z + 0x1.1111089f31478p-7;
    s = s * z + -0x1.5555554cc5414p-3;
    double c = z * -0x1.23d98035f14fdp-22 + 0x1.a00f1a90a3c27p-16;
    c = c * z + -0x1.6c16b41319ca0p-10;
    c = c * z + 0x1.5555554712c16p-5;
    c = c * z + -0x1.ffffffffec37fp-2;
    return (reduced_angle){.sine = r * (1.0 + z * s), .cosine = 1.0 + z * c, .quadrant = double_to_bits(shifted)};
}

// sin x where `turns` is 0, and cos x where it is 1.
VECTOR_INLINE double wide_sine(double x, uint64_t turns) {
    const reduced_angle angle = reduce_angle(x);
    const uint64_t quadrant = angle.quadrant + turns;
    const double value = quadrant & 1 ? angle.cosine : angle.sine;
    return bits_to_double(double_to_bits(value) ^ (quadrant & 2) << 62);
}

VECTOR_INLINE double wide_tangent(double x) {
    const reduced_angle angle = reduce_angle(x);
    const int is_odd = angle.quadrant & 1;
    return (is_odd ? -angle.cosine : angle.sine) / (is_odd ? angle.sine : angle.cosine);
}
