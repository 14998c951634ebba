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

// The lower of two neighbours along an axis and how near the place is to the other one; below -1 where there is no place.
VECTOR_INLINE void grid_place(double coordinate, double extent, int aligns_corners, int is_border, int64_t *low, double *ratio) {
    const double last = extent - 1;
    double place = aligns_corners ? (coordinate + 1) / 2 * last : ((coordinate + 1) * extent - 1) / 2;
    if (is_border) {
        place = place < 0 ? 0 : place;
        place = place > last ? last : place;
    }
    const int is_near = place > -2 && place < extent + 1;
    const double inside = is_near ? place : -2, below = __builtin_elementwise_floor(inside);
    *low = (int64_t)below;
    *ratio = inside - below;
}

CK_KERNEL(
    void, ck_grid_taps,
    (const float *grid, ptrdiff_t points, ptrdiff_t height, ptrdiff_t width, int aligns_corners, int is_border, ptrdiff_t *offsets,
     float *weights),
    (grid, points, height, width, aligns_corners, is_border, offsets, weights)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < points; i++) {
        int64_t row, column;
        double down, right;
        grid_place(grid[2 * i], (double)width, aligns_corners, is_border, &column, &right);
        grid_place(grid[2 * i + 1], (double)height, aligns_corners, is_border, &row, &down);
        // At the border the pixel beyond it counts for nothing.
        const int64_t next_row = is_border && row == height - 1 ? row : row + 1;
        const int64_t next_column = is_border && column == width - 1 ? column : column + 1;
        const int has_row = row >= 0 && row < height, has_next_row = next_row >= 0 && next_row < height;
        const int has_column = column >= 0 && column < width, has_next_column = next_column >= 0 && next_column < width;
        offsets[4 * i] = has_row && has_column ? row * width + column : -1;
        offsets[4 * i + 1] = has_row && has_next_column ? row * width + next_column : -1;
        offsets[4 * i + 2] = has_next_row && has_column ? next_row * width + column : -1;
        offsets[4 * i + 3] = has_next_row && has_next_column ? next_row * width + next_column : -1;
        weights[4 * i] = has_row && has_column ? (float)((1 - down) * (1 - right)) : 0;
        weights[4 * i + 1] = has_row && has_next_column ? (float)((1 - down) * right) : 0;
        weights[4 * i + 2] = has_next_row && has_column ? (float)(down * (1 - right)) : 0;
        weights[4 * i + 3] = has_next_row && has_next_column ? (float)(down * right) : 0;
    }
}

VECTOR_INLINE void sum_taps(
    const float *x, const ptrdiff_t *offsets, const float *weights, const ptrdiff_t taps, ptrdiff_t points, float *y) {
    static const float zero = 0;
    for (ptrdiff_t i = 0; i < points; i++, offsets += taps, weights += taps) {
        float sum = 0;
        for (ptrdiff_t tap = 0; tap < taps; tap++) {
            // Chosen without a branch, which places outside would mislead.
            const float *number = offsets[tap] < 0 ? &zero : x + offsets[tap];
            sum += weights[tap] * *number;
        }
        y[i] = sum;
    }
}

CK_KERNEL(
    void, ck_sum_taps,
    (const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, ptrdiff_t points, float *y),
    (x, offsets, weights, taps, points, y)) {
    if (taps == 4) return sum_taps(x, offsets, weights, 4, points, y);
    sum_taps(x, offsets, weights, taps, points, y);
}
