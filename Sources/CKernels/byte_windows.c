#include "include/byte_windows.h"

#include "include/integer_product.h"
#include "vector_math.h"

typedef uint8_t bytes16 __attribute__((ext_vector_type(16), aligned(1), may_alias));

// 16 rows of 16 bytes turned into columns: interleaving each row with that 8 further on moves every bit of a byte's place on by one,
// and four times exchange row and column.
VECTOR_INLINE void transpose_16x16(const uint8_t *source, ptrdiff_t source_step, uint8_t *target, ptrdiff_t target_step) {
    bytes16 rows[16], next[16];
    for (int i = 0; i < 16; i++) rows[i] = *(const bytes16 *)(source + i * source_step);
#pragma clang loop unroll(full)
    for (int round = 0; round < 4; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 8; i++) {
            next[2 * i] = __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] =
                __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) rows[i] = next[i];
    }
    for (int i = 0; i < 16; i++) *(bytes16 *)(target + i * target_step) = rows[i];
}

CK_KERNEL(
    void, ck_transpose_bytes,
    (const uint8_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *target, ptrdiff_t target_step),
    (source, source_step, rows, columns, target, target_step)) {
    ptrdiff_t i = 0;
    for (; i + 16 <= rows; i += 16) {
        ptrdiff_t j = 0;
        for (; j + 16 <= columns; j += 16)
            transpose_16x16(source + i * source_step + j, source_step, target + j * target_step + i, target_step);
        for (; j < columns; j++)
            for (int row = 0; row < 16; row++) target[j * target_step + i + row] = source[(i + row) * source_step + j];
    }
    for (ptrdiff_t j = 0; j < columns; j++)
        for (ptrdiff_t row = i; row < rows; row++) target[j * target_step + row] = source[row * source_step + j];
}

VECTOR_INLINE void copy_changed(uint8_t *target, const uint8_t *source, ptrdiff_t count, uint8_t flip) {
    if (flip) {
        for (ptrdiff_t i = 0; i < count; i++) target[i] = source[i] ^ flip;
    } else {
        memcpy(target, source, (size_t)count);
    }
}

// The row of a kernel's taps along the last axis, the first of which is at element x of a row of pixels.
VECTOR_INLINE uint8_t *copy_taps(
    uint8_t *target, const uint8_t *pixels, const ck_byte_windows *w, ptrdiff_t x, uint8_t zero, uint8_t flip) {
    const ptrdiff_t taps = w->kernel[2], extent = w->input[2], channels = w->channels;
    if (w->dilations[2] == 1 && w->pixel_step == channels) {
        const ptrdiff_t before = x < 0 ? (-x < taps ? -x : taps) : 0;
        ptrdiff_t after = x + taps > extent ? x + taps - extent : 0;
        if (after > taps - before) after = taps - before;
        const ptrdiff_t inside = taps - before - after;
        memset(target, zero ^ flip, (size_t)(before * channels));
        target += before * channels;
        copy_changed(target, pixels + (x + before) * channels, inside * channels, flip);
        target += inside * channels;
        memset(target, zero ^ flip, (size_t)(after * channels));
        return target + after * channels;
    }
    for (ptrdiff_t tap = 0; tap < taps; tap++) {
        const ptrdiff_t place = x + tap * w->dilations[2];
        if (place >= 0 && place < extent) {
            copy_changed(target, pixels + place * w->pixel_step, channels, flip);
        } else {
            memset(target, zero ^ flip, (size_t)channels);
        }
        target += channels;
    }
    return target;
}

