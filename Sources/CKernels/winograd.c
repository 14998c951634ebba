#include "include/winograd.h"

#include <string.h>

#include "finish.h"
#include "include/gemm.h"
#include "short_rows.h"
#include "transpose.h"

// Lanes of a panel, and room for a vector that begins in its last lane.
enum { ROOM = CK_WINOGRAD_LANES + VECTOR_LANES };

// The points of interpolation are 0, ±5/8, ±3/2 and ∞. What rounding adds to sums is then less than half of what it is with 0, ±1, ±2
// and ∞, as computed from the transforms for uncorrelated numbers, and near the least for points of this form; squares are exact.
#define NEAR_POINT 0.625f
#define FAR_POINT 1.5f
#define NEAR_SQUARE (NEAR_POINT * NEAR_POINT)
#define FAR_SQUARE (FAR_POINT * FAR_POINT)
// What the transform of kernels divides by: the product of a point's distances from the others.
#define NEAR_DIVISOR (2 * NEAR_SQUARE * (NEAR_SQUARE - FAR_SQUARE))
#define FAR_DIVISOR (2 * FAR_SQUARE * (FAR_SQUARE - NEAR_SQUARE))

// Rows of B^T times a column: Lavin and Gray 2016, section 4.3, for these points.
#define INPUT_TRANSFORM(type, d0, d1, d2, d3, d4, d5, store)                                                                         \
    do {                                                                                                                            \
        type even = (d4) - FAR_SQUARE * (d2), odd = (d3) - FAR_SQUARE * (d1);                                                       \
        type near = (d4) - NEAR_SQUARE * (d2), far = (d3) - NEAR_SQUARE * (d1);                                                     \
        store(0, NEAR_SQUARE * FAR_SQUARE * (d0) - (NEAR_SQUARE + FAR_SQUARE) * (d2) + (d4));                                        \
        store(1, even + NEAR_POINT * odd);                                                                                          \
        store(2, even - NEAR_POINT * odd);                                                                                          \
        store(3, near + FAR_POINT * far);                                                                                           \
        store(4, near - FAR_POINT * far);                                                                                           \
        store(5, NEAR_SQUARE * FAR_SQUARE * (d1) - (NEAR_SQUARE + FAR_SQUARE) * (d3) + (d5));                                        \
    } while (0)

// Rows of A^T times a column.
#define OUTPUT_TRANSFORM(type, m0, m1, m2, m3, m4, m5, store)                                                                        \
    do {                                                                                                                            \
        type near_sum = (m1) + (m2), near_difference = (m1) - (m2);                                                                 \
        type far_sum = (m3) + (m4), far_difference = (m3) - (m4);                                                                   \
        store(0, (m0) + near_sum + far_sum);                                                                                        \
        store(1, NEAR_POINT * near_difference + FAR_POINT * far_difference);                                                        \
        store(2, NEAR_SQUARE * near_sum + FAR_SQUARE * far_sum);                                                                    \
        store(3, NEAR_SQUARE * NEAR_POINT * near_difference + FAR_SQUARE * FAR_POINT * far_difference + (m5));                       \
    } while (0)

// The first step of the input transform: six rows of pixels become the six rows of B^T d, `count` columns of them, at least as many as the
// vectors have lanes. The last vector ends where the row does, and computes some columns once more.
#define INPUT_ROWS(type, lanes)                                                                                                     \
    VECTOR_INLINE void input_rows_##lanes(const float *pixels[6], ptrdiff_t count, float *rows[6]) {                                \
        for (ptrdiff_t x = 0; x < count; x += lanes) {                                                                              \
            const ptrdiff_t column = x + lanes > count ? count - lanes : x;                                                         \
            type d[6];                                                                                                              \
            for (int r = 0; r < 6; r++) d[r] = *(const type *)(pixels[r] + column);                                                  \
            INPUT_TRANSFORM(type, d[0], d[1], d[2], d[3], d[4], d[5], STORE_ROW_##lanes);                                            \
        }                                                                                                                           \
    }
#define STORE_ROW_1(r, value) rows[r][column] = (value)
#define STORE_ROW_4(r, value) *(lanes4 *)(rows[r] + column) = (value)
#define STORE_ROW_8(r, value) *(vector_f32_8 *)(rows[r] + column) = (value)
#define STORE_ROW_16(r, value) *(vector_f32_16 *)(rows[r] + column) = (value)
INPUT_ROWS(float, 1)
INPUT_ROWS(lanes4, 4)
INPUT_ROWS(vector_f32_8, 8)
INPUT_ROWS(vector_f32_16, 16)

int ck_winograd_tile_group(int level) { return level == CK_LEVEL_AVX512 ? 4 : 2; }

#define LANES 8
#include "lanes.h"
#include "winograd_transforms.h"
#include "winograd_rows.h"
#undef LANES

