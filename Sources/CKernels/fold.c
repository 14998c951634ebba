#include "include/fold.h"

#include "kernel.h"
#include "vector_math.h"

// Loops of constant strides become shuffles of whole vectors.
#define ADD_ROWS(LOOP, stride, taps)                                                                                         \
    for (ptrdiff_t row = 0; row < rows; row++, products += row_step, y += y_row_step) {                                      \
        LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                             \
            for (ptrdiff_t tap = 0; tap < taps; tap++) y[i * stride + tap] += products[tap * step + i];                      \
        }                                                                                                                    \
    }

// One tap of a stride of two: with a zero for each number between them, of which there is none behind the last.
VECTOR_INLINE void add_every_second(
    const float *products, ptrdiff_t row_step, float *y, ptrdiff_t y_row_step, ptrdiff_t n, ptrdiff_t rows) {
    for (ptrdiff_t row = 0; row < rows; row++, products += row_step, y += y_row_step) {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n - 1; i++) {
            y[2 * i] += products[i];
            y[2 * i + 1] += 0.0f;
        }
        if (n > 0) y[2 * (n - 1)] += products[n - 1];
    }
}

CK_KERNEL(
    void, ck_add_interleaved,
    (const float *products, ptrdiff_t step, ptrdiff_t row_step, ptrdiff_t taps, float *y, ptrdiff_t stride, ptrdiff_t y_row_step,
     ptrdiff_t n, ptrdiff_t rows),
    (products, step, row_step, taps, y, stride, y_row_step, n, rows)) {
    if (taps == 1 && stride == 1) {
        ADD_ROWS(VECTOR_LOOP, 1, 1)
    } else if (taps == 2 && stride == 2) {
        ADD_ROWS(VECTOR_LOOP, 2, 2)
    } else if (taps == 4 && stride == 4) {
        ADD_ROWS(VECTOR_LOOP, 4, 4)
    } else if (taps == 8 && stride == 8) {
        ADD_ROWS(VECTOR_LOOP, 8, 8)
    } else if (taps == 1 && stride == 2) {
        add_every_second(products, row_step, y, y_row_step, n, rows);
    } else {
        ADD_ROWS(, stride, taps)
    }
}
#undef ADD_ROWS
