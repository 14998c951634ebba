// Activations of sums in registers, or of what has just been written.
#pragma once

#include "include/finish.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>

CK_TARGET_AVX512 VECTOR_INLINE __m512 finished_512(__m512 v, const ck_finish *finish) {
    const __m512 zero = _mm512_setzero_ps(), one = _mm512_set1_ps(1), a = _mm512_set1_ps(finish->a), b = _mm512_set1_ps(finish->b);
    // The second operand of a minimum or maximum is the result where one of them is NaN.
    switch (finish->activation) {
    case CK_FINISH_CLIP: return _mm512_min_ps(b, _mm512_max_ps(a, v));
    case CK_FINISH_RELU: return _mm512_max_ps(zero, v);
    case CK_FINISH_LEAKY_RELU: return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), v, a);
    case CK_FINISH_HARD_SWISH: {
        const __m512 gate = _mm512_fmadd_ps(v, _mm512_set1_ps(1.0f / 6.0f), _mm512_set1_ps(0.5f));
        const __m512 value = _mm512_mul_ps(v, _mm512_min_ps(one, _mm512_max_ps(zero, gate)));
        return _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask(v, a, _CMP_GT_OQ), _mm512_set1_ps(INFINITY));
    }
    case CK_FINISH_HARD_SIGMOID: return _mm512_min_ps(one, _mm512_max_ps(zero, _mm512_fmadd_ps(a, v, b)));
    default: return v;
    }
}

CK_TARGET_AVX2 VECTOR_INLINE __m256 finished_256(__m256 v, const ck_finish *finish) {
    const __m256 zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1), a = _mm256_set1_ps(finish->a), b = _mm256_set1_ps(finish->b);
    switch (finish->activation) {
    case CK_FINISH_CLIP: return _mm256_min_ps(b, _mm256_max_ps(a, v));
    case CK_FINISH_RELU: return _mm256_max_ps(zero, v);
    case CK_FINISH_LEAKY_RELU: return _mm256_blendv_ps(v, _mm256_mul_ps(v, a), _mm256_cmp_ps(v, zero, _CMP_LT_OQ));
    case CK_FINISH_HARD_SWISH: {
        const __m256 gate = _mm256_fmadd_ps(v, _mm256_set1_ps(1.0f / 6.0f), _mm256_set1_ps(0.5f));
        const __m256 value = _mm256_mul_ps(v, _mm256_min_ps(one, _mm256_max_ps(zero, gate)));
        return _mm256_blendv_ps(value, _mm256_set1_ps(INFINITY), _mm256_cmp_ps(v, a, _CMP_GT_OQ));
    }
    case CK_FINISH_HARD_SIGMOID: return _mm256_min_ps(one, _mm256_max_ps(zero, _mm256_fmadd_ps(a, v, b)));
    default: return v;
    }
}

#endif

VECTOR_INLINE float finished(float v, int activation, float a, float b) {
    switch (activation) {
    case CK_FINISH_CLIP: return (v < a ? a : v) > b ? b : (v < a ? a : v);
    case CK_FINISH_RELU: return v < 0.0f ? 0.0f : v;
    case CK_FINISH_LEAKY_RELU: return v < 0.0f ? a * v : v;
    case CK_FINISH_HARD_SWISH: return v > a ? INFINITY : v * fminf(fmaxf(v * (1.0f / 6.0f) + 0.5f, 0.0f), 1.0f);
    case CK_FINISH_HARD_SIGMOID: return fminf(fmaxf(a * v + b, 0.0f), 1.0f);
    case CK_FINISH_SILU: return silu(v);
    default: return v;
    }
}

// Of sums that have been written, what isn't done in registers: of a part of a vector, its lanes at once as well. Not inlined, as it
// would be many times into kernels of many sizes.
#if defined(__x86_64__)
static CK_TARGET_AVX512 __attribute__((noinline)) void silu_rows_512(float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t i = 0; i < count; i += 16) {
            const __mmask16 mask = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : 0xFFFF;
            float *values = y + row * y_step + i, lanes[16];
            _mm512_storeu_ps(lanes, _mm512_maskz_loadu_ps(mask, values));
            VECTOR_LOOP for (int lane = 0; lane < 16; lane++) lanes[lane] = silu(lanes[lane]);
            _mm512_mask_storeu_ps(values, mask, _mm512_loadu_ps(lanes));
        }
    }
}

CK_TARGET_AVX512 VECTOR_INLINE void finish_rows_512(
    const ck_finish *finish, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t count) {
    if (finish->activation == CK_FINISH_SILU) silu_rows_512(y, y_step, rows, count);
}

// Lanes below `count`.
CK_TARGET_AVX2 VECTOR_INLINE __m256i first_lanes_256(ptrdiff_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static CK_TARGET_AVX2 __attribute__((noinline)) void silu_rows_256(float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t i = 0; i < count; i += 8) {
            const __m256i mask = first_lanes_256(count - i);
            float *values = y + row * y_step + i, lanes[8];
            _mm256_storeu_ps(lanes, _mm256_maskload_ps(values, mask));
            VECTOR_LOOP for (int lane = 0; lane < 8; lane++) lanes[lane] = silu(lanes[lane]);
            _mm256_maskstore_ps(values, mask, _mm256_loadu_ps(lanes));
        }
    }
}

CK_TARGET_AVX2 VECTOR_INLINE void finish_rows_256(
    const ck_finish *finish, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t count) {
    if (finish->activation == CK_FINISH_SILU) silu_rows_256(y, y_step, rows, count);
}
#endif

// Of rows of numbers, `step` apart.
VECTOR_INLINE void finish_rows(const ck_finish *finish, float *y, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t count) {
    const float a = finish->a, b = finish->b;
#define FINISH(activation)                                                                                                   \
    case activation: {                                                                                                       \
        for (ptrdiff_t row = 0; row < rows; row++, y += step)                                                                \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) y[i] = finished(y[i], activation, a, b);                        \
        return;                                                                                                              \
    }
    switch (finish->activation) {
        FINISH(CK_FINISH_CLIP)
        FINISH(CK_FINISH_RELU)
        FINISH(CK_FINISH_LEAKY_RELU)
        FINISH(CK_FINISH_HARD_SWISH)
        FINISH(CK_FINISH_HARD_SIGMOID)
        FINISH(CK_FINISH_SILU)
    default: return;
    }
#undef FINISH
}

// Of numbers with room behind them for a whole vector.
VECTOR_INLINE void finish_vectors(const ck_finish *finish, float *y, ptrdiff_t count) {
    finish_rows(finish, y, 0, 1, (count + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES);
}
