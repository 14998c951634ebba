#pragma once

#include <stddef.h>

// Weights as whole numbers of 8 or 4 bits with scales, as many bytes as these take, which are widened to single precision in the cache.
//
// 8 bits: numbers from -127 to 127 and one scale for all weights of an output channel, their largest magnitude over 127.
// 4 bits: numbers from 0 to 15 that stand for -8 to 7, and a scale for each block of 32 weights of an output channel in a row: the weight
// of the largest magnitude over -8, so that this one is exact (as ONNX Runtime's symmetric blocks are for MatMulNBits).
// Rounding is to nearest, ties to even. Weights that aren't finite make the scale NaN.
enum { CK_QUANTIZED_BLOCK = 32 };

// Floats that `depth` rows of a panel of `columns` columns take in `bits` bits: of 8, a row of scales and then rows of bytes, four of which
// take the place of one of floats; of 4, for each block a row of scales and four rows of two numbers a byte, of which byte i of a column
// has rows i (low bits) and i + 16.
ptrdiff_t ck_quantized_rows(int bits, ptrdiff_t depth);

// Makes such a panel of one of floats, numbers[k * columns + j], whose columns are output channels; `columns` is a multiple of 16.
void ck_quantize_panel(int bits, const float *numbers, ptrdiff_t depth, int columns, float *panel);

// Makes such a panel of 4 bits of output channels whose numbers are in blocks already, of `block` of them, a multiple of CK_QUANTIZED_BLOCK:
// number i of channel j < count <= columns is 4 bits of rows[j * row_step + i / 2], the low ones where i is even, less 8, times
// scales[j * scale_step + i / block]. The rows have whole blocks.
void ck_pack_block_panel(
    const unsigned char *rows, ptrdiff_t row_step, const float *scales, ptrdiff_t scale_step, ptrdiff_t block, ptrdiff_t depth, int count,
    int columns, float *panel);

// The numbers of rows of such a panel from a row on that is a multiple of 4, or of CK_QUANTIZED_BLOCK for 4 bits; `depth` rows, rounded up
// to such a multiple.
void ck_widen_quantized_panel(int bits, const float *panel, ptrdiff_t first, ptrdiff_t depth, int columns, float *numbers);

// The same numbers and scales of one output channel by itself: `count` bytes, or 16 for each block, and a scale, or one for each block.
void ck_quantize_row(int bits, const float *numbers, ptrdiff_t count, unsigned char *bytes, float *scales);

// `count` numbers of such a row from `first` on.
void ck_widen_quantized_row(
    int bits, const unsigned char *bytes, const float *scales, ptrdiff_t first, ptrdiff_t count, float *numbers);
