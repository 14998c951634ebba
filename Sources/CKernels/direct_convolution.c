#include "include/direct_convolution.h"

#include "vector_math.h"

// `vectors` neighbouring vectors of a row, in registers for all output channels.
VECTOR_INLINE void add_vectors(
    const int outputs, const int vectors, const float *strip, ptrdiff_t strip_step, const float *weights, ptrdiff_t weight_step,
    float *sums, ptrdiff_t channel_step) {
    vector_f32 sum[CK_DIRECT_OUTPUTS][2];
    for (int o = 0; o < outputs; o++)
        for (int v = 0; v < vectors; v++) sum[o][v] = VECTOR_CONST_AT(sums + o * channel_step + VECTOR_LANES * v);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            const float *pixels = strip + i * strip_step + j;
            for (int o = 0; o < outputs; o++) {
                const vector_f32 weight = (vector_f32)weights[o * weight_step + 3 * i + j];
                for (int v = 0; v < vectors; v++) sum[o][v] += weight * VECTOR_CONST_AT(pixels + VECTOR_LANES * v);
            }
        }
    for (int o = 0; o < outputs; o++)
        for (int v = 0; v < vectors; v++) VECTOR_AT(sums + o * channel_step + VECTOR_LANES * v) = sum[o][v];
}

VECTOR_INLINE void add_channel(
    const int outputs, const float *strip, ptrdiff_t strip_step, const float *weights, ptrdiff_t weight_step, ptrdiff_t rows,
    ptrdiff_t columns, float *sums, ptrdiff_t row_step, ptrdiff_t channel_step) {
    for (ptrdiff_t y = 0; y < rows; y++) {
        const float *pixels = strip + y * strip_step;
        float *row = sums + y * row_step;
        ptrdiff_t x = 0;
        for (; x + 2 * VECTOR_LANES <= columns; x += 2 * VECTOR_LANES)
            add_vectors(outputs, 2, pixels + x, strip_step, weights, weight_step, row + x, channel_step);
        if (x < columns) add_vectors(outputs, 1, pixels + x, strip_step, weights, weight_step, row + x, channel_step);
    }
}

CK_KERNEL(
    void, ck_direct_convolution,
    (const float *strip, ptrdiff_t strip_step, const float *weights, ptrdiff_t weight_step, int outputs, ptrdiff_t rows,
     ptrdiff_t columns, float *sums, ptrdiff_t row_step, ptrdiff_t channel_step),
    (strip, strip_step, weights, weight_step, outputs, rows, columns, sums, row_step, channel_step)) {
    switch (outputs) {
    case 1: return add_channel(1, strip, strip_step, weights, weight_step, rows, columns, sums, row_step, channel_step);
    case 2: return add_channel(2, strip, strip_step, weights, weight_step, rows, columns, sums, row_step, channel_step);
    case 3: return add_channel(3, strip, strip_step, weights, weight_step, rows, columns, sums, row_step, channel_step);
    default: return add_channel(4, strip, strip_step, weights, weight_step, rows, columns, sums, row_step, channel_step);
    }
}
