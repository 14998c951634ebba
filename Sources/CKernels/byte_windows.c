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

// Rows that lie between each other afterwards, or columns that did before: loops of constant strides become shuffles of whole vectors.
#define INTERLEAVE(count)                                                                                                    \
    VECTOR_LOOP for (ptrdiff_t j = 0; j < columns; j++)                                                                      \
        for (int i = 0; i < count; i++) target[j * count + i] = source[i * source_step + j];
#define SEPARATE(count)                                                                                                      \
    VECTOR_LOOP for (ptrdiff_t i = 0; i < rows; i++)                                                                         \
        for (int j = 0; j < count; j++) target[j * target_step + i] = source[i * count + j];

// Blocks of `size` rows and columns; the last ones begin earlier where they would reach beyond the matrix.
#define TRANSPOSE_BLOCKS(size, transpose_block)                                                                              \
    if (rows < size || columns < size) {                                                                                     \
        if (rows == 2 && target_step == 2) {                                                                                 \
            INTERLEAVE(2)                                                                                                    \
        } else if (rows == 3 && target_step == 3) {                                                                          \
            INTERLEAVE(3)                                                                                                    \
        } else if (rows == 4 && target_step == 4) {                                                                          \
            INTERLEAVE(4)                                                                                                    \
        } else if (columns == 2 && source_step == 2) {                                                                       \
            SEPARATE(2)                                                                                                      \
        } else if (columns == 3 && source_step == 3) {                                                                       \
            SEPARATE(3)                                                                                                      \
        } else if (columns == 4 && source_step == 4) {                                                                       \
            SEPARATE(4)                                                                                                      \
        } else {                                                                                                             \
            for (ptrdiff_t i = 0; i < rows; i++)                                                                             \
                for (ptrdiff_t j = 0; j < columns; j++) target[j * target_step + i] = source[i * source_step + j];           \
        }                                                                                                                    \
        return;                                                                                                              \
    }                                                                                                                        \
    for (ptrdiff_t row = 0; row < rows; row += size) {                                                                       \
        const ptrdiff_t i = row + size <= rows ? row : rows - size;                                                          \
        for (ptrdiff_t column = 0; column < columns; column += size) {                                                       \
            const ptrdiff_t j = column + size <= columns ? column : columns - size;                                          \
            transpose_block(source + i * source_step + j, source_step, target + j * target_step + i, target_step);           \
        }                                                                                                                    \
    }

CK_KERNEL(
    void, ck_transpose_bytes,
    (const uint8_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *target, ptrdiff_t target_step),
    (source, source_step, rows, columns, target, target_step)) {
    TRANSPOSE_BLOCKS(16, transpose_16x16)
}

typedef uint16_t halves8 __attribute__((ext_vector_type(8), aligned(2), may_alias));
typedef uint32_t words8 __attribute__((ext_vector_type(8), aligned(4), may_alias));

// As for bytes: three times exchange row and column of 8 rows of 8.
#define TRANSPOSE_8X8(name, number, vector)                                                                                  \
    VECTOR_INLINE void name(const number *source, ptrdiff_t source_step, number *target, ptrdiff_t target_step) {            \
        vector rows[8], next[8];                                                                                             \
        for (int i = 0; i < 8; i++) rows[i] = *(const vector *)(source + i * source_step);                                   \
        _Pragma("clang loop unroll(full)") for (int round = 0; round < 3; round++) {                                         \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) {                                                 \
                next[2 * i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);                       \
                next[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);                 \
            }                                                                                                                \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < 8; i++) rows[i] = next[i];                                \
        }                                                                                                                    \
        for (int i = 0; i < 8; i++) *(vector *)(target + i * target_step) = rows[i];                                         \
    }

TRANSPOSE_8X8(transpose_8x8_halves, uint16_t, halves8)
TRANSPOSE_8X8(transpose_8x8_words, uint32_t, words8)

CK_KERNEL(
    void, ck_transpose_halves,
    (const uint16_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint16_t *target, ptrdiff_t target_step),
    (source, source_step, rows, columns, target, target_step)) {
    TRANSPOSE_BLOCKS(8, transpose_8x8_halves)
}

