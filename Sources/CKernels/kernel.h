// How a kernel becomes one function for each instruction set, and one that picks among them as `ck_level()` says.
#pragma once

#include "include/gemm.h"

#define VECTOR_INLINE static inline __attribute__((always_inline, unused))

#if defined(__x86_64__)
#define CK_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define CK_TARGET_AVX_VNNI __attribute__((target("avx2,fma,avxvnni")))
#define CK_TARGET_AVX512_VNNI __attribute__((target("avx512f,avx512vl,avx512bw,avx512vnni"), min_vector_width(512)))
#define CK_TARGET_AVX512 __attribute__((target("avx512f,avx512vl"), min_vector_width(512)))
// `name`, as a copy of one body for AVX-512 and copies of another for the other levels.
#define CK_DISPATCH(result, name, parameters, arguments, widest_body, body)                                                  \
    CK_TARGET_AVX512 static result name##_avx512 parameters { return widest_body arguments; }                                \
    CK_TARGET_AVX2 static result name##_avx2 parameters { return body arguments; }                                           \
    static result name##_plain parameters { return body arguments; }                                                         \
    result name parameters {                                                                                                 \
        switch (ck_level()) {                                                                                                \
        case CK_LEVEL_AVX512: return name##_avx512 arguments;                                                                \
        case CK_LEVEL_AVX2: return name##_avx2 arguments;                                                                    \
        default: return name##_plain arguments;                                                                              \
        }                                                                                                                    \
    }
#else
#define CK_DISPATCH(result, name, parameters, arguments, widest_body, body)                                                  \
    result name parameters { return body arguments; }
#endif

// CK_KERNEL(void, ck_scale, (float *y, ptrdiff_t n, float factor), (y, n, factor)) { … }
//
// defines ck_scale, which a header declares. The body is inlined into a copy for each level and compiled to its instructions; so
// is what the body calls, if that is VECTOR_INLINE.
#define CK_KERNEL(result, name, parameters, arguments)                                                                       \
    VECTOR_INLINE result name##_body parameters;                                                                             \
    CK_DISPATCH(result, name, parameters, arguments, name##_body, name##_body)                                               \
    VECTOR_INLINE result name##_body parameters

// As CK_KERNEL, of the bodies name_16 for AVX-512 and name_8 for the other levels, which differ in the width of their vectors.
#define CK_KERNEL_BY_LANES(result, name, parameters, arguments)                                                              \
    CK_DISPATCH(result, name, parameters, arguments, name##_16, name##_8)
