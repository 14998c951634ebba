#pragma once

#include <stddef.h>

#include "amx.h"
#include "windows.h"

// Convolutions by AMX: windows, see windows.h, over planes of pixels whose channels lie side by side. 32 channels of bfloat16, 64 bytes,
// are a block; pixels of one block follow each other, [block][pixel][channel], so that sixteen neighbouring pixels are a tile of the left
// factor at any place of a window. The right factor is [block][place of the window][pair of channels][output].

// Channels of a block.
enum { CK_AMX_BLOCK = 32 };
// Floats of a pixel of a block, and of the weights of a block at one place, for 32 outputs.
enum { CK_AMX_PIXEL = CK_AMX_BLOCK / 2, CK_AMX_STEP = CK_AMX_BLOCK / 2 * CK_AMX_PANEL };

// Rounds `channels` <= 32 planes, plane_step apart, into a block, phase by phase. Padding, and channels that a block lacks, are zeros.
void ck_amx_window_fill(
    const ck_window_phase *phases, ptrdiff_t count, const float *planes, ptrdiff_t plane_step, int channels, float *target);

// Packs the weights of `outputs` <= 32 outputs, [output][channel][place], row_step apart, into `channels` / 32 blocks, rounded up. What
// blocks and outputs lack is zeros.
void ck_amx_pack_windows(
    const float *weights, ptrdiff_t row_step, ptrdiff_t channels, ptrdiff_t taps, int outputs, float *target);

// sums[pixel * 32 + output] = start[pixel * start_step + output] + the products of 16 · `tiles` <= 32 neighbouring windows with the weights,
// over some blocks, block_step apart. At place t of a window, the pixel offsets[t] behind its first one is read.
//
// `ahead`, unless it is null, is what to have read from memory meanwhile: `ahead_lines` lines of cache of 64 bytes.
void ck_amx_window_product(
    int tiles, ptrdiff_t blocks, ptrdiff_t block_step, ptrdiff_t taps, const ptrdiff_t *offsets, const float *pixels, const float *weights,
    const float *start, ptrdiff_t start_step, float *sums, const float *ahead, ptrdiff_t ahead_lines);

// planes[output * plane_step + pixel] = sums[pixel * 32 + output] for 16 · `tiles` <= 32 pixels and 32 outputs.
void ck_amx_window_turn(const float *sums, int tiles, float *planes, ptrdiff_t plane_step);