CK_KERNEL(
    void, ck_transpose_words,
    (const uint32_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint32_t *target, ptrdiff_t target_step),
    (source, source_step, rows, columns, target, target_step)) {
    TRANSPOSE_BLOCKS(8, transpose_8x8_words)
}

typedef uint8_t bytes32 __attribute__((ext_vector_type(32), aligned(1), may_alias));

// Copies count bytes, changed by flip: the last vector, or half of one, overlaps what was copied before.
VECTOR_INLINE void copy_changed(uint8_t *target, const uint8_t *source, ptrdiff_t count, uint8_t flip) {
    if (count >= 32) {
        for (ptrdiff_t i = 0; i + 32 <= count; i += 32)
            *(bytes32 *)(target + i) = *(const bytes32 *)(source + i) ^ (bytes32)flip;
        *(bytes32 *)(target + count - 32) = *(const bytes32 *)(source + count - 32) ^ (bytes32)flip;
    } else if (count >= 16) {
        const bytes16 first = *(const bytes16 *)source, last = *(const bytes16 *)(source + count - 16);
        *(bytes16 *)target = first ^ (bytes16)flip;
        *(bytes16 *)(target + count - 16) = last ^ (bytes16)flip;
    } else if (count >= 8) {
        const uint64_t flips = 0x0101010101010101u * flip;
        uint64_t first, last;
        memcpy(&first, source, 8);
        memcpy(&last, source + count - 8, 8);
        first ^= flips, last ^= flips;
        memcpy(target, &first, 8);
        memcpy(target + count - 8, &last, 8);
    } else if (count >= 4) {
        const uint32_t flips = 0x01010101u * flip;
        uint32_t first, last;
        memcpy(&first, source, 4);
        memcpy(&last, source + count - 4, 4);
        first ^= flips, last ^= flips;
        memcpy(target, &first, 4);
        memcpy(target + count - 4, &last, 4);
    } else {
        for (ptrdiff_t i = 0; i < count; i++) target[i] = source[i] ^ flip;
    }
}

