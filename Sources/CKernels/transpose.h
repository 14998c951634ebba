// Rearranging floats in registers, in vectors of 8 and of 16: two registers of SSE and one of AVX2, or one of AVX-512. Wider vectors
// than the registers spill, and a panel of six rows would leave most of 16 lanes empty.
#pragma once

#include <stddef.h>

#include "kernel.h"

// At any address of a float.
typedef float vector_f32_8 __attribute__((ext_vector_type(8), aligned(4), may_alias));
typedef float vector_f32_16 __attribute__((ext_vector_type(16), aligned(4), may_alias));

// Turns eight rows of eight into columns, first within the halves of 4 as AVX2 has them, then across.
VECTOR_INLINE void transpose_8(vector_f32_8 x[8]) {
    vector_f32_8 y[8];
    for (int i = 0; i < 8; i += 2) {
        y[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        y[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    vector_f32_8 z[8];
    for (int i = 0; i < 8; i += 4) {
        z[i] = __builtin_shufflevector(y[i], y[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        z[i + 1] = __builtin_shufflevector(y[i], y[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        z[i + 2] = __builtin_shufflevector(y[i + 1], y[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        z[i + 3] = __builtin_shufflevector(y[i + 1], y[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        x[i] = __builtin_shufflevector(z[i], z[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        x[i + 4] = __builtin_shufflevector(z[i], z[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

// One of four rounds that turn 16 rows of 16 into columns: rows i and i + 8 become rows 2i and 2i + 1, interleaved.
VECTOR_INLINE void interleave_halves(const vector_f32_16 from[16], vector_f32_16 to[16]) {
    for (int i = 0; i < 8; i++) {
        to[2 * i] = __builtin_shufflevector(from[i], from[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        to[2 * i + 1] = __builtin_shufflevector(from[i], from[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}

VECTOR_INLINE void transpose_16(vector_f32_16 x[16]) {
    vector_f32_16 y[16];
    interleave_halves(x, y);
    interleave_halves(y, x);
    interleave_halves(x, y);
    interleave_halves(y, x);
}

// out[p * step + i] = a[i * row_step + p] for p < k and i < count <= 8 or 16, and zeros for the lanes above.
#define TRANSPOSE_ROWS(lanes)                                                                                                       \
    VECTOR_INLINE void transpose_rows_##lanes(                                                                                      \
        const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, ptrdiff_t step, float *out) {                                   \
        typedef vector_f32_##lanes vector;                                                                                          \
        /* The last block of a row begins earlier where it would reach beyond the row. */                                           \
        for (ptrdiff_t p = 0; k >= lanes && p < k; p += lanes) {                                                                    \
            const ptrdiff_t first = p + lanes <= k ? p : k - lanes;                                                                 \
            vector x[lanes];                                                                                                        \
            for (int i = 0; i < lanes; i++) x[i] = i < count ? *(const vector *)(a + i * row_step + first) : (vector)0;             \
            transpose_##lanes(x);                                                                                                   \
            for (int j = 0; j < lanes; j++) *(vector *)(out + (first + j) * step) = x[j];                                           \
        }                                                                                                                           \
        for (ptrdiff_t p = 0; k < lanes && p < k; p++) {                                                                            \
            vector column = 0;                                                                                                      \
            for (int i = 0; i < count; i++) column[i] = a[i * row_step + p];                                                        \
            *(vector *)(out + p * step) = column;                                                                                   \
        }                                                                                                                           \
    }
TRANSPOSE_ROWS(8)
TRANSPOSE_ROWS(16)
#undef TRANSPOSE_ROWS

// result[s] = elements s, s + 4, s + 8, … of 32 floats.
VECTOR_INLINE void every_fourth_8(const float *row, vector_f32_8 result[4]) {
    vector_f32_8 v[4], w[4];
    for (int i = 0; i < 4; i++) v[i] = *(const vector_f32_8 *)(row + 8 * i);
    // Tiles 0 and 4, 2 and 6, 1 and 5, 3 and 7, which then are transposed within the halves.
    w[0] = __builtin_shufflevector(v[0], v[2], 0, 1, 2, 3, 8, 9, 10, 11);
    w[1] = __builtin_shufflevector(v[1], v[3], 0, 1, 2, 3, 8, 9, 10, 11);
    w[2] = __builtin_shufflevector(v[0], v[2], 4, 5, 6, 7, 12, 13, 14, 15);
    w[3] = __builtin_shufflevector(v[1], v[3], 4, 5, 6, 7, 12, 13, 14, 15);
    vector_f32_8 low02 = __builtin_shufflevector(w[0], w[1], 0, 8, 1, 9, 4, 12, 5, 13);
    vector_f32_8 high02 = __builtin_shufflevector(w[0], w[1], 2, 10, 3, 11, 6, 14, 7, 15);
    vector_f32_8 low13 = __builtin_shufflevector(w[2], w[3], 0, 8, 1, 9, 4, 12, 5, 13);
    vector_f32_8 high13 = __builtin_shufflevector(w[2], w[3], 2, 10, 3, 11, 6, 14, 7, 15);
    result[0] = __builtin_shufflevector(low02, low13, 0, 8, 1, 9, 4, 12, 5, 13);
    result[1] = __builtin_shufflevector(low02, low13, 2, 10, 3, 11, 6, 14, 7, 15);
    result[2] = __builtin_shufflevector(high02, high13, 0, 8, 1, 9, 4, 12, 5, 13);
    result[3] = __builtin_shufflevector(high02, high13, 2, 10, 3, 11, 6, 14, 7, 15);
}

// The same of 64 floats.
VECTOR_INLINE void every_fourth_16(const float *row, vector_f32_16 result[4]) {
    vector_f32_16 v[4];
    for (int i = 0; i < 4; i++) v[i] = *(const vector_f32_16 *)(row + 16 * i);
    vector_f32_16 even01 = __builtin_shufflevector(v[0], v[1], 0, 4, 8, 12, 16, 20, 24, 28, 2, 6, 10, 14, 18, 22, 26, 30);
    vector_f32_16 odd01 = __builtin_shufflevector(v[0], v[1], 1, 5, 9, 13, 17, 21, 25, 29, 3, 7, 11, 15, 19, 23, 27, 31);
    vector_f32_16 even23 = __builtin_shufflevector(v[2], v[3], 0, 4, 8, 12, 16, 20, 24, 28, 2, 6, 10, 14, 18, 22, 26, 30);
    vector_f32_16 odd23 = __builtin_shufflevector(v[2], v[3], 1, 5, 9, 13, 17, 21, 25, 29, 3, 7, 11, 15, 19, 23, 27, 31);
    result[0] = __builtin_shufflevector(even01, even23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    result[1] = __builtin_shufflevector(odd01, odd23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    result[2] = __builtin_shufflevector(even01, even23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    result[3] = __builtin_shufflevector(odd01, odd23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}

// Lanes 1 and up, with `next` behind the last. Macros, since how a vector is passed depends on the target.
#define SHIFT_IN_8(v, next) __builtin_shufflevector(v, (vector_f32_8)(next), 1, 2, 3, 4, 5, 6, 7, 8)
#define SHIFT_IN_16(v, next)                                                                                                        \
    __builtin_shufflevector(v, (vector_f32_16)(next), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
