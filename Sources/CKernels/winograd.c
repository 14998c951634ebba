#include "include/winograd.h"

#include <string.h>

#include "include/gemm.h"
#include "vector_math.h"

// Lanes of a panel, and room for a vector that begins in its last lane.
enum { ROOM = CK_WINOGRAD_LANES + VECTOR_LANES };

// Elements s, s + 4, s + 8, … of 64 that follow one another.
#define EVERY_FOURTH_8(a, b, s)                                                                                                     \
    __builtin_shufflevector(a, b, s, s + 4, s + 8, s + 12, s + 16, s + 20, s + 24, s + 28, -1, -1, -1, -1, -1, -1, -1, -1)
#define JOIN_8(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define EVERY_FOURTH(v, s) JOIN_8(EVERY_FOURTH_8((v)[0], (v)[1], s), EVERY_FOURTH_8((v)[2], (v)[3], s))

// Rows of B^T times a column: Lavin and Gray 2016, equation 15.
#define INPUT_TRANSFORM(type, d0, d1, d2, d3, d4, d5, store)                                                                         \
    do {                                                                                                                            \
        type even = (d4) - 4.0f * (d2), odd = (d3) - 4.0f * (d1);                                                                   \
        type near = (d4) - (d2), far = 2.0f * ((d3) - (d1));                                                                        \
        store(0, 4.0f * (d0) - 5.0f * (d2) + (d4));                                                                                  \
        store(1, even + odd);                                                                                                       \
        store(2, even - odd);                                                                                                       \
        store(3, near + far);                                                                                                       \
        store(4, near - far);                                                                                                       \
        store(5, 4.0f * (d1) - 5.0f * (d3) + (d5));                                                                                  \
    } while (0)

// Rows of A^T times a column.
#define OUTPUT_TRANSFORM(type, m0, m1, m2, m3, m4, m5, store)                                                                        \
    do {                                                                                                                            \
        type near_sum = (m1) + (m2), near_difference = (m1) - (m2);                                                                 \
        type far_sum = (m3) + (m4), far_difference = (m3) - (m4);                                                                   \
        store(0, (m0) + near_sum + far_sum);                                                                                        \
        store(1, near_difference + 2.0f * far_difference);                                                                          \
        store(2, near_sum + 4.0f * far_sum);                                                                                        \
        store(3, near_difference + 8.0f * far_difference + (m5));                                                                   \
    } while (0)

// The first step of the input transform: six rows of pixels from y0 on, with zeros outside of the picture, become the six rows of
// B^T d. `length` columns from x0 on.
VECTOR_INLINE void transform_rows(
    const ck_winograd_geometry *g, const float *plane, ptrdiff_t y0, ptrdiff_t x0, ptrdiff_t length, float rows[6][4 * ROOM]) {
    float pixels[6][4 * ROOM];
    ptrdiff_t begin = x0 < 0 ? -x0 : 0;
    ptrdiff_t end = x0 + length > g->width ? g->width - x0 : length;
    if (begin > length) begin = length;
    if (end < begin) end = begin;
    for (int r = 0; r < 6; r++) {
        ptrdiff_t y = y0 + r;
        if (y < 0 || y >= g->height) {
            memset(pixels[r], 0, (size_t)length * sizeof(float));
            continue;
        }
        memset(pixels[r], 0, (size_t)begin * sizeof(float));
        memcpy(pixels[r] + begin, plane + y * g->width + x0 + begin, (size_t)(end - begin) * sizeof(float));
        memset(pixels[r] + end, 0, (size_t)(length - end) * sizeof(float));
    }
    for (ptrdiff_t x = 0; x < length; x += VECTOR_LANES) {
        vector_f32 d[6];
        for (int r = 0; r < 6; r++) d[r] = VECTOR_CONST_AT(pixels[r] + x);
#define STORE(r, value) VECTOR_AT(rows[r] + x) = (value)
        INPUT_TRANSFORM(vector_f32, d[0], d[1], d[2], d[3], d[4], d[5], STORE);
#undef STORE
    }
}