// The row of a kernel's taps along the last axis, the first of which is at element x of a row of pixels.
VECTOR_INLINE void copy_taps(
    uint8_t *target, const uint8_t *pixels, const ck_byte_windows *w, ptrdiff_t x, uint8_t zero, uint8_t flip) {
    const ptrdiff_t taps = w->kernel[2], extent = w->input[2], channels = w->channels;
    if (w->dilations[2] == 1 && w->pixel_step == channels) {
        const ptrdiff_t before = x < 0 ? (-x < taps ? -x : taps) : 0;
        ptrdiff_t after = x + taps > extent ? x + taps - extent : 0;
        if (after > taps - before) after = taps - before;
        const ptrdiff_t inside = taps - before - after;
        // A call takes as long as copying a hundred bytes.
        if (before) memset(target, zero ^ flip, (size_t)(before * channels));
        target += before * channels;
        copy_changed(target, pixels + (x + before) * channels, inside * channels, flip);
        target += inside * channels;
        if (after) memset(target, zero ^ flip, (size_t)(after * channels));
        return;
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
}

// An output position.
typedef struct {
    ptrdiff_t picture;
    ptrdiff_t place[3];
} window_place;

VECTOR_INLINE window_place place_of(const ck_byte_windows *w, ptrdiff_t position) {
    window_place result;
    for (int axis = 2; axis >= 0; axis--) {
        result.place[axis] = position % w->output[axis];
        position /= w->output[axis];
    }
    result.picture = position;
    return result;
}

// The next position: dividing for each takes as long as copying its window.
VECTOR_INLINE void advance(const ck_byte_windows *w, window_place *at) {
    for (int axis = 2; axis >= 0; axis--) {
        if (++at->place[axis] < w->output[axis]) return;
        at->place[axis] = 0;
    }
    at->picture++;
}

// copy_taps() for `count` positions beside each other, whose rows lie `step` bytes apart.
VECTOR_INLINE void copy_taps_of_line(
    uint8_t *target, ptrdiff_t step, const uint8_t *pixels, const ck_byte_windows *w, ptrdiff_t x, ptrdiff_t count, uint8_t zero,
    uint8_t flip) {
    const ptrdiff_t taps = w->kernel[2], stride = w->strides[2], size = taps * w->channels, x_step = stride * w->pixel_step;
    const int is_run = w->dilations[2] == 1 && w->pixel_step == w->channels;
    ptrdiff_t i = 0;
    while (i < count) {
        const ptrdiff_t place = x + i * stride, last = w->input[2] - taps;
        if (!is_run || place < 0 || place > last) {
            copy_taps(target + i * step, pixels, w, place, zero, flip);
            i++;
            continue;
        }
        // Those whose taps are all inside.
        const ptrdiff_t inside = (last - place) / stride + 1, end = i + inside < count ? i + inside : count;
        const uint8_t *source = pixels + place * w->pixel_step;
        if (size % 32 == 0) {
            for (; i < end; i++, source += x_step)
                for (ptrdiff_t p = 0; p < size; p += 32)
                    *(bytes32 *)(target + i * step + p) = *(const bytes32 *)(source + p) ^ (bytes32)flip;
        } else {
            for (; i < end; i++, source += x_step) copy_changed(target + i * step, source, size, flip);
        }
    }
}

CK_KERNEL(
    void, ck_copy_windows,
    (const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t zero, uint8_t flip,
     uint8_t *rows, ptrdiff_t step),
    (pictures, windows, first, count, zero, flip, rows, step)) {
    const ck_byte_windows w = *windows;
    const ptrdiff_t row_size = w.input[2] * w.pixel_step, plane_size = w.input[1] * row_size, size = w.input[0] * plane_size;
    const ptrdiff_t line_bytes = w.kernel[2] * w.channels, used = w.kernel[0] * w.kernel[1] * line_bytes;
    // Positions of the same line of the output at a time.
    for (ptrdiff_t position = 0, length; position < count; position += length) {
        const window_place at = place_of(&w, first + position);
        length = w.output[2] - at.place[2];
        if (length > count - position) length = count - position;
        const ptrdiff_t x = at.place[2] * w.strides[2] - w.pads[2], y = at.place[1] * w.strides[1] - w.pads[1];
        const ptrdiff_t z = at.place[0] * w.strides[0] - w.pads[0];
        const uint8_t *picture = pictures + at.picture * size;
        uint8_t *target = rows + position * step;
        for (ptrdiff_t i = 0; i < w.kernel[0]; i++)
            for (ptrdiff_t j = 0; j < w.kernel[1]; j++, target += line_bytes) {
                const ptrdiff_t plane = z + i * w.dilations[0], line = y + j * w.dilations[1];
                if (plane >= 0 && plane < w.input[0] && line >= 0 && line < w.input[1]) {
                    copy_taps_of_line(target, step, picture + plane * plane_size + line * row_size, &w, x, length, zero, flip);
                } else {
                    for (ptrdiff_t n = 0; n < length; n++) memset(target + n * step, zero ^ flip, (size_t)line_bytes);
                }
            }
        for (ptrdiff_t n = 0; n < length; n++, target += step)
            for (ptrdiff_t p = 0; p < step - used; p++) target[p] = 0;
    }
}

CK_KERNEL(
    void, ck_max_windows,
    (const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t flip, uint8_t *y),
    (pictures, windows, first, count, flip, y)) {
    const ck_byte_windows w = *windows;
    const ptrdiff_t row_size = w.input[2] * w.pixel_step, plane_size = w.input[1] * row_size, size = w.input[0] * plane_size;
    window_place at = place_of(&w, first);
    for (ptrdiff_t position = 0; position < count; position++, advance(&w, &at)) {
        ptrdiff_t place[3];
        for (int axis = 0; axis < 3; axis++) place[axis] = at.place[axis] * w.strides[axis] - w.pads[axis];
        const uint8_t *picture = pictures + at.picture * size;
        uint8_t *result = y + position * w.channels;
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
