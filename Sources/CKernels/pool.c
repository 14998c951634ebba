#include "include/pool.h"

#include <string.h>

#include "kernel.h"
#include "vector_math.h"

VECTOR_INLINE float larger(float u, float v) { return u != u ? u : (v > u || v != v ? v : u); }
VECTOR_INLINE float sum(float u, float v) { return u + v; }

// Several windows lie side by side where the stride is 1; else each is gone through alone.
#define POOL_ROW(combine)                                                                                                    \
    for (ptrdiff_t row = 1; row < rows; row++) {                                                                             \
        const float *from = x + row * row_step;                                                                              \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < width; i++) columns[i] = combine(columns[i], from[i]);                         \
    }                                                                                                                        \
    if (stride == 1) {                                                                                                       \
        memcpy(y, line, (size_t)n * sizeof(float));                                                                          \
        for (ptrdiff_t tap = 1; tap < taps; tap++) {                                                                         \
            const float *from = line + tap * dilation;                                                                       \
            VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = combine(y[i], from[i]);                                     \
        }                                                                                                                    \
    } else {                                                                                                                 \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                                  \
            const float *from = line + i * stride;                                                                           \
            float result = from[0];                                                                                          \
            for (ptrdiff_t tap = 1; tap < taps; tap++) result = combine(result, from[tap * dilation]);                       \
            y[i] = result;                                                                                                   \
        }                                                                                                                    \
    }

CK_KERNEL(
    void, ck_pool_row,
    (const float *x, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t width, float *line, ptrdiff_t before, ptrdiff_t taps,
     ptrdiff_t dilation, ptrdiff_t stride, float *y, ptrdiff_t n, int is_sum),
    (x, row_step, rows, width, line, before, taps, dilation, stride, y, n, is_sum)) {
    float *columns = line + before;
    memcpy(columns, x, (size_t)width * sizeof(float));
    if (is_sum) {
        POOL_ROW(sum)
    } else {
        POOL_ROW(larger)
    }
}
#undef POOL_ROW