VECTOR_CLONES void ck_winograd_input(
    const ck_winograd_geometry *g, const float *plane, ptrdiff_t first, int lane, int count, float *out, ptrdiff_t position_step) {
    float panel[CK_WINOGRAD_POSITIONS][ROOM];
    float rows[6][4 * ROOM];
    int done = 0;
    while (done < count) {
        ptrdiff_t tile = first + done;
        ptrdiff_t ty = tile / g->tiles_across, tx = tile % g->tiles_across;
        int n = count - done;
        if (n > g->tiles_across - tx) n = (int)(g->tiles_across - tx);
        transform_rows(g, plane, 4 * ty - g->pad_top, 4 * tx - g->pad_left, 4 * n + 2, rows);
        for (int t = 0; t < n; t += VECTOR_LANES) {
            for (int r = 0; r < 6; r++) {
                const float *row = rows[r] + 4 * t;
                vector_f32 here[4], next[4];
                for (int i = 0; i < 4; i++) {
                    here[i] = VECTOR_CONST_AT(row + VECTOR_LANES * i);
                    next[i] = VECTOR_CONST_AT(row + VECTOR_LANES * i + 4);
                }
                vector_f32 d0 = EVERY_FOURTH(here, 0), d1 = EVERY_FOURTH(here, 1), d2 = EVERY_FOURTH(here, 2);
                vector_f32 d3 = EVERY_FOURTH(here, 3), d4 = EVERY_FOURTH(next, 0), d5 = EVERY_FOURTH(next, 1);
#define STORE(s, value) VECTOR_AT(panel[6 * r + s] + done + t) = (value)
                INPUT_TRANSFORM(vector_f32, d0, d1, d2, d3, d4, d5, STORE);
#undef STORE
            }
        }
        done += n;
    }
    for (int p = 0; p < CK_WINOGRAD_POSITIONS; p++) memcpy(out + p * position_step + lane, panel[p], (size_t)count * sizeof(float));
}

VECTOR_CLONES void ck_winograd_weights(
    const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step) {
    enum { BLOCK = 16 };
    float kernels[BLOCK * 9][VECTOR_LANES];
    for (ptrdiff_t first = 0; first < channels; first += BLOCK) {
        int block = channels - first < BLOCK ? (int)(channels - first) : BLOCK;
        ck_transpose_rows(weights + first * 9, channel_step, block * 9, count, VECTOR_LANES, kernels[0]);
        for (int c = 0; c < block; c++) {
            vector_f32 half[6][3];
            for (int s = 0; s < 3; s++) {
                vector_f32 g0 = VECTOR_AT(kernels[9 * c + s]), g1 = VECTOR_AT(kernels[9 * c + 3 + s]);
                vector_f32 g2 = VECTOR_AT(kernels[9 * c + 6 + s]);
                // Rows of G times a column: 1/4; -1/6 (1, ±1, 1); 1/24 (1, ±2, 4); 1.
                vector_f32 ends = g0 + g2, wide = g0 + 4.0f * g2;
                half[0][s] = 0.25f * g0;
                half[1][s] = (-1.0f / 6) * (ends + g1);
                half[2][s] = (-1.0f / 6) * (ends - g1);
                half[3][s] = (1.0f / 24) * (wide + 2.0f * g1);
                half[4][s] = (1.0f / 24) * (wide - 2.0f * g1);
                half[5][s] = g2;
            }
            float *target = out + (first + c) * rows;
            for (int r = 0; r < 6; r++) {
                vector_f32 ends = half[r][0] + half[r][2], wide = half[r][0] + 4.0f * half[r][2];
                float *row = target + 6 * r * position_step;
                VECTOR_AT(row) = 0.25f * half[r][0];
                VECTOR_AT(row + position_step) = (-1.0f / 6) * (ends + half[r][1]);
                VECTOR_AT(row + 2 * position_step) = (-1.0f / 6) * (ends - half[r][1]);
                VECTOR_AT(row + 3 * position_step) = (1.0f / 24) * (wide + 2.0f * half[r][1]);
                VECTOR_AT(row + 4 * position_step) = (1.0f / 24) * (wide - 2.0f * half[r][1]);
                VECTOR_AT(row + 5 * position_step) = half[r][2];
            }
        }
    }
}

VECTOR_CLONES void ck_winograd_output(
    const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, int lane, int count, float bias, ptrdiff_t first,
    float *plane) {
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
    for (int done = 0; done < count;) {
        ptrdiff_t tile = first + done;
        ptrdiff_t ty = tile / g->tiles_across, tx = tile % g->tiles_across;
        int n = count - done;
        if (n > g->tiles_across - tx) n = (int)(g->tiles_across - tx);
        ptrdiff_t height = g->output_height - 4 * ty < 4 ? g->output_height - 4 * ty : 4;
        ptrdiff_t width = g->output_width - 4 * tx < 4 * n ? g->output_width - 4 * tx : 4 * n;
        for (ptrdiff_t r = 0; r < height; r++)
            memcpy(plane + (4 * ty + r) * g->output_width + 4 * tx, pixels[r] + 4 * done, (size_t)width * sizeof(float));
        done += n;
    }
}