#define LANES 16
#include "lanes.h"
#include "winograd_transforms.h"
#include "winograd_rows.h"
#undef LANES

CK_KERNEL_BY_LANES(
    void, ck_winograd_input,
    (const ck_winograd_geometry *g, const float *plane, ptrdiff_t first, int lane, int count, float *out, ptrdiff_t position_step),
    (g, plane, first, lane, count, out, position_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_weights,
    (const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step),
    (weights, channel_step, channels, count, rows, out, position_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_packed_weights, (const float *panel, ptrdiff_t channels, int rows, float *out, ptrdiff_t position_step),
    (panel, channels, rows, out, position_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_output_channels,
    (const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, int channels, const float *bias, ptrdiff_t tile,
     const float *residual, const ck_finish *finish, float *planes, ptrdiff_t plane_step),
    (g, m, position_step, channels, bias, tile, residual, finish, planes, plane_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_tile_values, (const float *transformed, ptrdiff_t step, int tiles, ptrdiff_t channel, ptrdiff_t channels, float *values),
    (transformed, step, tiles, channel, channels, values))

CK_KERNEL_BY_LANES(
    void, ck_winograd_multiply_rows,
    (const float *panel, ptrdiff_t channels, int columns, const float *values, int tiles, int is_first, float *sums, float *scratch),
    (panel, channels, columns, values, tiles, is_first, sums, scratch))

// Writes the pixels of `count` tiles to a plane, without what lies beyond its edges, or adds the plane's to them.
VECTOR_INLINE void move_pixels(
    const ck_winograd_geometry *g, float (*pixels)[4 * ROOM], ptrdiff_t first, int count, float *plane, const int is_added) {
    for (int done = 0; done < count;) {
        ptrdiff_t tile = first + done;
        ptrdiff_t ty = tile / g->tiles_across, tx = tile % g->tiles_across;
        int n = count - done;
        if (n > g->tiles_across - tx) n = (int)(g->tiles_across - tx);
        ptrdiff_t height = g->output_height - 4 * ty < 4 ? g->output_height - 4 * ty : 4;
        ptrdiff_t width = g->output_width - 4 * tx < 4 * n ? g->output_width - 4 * tx : 4 * n;
        for (ptrdiff_t r = 0; r < height; r++) {
            float *row = plane + (4 * ty + r) * g->output_width + 4 * tx, *own = pixels[r] + 4 * done;
            if (is_added) {
                VECTOR_LOOP for (ptrdiff_t i = 0; i < width; i++) own[i] += row[i];
            } else {
                memcpy(row, own, (size_t)width * sizeof(float));
            }
        }
        done += n;
    }
}

CK_KERNEL(
    void, ck_winograd_output,
    (const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, int lane, int count, float bias, ptrdiff_t first,
     const float *residual, const ck_finish *finish, float *plane),
    (g, m, position_step, lane, count, bias, first, residual, finish, plane)) {
    float pixels[4][4 * ROOM];
    for (int t = 0; t < count; t += VECTOR_LANES) {
        vector_f32 half[4][6];
        for (int s = 0; s < 6; s++) {
            vector_f32 d[6];
            for (int r = 0; r < 6; r++) d[r] = VECTOR_CONST_AT(m + (6 * r + s) * position_step + lane + t);
#define STORE(r, value) half[r][s] = (value)
            OUTPUT_TRANSFORM(vector_f32, d[0], d[1], d[2], d[3], d[4], d[5], STORE);
#undef STORE
        }
        for (int r = 0; r < 4; r++) {
            vector_f32 y[4];
#define STORE(s, value) y[s] = (value) + bias
            OUTPUT_TRANSFORM(vector_f32, half[r][0], half[r][1], half[r][2], half[r][3], half[r][4], half[r][5], STORE);
#undef STORE
            // Pairs, then quadruples: the four pixels of a tile next to one another.
            vector_f32 low01 = __builtin_shufflevector(y[0], y[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            vector_f32 high01 = __builtin_shufflevector(y[0], y[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            vector_f32 low23 = __builtin_shufflevector(y[2], y[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            vector_f32 high23 = __builtin_shufflevector(y[2], y[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            float *row = pixels[r] + 4 * t;
            VECTOR_AT(row) = __builtin_shufflevector(low01, low23, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
            VECTOR_AT(row + 16) = __builtin_shufflevector(low01, low23, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
            VECTOR_AT(row + 32) = __builtin_shufflevector(high01, high23, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
            VECTOR_AT(row + 48) = __builtin_shufflevector(high01, high23, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
        }
    }
    if (residual) move_pixels(g, pixels, first, count, (float *)residual, 1);
    for (int r = 0; r < 4; r++) finish_vectors(finish, pixels[r], 4 * count);
    move_pixels(g, pixels, first, count, plane, 0);
}
