#pragma once

#include <stddef.h>
#include <stdint.h>

// The windows of convolutions of 8-bit integers. Pictures lie channels last: [picture][depth][height][width][channel].

// A convolution's extents; of pictures with fewer axes the first are 1.
typedef struct {
    // Bytes from one pixel of a picture to the next, and those of them that the windows have.
    ptrdiff_t pixel_step;
    ptrdiff_t channels;
    ptrdiff_t input[3];
    ptrdiff_t kernel[3];
    ptrdiff_t strides[3];
    ptrdiff_t dilations[3];
    // Before the first element of each axis.
    ptrdiff_t pads[3];
    ptrdiff_t output[3];
} ck_byte_windows;

// Copies the windows of `count` output positions from `first` on, counted through all pictures: a row of step bytes for each,
// [tap][channel], with `zero` where a window leaves the picture and 0 behind the last channel, every byte but these changed by `flip`.
void ck_copy_windows(
    const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t zero, uint8_t flip,
    uint8_t *rows, ptrdiff_t step);

// target[j * target_step + i] = source[i * source_step + j] for i < rows and j < columns; numbers of two and of four bytes of any kind.
void ck_transpose_halves(
    const uint16_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint16_t *target, ptrdiff_t target_step);
void ck_transpose_words(
    const uint32_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint32_t *target, ptrdiff_t target_step);

// y[c] = the largest number of a window, [output position][channel] for `count` positions from `first` on; bytes of the sign that
// `flip`, 0x80 or 0, gives them. Windows have `channels` and pixels `pixel_step` bytes; what lies outside of the picture has no part.
void ck_max_windows(
    const uint8_t *pictures, const ck_byte_windows *windows, ptrdiff_t first, ptrdiff_t count, uint8_t flip, uint8_t *y);
