#include "include/quantized_weights.h"

#include <math.h>
#include <string.h>

#include "vector_math.h"

// Sixteen numbers at any address, which become the vectors of each level.
typedef float sixteen_floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef signed char sixteen_bytes __attribute__((vector_size(16), aligned(1), may_alias));

enum { BLOCK = CK_QUANTIZED_BLOCK, HALF_BLOCK = BLOCK / 2, ROWS_OF_BLOCK = 1 + BLOCK / 8 };

ptrdiff_t ck_quantized_rows(int bits, ptrdiff_t depth) {
    return bits == 8 ? 1 + (depth + 3) / 4 : (depth + BLOCK - 1) / BLOCK * ROWS_OF_BLOCK;
}

// NaN where a number isn't finite, which no comparison of extremes shows.
VECTOR_INLINE float scale_of(int bits, float lowest, float highest, float poison) {
    if (bits == 8) return (-lowest > highest ? -lowest : highest) / 127 + poison;
    return (-lowest > highest ? lowest : highest) / -8 + poison;
}

// `number` over `scale` as a whole number within bounds; 0 where that is none.
VECTOR_INLINE int quantized(float number, float scale, float lowest, float highest) {
    const float ratio = rintf(number / scale);
    const float bounded = ratio < lowest ? lowest : ratio > highest ? highest : ratio;
    return (int)(bounded == bounded ? bounded : 0);
}

VECTOR_INLINE void column_scales(int bits, const float *numbers, ptrdiff_t depth, int columns, float *scales) {
    for (int first = 0; first < columns; first += 16) {
        float lowest[16] = {0}, highest[16] = {0}, poison[16] = {0};
        for (ptrdiff_t k = 0; k < depth; k++) {
            const float *row = numbers + k * columns + first;
            VECTOR_LOOP
            for (int j = 0; j < 16; j++) {
                lowest[j] = row[j] < lowest[j] ? row[j] : lowest[j];
                highest[j] = row[j] > highest[j] ? row[j] : highest[j];
                poison[j] += row[j] * 0;
            }
        }
        for (int j = 0; j < 16; j++) scales[first + j] = scale_of(bits, lowest[j], highest[j], poison[j]);
    }
}

VECTOR_INLINE void quantize_panel_8(const float *numbers, ptrdiff_t depth, int columns, float *panel) {
    column_scales(8, numbers, depth, columns, panel);
    signed char *place = (signed char *)(panel + columns);
    for (ptrdiff_t k = 0; k < (depth + 3) / 4 * 4; k++)
        for (int j = 0; j < columns; j++)
            place[k * columns + j] = k < depth ? (signed char)quantized(numbers[k * columns + j], panel[j], -127, 127) : 0;
}

VECTOR_INLINE int low_bits(const float *numbers, ptrdiff_t k, ptrdiff_t depth, int columns, int j, float scale) {
    return 8 + (k < depth ? quantized(numbers[k * columns + j], scale, -8, 7) : 0);
}

VECTOR_INLINE void quantize_panel_4(const float *numbers, ptrdiff_t depth, int columns, float *panel) {
    for (ptrdiff_t k = 0; k < depth; k += BLOCK, panel += ROWS_OF_BLOCK * columns) {
        column_scales(4, numbers + k * columns, depth - k < BLOCK ? depth - k : BLOCK, columns, panel);
        unsigned char *pairs = (unsigned char *)(panel + columns);
        for (int i = 0; i < HALF_BLOCK; i++) {
            for (int j = 0; j < columns; j++) {
                const int low = low_bits(numbers, k + i, depth, columns, j, panel[j]);
                const int high = low_bits(numbers, k + i + HALF_BLOCK, depth, columns, j, panel[j]);
                pairs[i * columns + j] = (unsigned char)(low | high << 4);
            }
        }
    }
}

CK_KERNEL(
    void, ck_quantize_panel, (int bits, const float *numbers, ptrdiff_t depth, int columns, float *panel),
    (bits, numbers, depth, columns, panel)) {
    if (bits == 8) quantize_panel_8(numbers, depth, columns, panel);
    else quantize_panel_4(numbers, depth, columns, panel);
}

void ck_pack_block_panel(
    const unsigned char *rows, ptrdiff_t row_step, const float *scales, ptrdiff_t scale_step, ptrdiff_t block, ptrdiff_t depth, int count,
    int columns, float *panel) {
    for (ptrdiff_t k = 0; k < depth; k += BLOCK, panel += ROWS_OF_BLOCK * columns) {
        unsigned char *pairs = (unsigned char *)(panel + columns);
        for (int j = 0; j < columns; j++) {
            panel[j] = j < count ? scales[j * scale_step + k / block] : 0;
            const unsigned char *bytes = rows + j * row_step + k / 2;
            for (int i = 0; i < HALF_BLOCK; i++) {
                // Numbers i and i + 16 of the block.
                const int low = j < count ? bytes[i / 2] >> 4 * (i % 2) & 15 : 0;
                const int high = j < count ? bytes[HALF_BLOCK / 2 + i / 2] >> 4 * (i % 2) & 15 : 0;
                pairs[i * columns + j] = (unsigned char)(low | high << 4);
            }
        }
    }
}

