#include "include/peak.h"

// Twelve chains: more than the latency of a multiply-add times the number of units that do one.
enum { CHAINS = 12 };

#define MULTIPLY_ADD(name, width, attributes)                                                                                \
    typedef float name##_vector __attribute__((ext_vector_type(width)));                                                     \
    attributes static double name(ptrdiff_t rounds) {                                                                        \
        name##_vector sums[CHAINS], factor = 0.999f, addend = 1e-3f;                                                         \
        for (int i = 0; i < CHAINS; i++) sums[i] = (float)i;                                                                 \
        for (ptrdiff_t round = 0; round < rounds; round++) {                                                                 \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {                                            \
                sums[i] = sums[i] * factor + addend;                                                                         \
                /* Kept in a register, and from being computed ahead. */                                                     \
                __asm__ volatile("" : REGISTER(sums[i]));                                                                \
            }                                                                                                                \
        }                                                                                                                    \
        return 2.0 * CHAINS * width * (double)rounds;                                                                        \
    }

#if defined(__x86_64__)
#define REGISTER(value) "+v"(value)
#else
#define REGISTER(value) "+w"(value)
#endif

MULTIPLY_ADD(multiply_add_4, 4, )
#if defined(__x86_64__)
MULTIPLY_ADD(multiply_add_8, 8, __attribute__((target("avx2,fma"))))
MULTIPLY_ADD(multiply_add_16, 16, __attribute__((target("avx512f"), min_vector_width(512))))
#endif

double ck_peak_multiply_add(int width, ptrdiff_t rounds) {
#if defined(__x86_64__)
    if (width == 16) return multiply_add_16(rounds);
    if (width == 8) return multiply_add_8(rounds);
#endif
    return multiply_add_4(rounds);
}

void ck_peak_triad(float *a, const float *b, const float *c, float factor, ptrdiff_t count) {
#pragma clang loop vectorize(assume_safety)
    for (ptrdiff_t i = 0; i < count; i++) a[i] = b[i] + factor * c[i];
}