CK_KERNEL(
    void, ck_copy_windows,
    (const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t zero, uint8_t flip,
     uint8_t *rows, ptrdiff_t step),
    (pictures, windows, first, count, zero, flip, rows, step)) {
    const ck_byte_windows w = *windows;
    const ptrdiff_t row_size = w.input[2] * w.pixel_step, plane_size = w.input[1] * row_size, size = w.input[0] * plane_size;
    for (ptrdiff_t position = first; position < first + count; position++) {
        ptrdiff_t rest = position;
        const ptrdiff_t x = rest % w.output[2] * w.strides[2] - w.pads[2];
        rest /= w.output[2];
        const ptrdiff_t y = rest % w.output[1] * w.strides[1] - w.pads[1];
        rest /= w.output[1];
        const ptrdiff_t z = rest % w.output[0] * w.strides[0] - w.pads[0];
        const uint8_t *picture = pictures + rest / w.output[0] * size;
        uint8_t *row = rows + (position - first) * step, *target = row;
        for (ptrdiff_t i = 0; i < w.kernel[0]; i++)
            for (ptrdiff_t j = 0; j < w.kernel[1]; j++) {
                const ptrdiff_t plane = z + i * w.dilations[0], line = y + j * w.dilations[1];
                if (plane >= 0 && plane < w.input[0] && line >= 0 && line < w.input[1]) {
                    target = copy_taps(target, picture + plane * plane_size + line * row_size, &w, x, zero, flip);
                } else {
                    memset(target, zero ^ flip, (size_t)(w.kernel[2] * w.channels));
                    target += w.kernel[2] * w.channels;
                }
            }
        memset(target, 0, (size_t)(row + step - target));
    }
}

CK_KERNEL(
    void, ck_depthwise_sums,
    (const uint8_t *row, uint8_t flip, int zero, ptrdiff_t taps, ptrdiff_t channels, const int16_t *weights, int32_t *sums),
    (row, flip, zero, taps, channels, weights, sums)) {
    VECTOR_LOOP for (ptrdiff_t c = 0; c < channels; c++) sums[c] = 0;
    for (ptrdiff_t tap = 0; tap < taps; tap++) {
        const uint8_t *numbers = row + tap * channels;
        const int16_t *factors = weights + tap * channels;
        VECTOR_LOOP for (ptrdiff_t c = 0; c < channels; c++) sums[c] += ((numbers[c] ^ flip) - zero) * factors[c];
    }
}

CK_KERNEL(
    void, ck_max_windows,
    (const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t flip, uint8_t *y),
    (pictures, windows, first, count, flip, y)) {
    const ck_byte_windows w = *windows;
    const ptrdiff_t row_size = w.input[2] * w.pixel_step, plane_size = w.input[1] * row_size, size = w.input[0] * plane_size;
    for (ptrdiff_t position = first; position < first + count; position++) {
        ptrdiff_t place[3], rest = position;
        for (int axis = 2; axis >= 0; axis--) {
            place[axis] = rest % w.output[axis] * w.strides[axis] - w.pads[axis];
            rest /= w.output[axis];
        }
        const uint8_t *picture = pictures + rest * size;
        uint8_t *result = y + (position - first) * w.channels;
        // The least number of either sign.
        memset(result, flip, (size_t)w.channels);
        for (ptrdiff_t i = 0; i < w.kernel[0]; i++)
            for (ptrdiff_t j = 0; j < w.kernel[1]; j++)
                for (ptrdiff_t k = 0; k < w.kernel[2]; k++) {
                    const ptrdiff_t z = place[0] + i * w.dilations[0], line = place[1] + j * w.dilations[1];
                    const ptrdiff_t x = place[2] + k * w.dilations[2];
                    if (z < 0 || z >= w.input[0] || line < 0 || line >= w.input[1] || x < 0 || x >= w.input[2]) continue;
                    const uint8_t *pixel = picture + z * plane_size + line * row_size + x * w.pixel_step;
                    if (flip) {
                        VECTOR_LOOP
                        for (ptrdiff_t c = 0; c < w.channels; c++)
                            result[c] = (int8_t)pixel[c] > (int8_t)result[c] ? pixel[c] : result[c];
                    } else {
                        VECTOR_LOOP for (ptrdiff_t c = 0; c < w.channels; c++) result[c] = pixel[c] > result[c] ? pixel[c] : result[c];
                    }
                }
    }
}
