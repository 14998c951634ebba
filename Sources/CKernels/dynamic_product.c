#include "include/dynamic_product.h"

#include "include/integer_product.h"
#include "byte_rounding.h"

// Columns that are rounded together, and rows of a block of them that is turned.
enum { COLUMNS = 64, TURNED = 64 };

VECTOR_INLINE void round_row(const float *x, ptrdiff_t k, byte_rounding rounding, uint8_t *y) {
    const float inverse = rounding.inverse, zero = (float)rounding.zero;
    VECTOR_LOOP for (ptrdiff_t p = 0; p < k; p++) y[p] = (uint8_t)rounded_byte(x[p], inverse, zero);
    for (ptrdiff_t p = k; p % 4 != 0; p++) y[p] = 0;
}

CK_KERNEL(
    void, ck_quantize_rows,
    (const float *x, ptrdiff_t step, ptrdiff_t k, ptrdiff_t rows, uint8_t *y, ptrdiff_t y_step, float *scales, int32_t *zeros),
    (x, step, k, rows, y, y_step, scales, zeros)) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const byte_rounding rounding = rounding_of(range_of(x + i * step, k));
        scales[i] = rounding.scale;
        zeros[i] = rounding.zero;
        round_row(x + i * step, k, rounding, y + i * y_step);
    }
}

VECTOR_INLINE void quantize_columns_of(
    const float *x, ptrdiff_t step, ptrdiff_t k, const int count, uint8_t *y, ptrdiff_t y_step, float *scales, int32_t *zeros) {
    float lows[COLUMNS] = {0}, highs[COLUMNS] = {0}, poisons[COLUMNS] = {0}, inverses[COLUMNS], offsets[COLUMNS];
    for (ptrdiff_t p = 0; p < k; p++) {
        const float *row = x + p * step;
        VECTOR_LOOP
        for (int j = 0; j < count; j++) {
            lows[j] = row[j] < lows[j] ? row[j] : lows[j];
            highs[j] = row[j] > highs[j] ? row[j] : highs[j];
            poisons[j] += row[j] * 0;
        }
    }
    for (int j = 0; j < count; j++) {
        const byte_rounding rounding = rounding_of((byte_range){lows[j], highs[j], poisons[j]});
        scales[j] = rounding.scale;
        zeros[j] = rounding.zero;
        inverses[j] = rounding.inverse;
        offsets[j] = (float)rounding.zero;
    }
    uint8_t block[TURNED * COLUMNS];
    for (ptrdiff_t first = 0; first < k; first += TURNED) {
        const ptrdiff_t left = k - first < TURNED ? k - first : TURNED;
        for (ptrdiff_t p = 0; p < left; p++) {
            const float *row = x + (first + p) * step;
            uint8_t *bytes = block + p * COLUMNS;
            VECTOR_LOOP for (int j = 0; j < count; j++) bytes[j] = (uint8_t)rounded_byte(row[j], inverses[j], offsets[j]);
        }
        ck_transpose_bytes(block, COLUMNS, left, count, y + first, y_step);
    }
    for (ptrdiff_t p = k; p % 4 != 0; p++)
        for (int j = 0; j < count; j++) y[j * y_step + p] = 0;
}

CK_KERNEL(
    void, ck_quantize_columns,
    (const float *x, ptrdiff_t step, ptrdiff_t k, ptrdiff_t rows, uint8_t *y, ptrdiff_t y_step, float *scales, int32_t *zeros),
    (x, step, k, rows, y, y_step, scales, zeros)) {
    ptrdiff_t i = 0;
    // As a constant, the number of columns makes vectors of the extremes.
    for (; i + COLUMNS <= rows; i += COLUMNS)
        quantize_columns_of(x + i, step, k, COLUMNS, y + i * y_step, y_step, scales + i, zeros + i);
    if (i < rows) quantize_columns_of(x + i, step, k, (int)(rows - i), y + i * y_step, y_step, scales + i, zeros + i);
}

ptrdiff_t ck_byte_panel_rows(ptrdiff_t depth) { return 2 + (depth + 3) / 4; }

CK_KERNEL(
    void, ck_quantize_byte_panel, (const float *numbers, ptrdiff_t depth, int columns, float *panel),
    (numbers, depth, columns, panel)) {
    int32_t *sums = (int32_t *)(panel + columns);
    int8_t *bytes = (int8_t *)(panel + 2 * columns);
    for (int first = 0; first < columns; first += 16) {
        float largest[16] = {0}, poison[16] = {0}, inverses[16];
        for (ptrdiff_t p = 0; p < depth; p++) {
            const float *row = numbers + p * columns + first;
            VECTOR_LOOP
            for (int j = 0; j < 16; j++) {
                const float magnitude = row[j] < 0 ? -row[j] : row[j];
                largest[j] = magnitude > largest[j] ? magnitude : largest[j];
                poison[j] += row[j] * 0;
            }
        }
        for (int j = 0; j < 16; j++) {
            panel[first + j] = weight_scale(largest[j], poison[j]);
            inverses[j] = inverse_of(panel[first + j]);
            sums[first + j] = 0;
        }
        for (ptrdiff_t p = 0; p < (depth + 3) / 4 * 4; p++) {
            int8_t *group = bytes + p / 4 * 4 * columns + 4 * first + p % 4;
            for (int j = 0; j < 16; j++) {
                const int32_t rounded = p < depth ? rounded_weight(numbers[p * columns + first + j], inverses[j]) : 0;
                group[4 * j] = (int8_t)rounded;
                sums[first + j] += rounded;
            }
        }
    }
}

#pragma STDC FP_CONTRACT ON

VECTOR_INLINE void scale_sums_of(
    const int32_t *sums, ptrdiff_t step, ck_dynamic_terms terms, int rows, const int columns, float *y, ptrdiff_t y_step) {
    for (int i = 0; i < rows; i++) {
        const int32_t *row = sums + i * step;
        const float *added = terms.addend ? terms.addend + i * terms.addend_step : NULL;
        const float scale = terms.row_scales[i], offset = terms.row_offsets ? terms.row_offsets[i] : 0;
        // Without a sign, what leaves 32 bits on the way wraps around.
        const uint32_t zero = (uint32_t)terms.row_zeros[i];
        float *result = y + i * y_step;
#define SUM ((float)(int32_t)((uint32_t)row[j] - zero * (uint32_t)terms.column_sums[j]) * terms.scales[j])
        if (terms.offsets && added) {
            VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = (SUM * scale + (terms.offsets[j] + offset)) + added[j];
        } else if (terms.offsets) {
            VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = SUM * scale + (terms.offsets[j] + offset);
        } else if (added) {
            VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = (SUM * scale + offset) + added[j];
        } else {
            VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = SUM * scale + offset;
        }
#undef SUM
    }
}

CK_KERNEL(
    void, ck_scale_dynamic_sums,
    (const int32_t *sums, ptrdiff_t step, ck_dynamic_terms terms, int rows, const int columns, float *y, ptrdiff_t y_step),
    (sums, step, terms, rows, columns, y, y_step)) {
    // As constants, the columns of whole panels leave no loop.
    switch (columns) {
    case 32: return scale_sums_of(sums, step, terms, rows, 32, y, y_step);
    case 16: return scale_sums_of(sums, step, terms, rows, 16, y, y_step);
    default: return scale_sums_of(sums, step, terms, rows, columns, y, y_step);
    }
}
