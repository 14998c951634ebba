#pragma once

#include <stddef.h>
#include <stdint.h>

// Few rows of floats times a panel of weights in their own bits, with a scale for each block of an output channel. Each weight is widened
// where it is multiplied, so that the panel is read once, as it lies in memory.

typedef struct {
    // [block][byte of the block][column], and how many bytes there are from one block to the next.
    const uint8_t *numbers;
    ptrdiff_t block_bytes;
    // [block][column], and how many floats there are from one block to the next.
    const float *scales;
    ptrdiff_t block_scales;
    // Zero points, as the scales lie; where there are none, `zero` is that of all blocks.
    const float *zeros;
    int zero;
    // 2, 4 or 8, of which a byte has 8 / bits, the first in the lowest ones.
    int bits;
    // A multiple of 16.
    int columns;
    ptrdiff_t blocks;
    // Numbers of a block, a multiple of 8 / bits.
    ptrdiff_t block;
    // The number of a block that byte i has first is i * byte_step, and from there on every number_step-th.
    ptrdiff_t byte_step, number_step;
} ck_bit_panel;

// y[row * columns + j] = Σ a[row * lda + p] * (number p of column j - its zero point) * its scale for row < rows <= 4, with p below
// blocks * block.
void ck_bit_rows(const ck_bit_panel *panel, const float *a, ptrdiff_t lda, int rows, float *y);

// The same with the rows as whole numbers of 8 bits, for each block of its largest magnitude over 127, nearest, and exact sums of products.

// Whether ck_byte_rows multiplies weights of so many bits without loss on this processor.
int ck_has_byte_rows(int bits);

// A row of blocks * block floats, which `numbers` has in the order in which ck_byte_rows reads them, with a scale for each block and the sum of
// its numbers. What isn't finite makes the scale NaN.
void ck_byte_row_numbers(
    const float *a, ptrdiff_t blocks, ptrdiff_t block, int bits, int8_t *numbers, float *scales, int32_t *sums);

// y as for ck_bit_rows of `rows` such rows one behind the other, for panels whose bytes lie in the order of their numbers.
void ck_byte_rows(
    const ck_bit_panel *panel, const int8_t *a, const float *scales, const int32_t *sums, int rows, float *y);