VECTOR_INLINE void widen_panel_8(const float *panel, ptrdiff_t first, ptrdiff_t depth, int columns, float *numbers) {
    const signed char *place = (const signed char *)(panel + columns) + first * columns;
    const ptrdiff_t rows = (depth + 3) / 4 * 4;
    for (int part = 0; part < columns; part += 16) {
        const sixteen_floats scales = *(const sixteen_floats *)(panel + part);
        for (ptrdiff_t k = 0; k < rows; k++) {
            const signed char *row = place + k * columns + part;
            float *out = numbers + k * columns + part;
            *(sixteen_floats *)out = __builtin_convertvector(*(const sixteen_bytes *)row, sixteen_floats) * scales;
        }
    }
}

// The numbers of the low and of the high halves of sixteen bytes.
VECTOR_INLINE void widen_both(const unsigned char *pairs, const sixteen_floats *scales, float *low, float *high) {
    const sixteen_bytes both = *(const sixteen_bytes *)pairs;
    *(sixteen_floats *)low = __builtin_convertvector((both & 15) - 8, sixteen_floats) * *scales;
    *(sixteen_floats *)high = __builtin_convertvector((both >> 4 & 15) - 8, sixteen_floats) * *scales;
}

VECTOR_INLINE void widen_panel_4(const float *panel, ptrdiff_t first, ptrdiff_t depth, int columns, float *numbers) {
    panel += first / BLOCK * ROWS_OF_BLOCK * columns;
    for (ptrdiff_t k = 0; k < depth; k += BLOCK, panel += ROWS_OF_BLOCK * columns, numbers += BLOCK * columns) {
        const unsigned char *pairs = (const unsigned char *)(panel + columns);
        for (int part = 0; part < columns; part += 16) {
            const sixteen_floats scales = *(const sixteen_floats *)(panel + part);
            for (int i = 0; i < HALF_BLOCK; i++) {
                float *low = numbers + i * columns + part;
                widen_both(pairs + i * columns + part, &scales, low, low + HALF_BLOCK * columns);
            }
        }
    }
}

CK_KERNEL(
    void, ck_widen_quantized_panel,
    (int bits, const float *panel, ptrdiff_t first, ptrdiff_t depth, int columns, float *numbers),
    (bits, panel, first, depth, columns, numbers)) {
    if (bits == 8) widen_panel_8(panel, first, depth, columns, numbers);
    else widen_panel_4(panel, first, depth, columns, numbers);
}

VECTOR_INLINE float row_scale(int bits, const float *numbers, ptrdiff_t count) {
    float lowest = 0, highest = 0, poison = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        lowest = numbers[i] < lowest ? numbers[i] : lowest;
        highest = numbers[i] > highest ? numbers[i] : highest;
        poison += numbers[i] * 0;
    }
    return scale_of(bits, lowest, highest, poison);
}

CK_KERNEL(
    void, ck_quantize_row, (int bits, const float *numbers, ptrdiff_t count, unsigned char *bytes, float *scales),
    (bits, numbers, count, bytes, scales)) {
    if (bits == 8) {
        scales[0] = row_scale(8, numbers, count);
        for (ptrdiff_t i = 0; i < count; i++) bytes[i] = (unsigned char)quantized(numbers[i], scales[0], -127, 127);
        return;
    }
    for (ptrdiff_t k = 0; k < count; k += BLOCK, bytes += HALF_BLOCK, scales++) {
        *scales = row_scale(4, numbers + k, count - k < BLOCK ? count - k : BLOCK);
        for (int i = 0; i < HALF_BLOCK; i++) {
            const int low = low_bits(numbers, k + i, count, 1, 0, *scales);
            const int high = low_bits(numbers, k + i + HALF_BLOCK, count, 1, 0, *scales);
            bytes[i] = (unsigned char)(low | high << 4);
        }
    }
}

CK_KERNEL(
    void, ck_widen_quantized_row,
    (int bits, const unsigned char *bytes, const float *scales, ptrdiff_t first, ptrdiff_t count, float *numbers),
    (bits, bytes, scales, first, count, numbers)) {
    if (bits == 8) {
        const signed char *row = (const signed char *)bytes + first;
        const float scale = scales[0];
        ptrdiff_t i = 0;
        for (; i + 16 <= count; i += 16)
            *(sixteen_floats *)(numbers + i) = __builtin_convertvector(*(const sixteen_bytes *)(row + i), sixteen_floats) * scale;
        for (; i < count; i++) numbers[i] = (float)row[i] * scale;
        return;
    }
    ptrdiff_t i = 0;
    while (i < count) {
        const ptrdiff_t place = first + i, block = place / BLOCK;
        const unsigned char *row = bytes + block * HALF_BLOCK;
        const float scale = scales[block];
        if (place % BLOCK == 0 && count - i >= BLOCK) {
            const sixteen_floats scales_of_block = (sixteen_floats){0} + scale;
            widen_both(row, &scales_of_block, numbers + i, numbers + i + HALF_BLOCK);
            i += BLOCK;
        } else {
            const int j = (int)(place % BLOCK);
            const int bits_of_number = j < HALF_BLOCK ? row[j] & 15 : row[j - HALF_BLOCK] >> 4;
            numbers[i++] = (float)(bits_of_number - 8) * scale;
        }
    }
}
