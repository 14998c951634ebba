#pragma once

#include <stddef.h>

#include "winograd.h"

// The transforms of the minimal filtering algorithm F(2×2, 3×3) for stride-1 convolutions: each tile of 2×2 output pixels comes from 4×4
// input pixels by 16 products in the place of 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1).
//
// Tiles are counted row by row over one picture. Transformed numbers lie with the channels of a tile side by side: the left factors of
// products, whose right ones are the transformed kernels.

enum { CK_WINOGRAD_2X2_POSITIONS = 16, CK_WINOGRAD_2X2_CHANNELS = 16 };

// Floats of scratch memory for pictures of so many pixels.
static inline ptrdiff_t ck_winograd_2x2_scratch(ptrdiff_t pixels) { return (pixels + 15) / 16 * 16 * CK_WINOGRAD_2X2_CHANNELS; }

// Transforms all tiles of `channels` <= 16 planes [height, width], `plane_step` apart: out[p * position_step + tile * tile_step + c].
// scratch: as much as pictures of height · width pixels need.
void ck_winograd_2x2_input(
    const ck_winograd_geometry *geometry, const float *planes, ptrdiff_t plane_step, int channels, float *scratch, float *out,
    ptrdiff_t position_step, ptrdiff_t tile_step);

// Transforms the 3×3 kernels of `count` <= rows output channels (`channel_step` apart) for `channels` input channels, as
// ck_winograd_weights() does, for rows that are a multiple of 16: out[p * position_step + c * rows + i].
void ck_winograd_2x2_weights(
    const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step);

// Transforms the products m[p * position_step + tile * tile_step + c] of `channels` <= 16 output channels back, adds `bias` and, unless they
// are null, the planes of `residual`, applies the activation, and writes them to planes [output_height, output_width], `plane_step` apart, as
// those of `residual` are. Reads up to 15 floats behind the last channel.
// scratch: twice as much as pictures of output_height · output_width pixels need.
void ck_winograd_2x2_output(
    const ck_winograd_geometry *geometry, const float *m, ptrdiff_t position_step, ptrdiff_t tile_step, int channels,
    const float *bias, const float *residual, const ck_finish *finish, float *scratch, float *planes, ptrdiff_t plane_step);
