#pragma once

#include <stddef.h>
#include <stdint.h>

#include "windows.h"

// Convolutions of float32 whose factors are rounded to bytes: windows, see windows.h, over planes of words, each of which has the bytes of
// four channels of a pixel. Pixels are rounded as dynamic_product.h has it of a row, all those that a strip of windows reads with one scale
// and zero point; weights with a scale for each output.

// Extends range[0], the least, and range[1], the largest, by n numbers; range[2] becomes NaN where one isn't finite.
void ck_extend_finite_range(const float *x, ptrdiff_t n, float *range);

// How the numbers of such a range are rounded, see ck_quantize_rows.
typedef struct {
    // 1 / scale, or 0.
    float inverse;
    float scale;
    int32_t zero;
} ck_byte_rounding;

ck_byte_rounding ck_byte_rounding_of(const float *range);

// Rounds 1 to 4 planes, plane_step apart, into words, phase by phase. Padding, and channels that a word lacks, are the zero point.
void ck_byte_plane_fill(
    const ck_window_phase *phases, ptrdiff_t count, const float *planes, ptrdiff_t plane_step, int channels,
    ck_byte_rounding rounding, uint32_t *target);

// Floats of a panel of weights of `rows` outputs: their scales, the sums of their bytes, of int32, and words of four channels,
// [group of channels][place of the window][output].
ptrdiff_t ck_byte_window_panel_size(ptrdiff_t channels, ptrdiff_t taps, int rows);

// Packs `count` <= rows outputs of weights [output][channel][place], row_step apart.
void ck_pack_byte_windows(
    const float *weights, ptrdiff_t row_step, ptrdiff_t channels, ptrdiff_t taps, int count, int rows, float *panel);

// c[i * ldc + j] = sum over groups, taps t and the four bytes of a[(group * taps + t) * rows + i] x[group * group_step + offsets[t] + j], for
// i < rows and all columns j of a tile of ck_bytes_tile, or where `is_half` the first half of them; `rows` is at most a tile's. The level is
// of ck_bytes_level, and not CK_BYTES_AMX. `ahead` is what to have read from memory meanwhile: `ahead_lines` lines of cache of 64 bytes.
void ck_byte_window_product(
    int level, int rows, int is_half, ptrdiff_t groups, ptrdiff_t group_step, ptrdiff_t taps, const ptrdiff_t *offsets,
    const uint32_t *a, const uint32_t *x, int32_t *c, ptrdiff_t ldc, const uint32_t *ahead, ptrdiff_t ahead_lines);

// y[row * y_step + i] = (sums[row * step + i] - term) · factor + start, for rows of some columns of one output. y may be the sums.
void ck_scale_window_sums(
    const int32_t *sums, ptrdiff_t step, int32_t term, float factor, float start, float *y, ptrdiff_t y_step, ptrdiff_t rows,
    ptrdiff_t columns);
