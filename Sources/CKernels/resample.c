#include "include/resample.h"

#include "kernel.h"
#include "transpose.h"
#include "vector_math.h"

VECTOR_INLINE float weighted_sum(
    const float *x, ptrdiff_t step, const int32_t *indices, const float *weights, float start, ptrdiff_t taps) {
    float sum = start;
    for (ptrdiff_t tap = 0; tap < taps; tap++) {
        if (weights[tap] != 0) sum += weights[tap] * x[indices[tap] * step];
    }
    return sum;
}

// The last vector of a row begins earlier where it would reach beyond the row.
#define RESAMPLE(lanes)                                                                                                      \
    VECTOR_INLINE void ck_resample_rows_##lanes(                                                                             \
        const float *x, ptrdiff_t n, const int32_t *indices, const float *weights, const float *starts, ptrdiff_t taps,      \
        float *y, ptrdiff_t places) {                                                                                        \
        typedef vector_f32_##lanes vector;                                                                                   \
        for (ptrdiff_t place = 0; place < places; place++, indices += taps, weights += taps, y += n) {                       \
            for (ptrdiff_t i = 0; n >= lanes && i < n; i += lanes) {                                                         \
                const ptrdiff_t first = i + lanes <= n ? i : n - lanes;                                                      \
                vector sum = starts[place];                                                                                  \
                for (ptrdiff_t tap = 0; tap < taps; tap++) {                                                                 \
                    if (weights[tap] != 0) sum += weights[tap] * *(const vector *)(x + indices[tap] * n + first);            \
                }                                                                                                            \
                *(vector *)(y + first) = sum;                                                                                \
            }                                                                                                                \
            for (ptrdiff_t i = 0; n < lanes && i < n; i++) {                                                                 \
                y[i] = weighted_sum(x + i, n, indices, weights, starts[place], taps);                                        \
            }                                                                                                                \
        }                                                                                                                    \
    }                                                                                                                        \
    /* Rows become lanes for as long as it takes to weigh them. */                                                           \
    VECTOR_INLINE void ck_resample_columns_##lanes(                                                                          \
        const float *x, ptrdiff_t x_step, ptrdiff_t extent, ptrdiff_t rows, const int32_t *indices, const float *weights,    \
        const float *starts, ptrdiff_t taps, float *scratch, float *y, ptrdiff_t y_step, ptrdiff_t places) {                 \
        typedef vector_f32_##lanes vector;                                                                                   \
        float *results = scratch + lanes * extent;                                                                           \
        for (ptrdiff_t first = 0; first < rows; first += lanes, x += lanes * x_step, y += lanes * y_step) {                  \
            const int count = rows - first < lanes ? (int)(rows - first) : lanes;                                            \
            for (int row = 0; count < lanes / 4 && row < count; row++) {                                                     \
                for (ptrdiff_t place = 0; place < places; place++) {                                                         \
                    y[row * y_step + place] = weighted_sum(                                                                  \
                        x + row * x_step, 1, indices + place * taps, weights + place * taps, starts[place], taps);           \
                }                                                                                                            \
            }                                                                                                                \
            if (count < lanes / 4) break;                                                                                    \
            transpose_rows_##lanes(x, x_step, extent, count, lanes, scratch);                                                \
            ck_resample_rows_##lanes(scratch, lanes, indices, weights, starts, taps, results, places);                       \
            for (ptrdiff_t place = 0; places >= lanes && place < places; place += lanes) {                                   \
                const ptrdiff_t own = place + lanes <= places ? place : places - lanes;                                      \
                vector block[lanes];                                                                                         \
                for (int i = 0; i < lanes; i++) block[i] = *(const vector *)(results + (own + i) * lanes);                   \
                transpose_##lanes(block);                                                                                    \
                for (int row = 0; row < count; row++) *(vector *)(y + row * y_step + own) = block[row];                      \
            }                                                                                                                \
            for (ptrdiff_t place = 0; places < lanes && place < places; place++) {                                           \
                for (int row = 0; row < count; row++) y[row * y_step + place] = results[place * lanes + row];                \
            }                                                                                                                \
        }                                                                                                                    \
    }
RESAMPLE(8)
RESAMPLE(16)
#undef RESAMPLE

CK_KERNEL_BY_LANES(
    void, ck_resample_rows,
    (const float *x, ptrdiff_t n, const int32_t *indices, const float *weights, const float *starts, ptrdiff_t taps, float *y,
     ptrdiff_t places),
    (x, n, indices, weights, starts, taps, y, places))
CK_KERNEL_BY_LANES(
    void, ck_resample_columns,
    (const float *x, ptrdiff_t x_step, ptrdiff_t extent, ptrdiff_t rows, const int32_t *indices, const float *weights,
     const float *starts, ptrdiff_t taps, float *scratch, float *y, ptrdiff_t y_step, ptrdiff_t places),
    (x, x_step, extent, rows, indices, weights, starts, taps, scratch, y, y_step, places))
