#pragma once

#include <stddef.h>

#include "finish.h"

// The transforms of the minimal filtering algorithm F(4×4, 3×3) for stride-1 convolutions: each tile of 4×4 output pixels comes from
// 6×6 input pixels by 36 products in the place of 144 (Winograd 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016, section 4.3).
//
// Tiles are counted row by row over one picture. A panel holds up to `columns` <= 32 of them, in lanes.

enum { CK_WINOGRAD_POSITIONS = 36, CK_WINOGRAD_LANES = 32 };

// Where the tiles of a picture lie.
typedef struct {
    ptrdiff_t height, width;
    ptrdiff_t output_height, output_width;
    ptrdiff_t pad_top, pad_left;
    ptrdiff_t tiles_across;
} ck_winograd_geometry;

// Transforms `count` tiles of a plane [height, width], beginning with tile `first`:
// out[p * position_step + lane + i] for i < count. `lane` + `count` <= 32.
void ck_winograd_input(
    const ck_winograd_geometry *geometry, const float *plane, ptrdiff_t first, int lane, int count, float *out,
    ptrdiff_t position_step);

// Transforms the 3×3 kernels of `count` <= rows output channels (`channel_step` apart) for `channels` input channels into panels of
// `rows` output channels, fewer than 16 or a multiple of 16: out[p * position_step + c * rows + i]. Of fewer than 16, the 16 - rows
// floats behind the last one of a position are written too, so position_step >= channels * rows + 16 - rows.
void ck_winograd_weights(
    const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step);

// As ck_winograd_weights, of kernels that lie as panel[(c * 9 + i) * rows + row], for rows that are a multiple of 16.
void ck_winograd_packed_weights(const float *panel, ptrdiff_t channels, int rows, float *out, ptrdiff_t position_step);

// Rounds transformed tiles or kernels, numbers[p * position_step + c * lanes + i] for c < channels and i < lanes, to bfloat16, channels 2c
// and 2c + 1 as one pair: pairs[p * pair_step + c * lanes + i]; where their number is odd, the last pairs have a zero.
void ck_winograd_pairs(
    const float *numbers, ptrdiff_t position_step, ptrdiff_t channels, int lanes, float *pairs, ptrdiff_t pair_step);

// Transforms the products m[p * position_step + lane + i] of `count` tiles back, adds `bias` and, unless it is null, `residual`, applies the
// activation, and writes them to the plane [output_height, output_width], as `residual` is one; what lies beyond its edges is dropped.
void ck_winograd_output(
    const ck_winograd_geometry *geometry, const float *m, ptrdiff_t position_step, int lane, int count, float bias,
    ptrdiff_t first, const float *residual, const ck_finish *finish, float *plane);

// As ck_winograd_output, for one tile of up to a panel's columns of channels: m[p * position_step + i] is channel i, whose plane
// begins at planes + i * plane_step. `bias` has a number for each channel, or is null. Reads up to 15 floats behind the last channel.
void ck_winograd_output_channels(
    const ck_winograd_geometry *geometry, const float *m, ptrdiff_t position_step, int channels, const float *bias, ptrdiff_t tile,
    const float *residual, const ck_finish *finish, float *planes, ptrdiff_t plane_step);

// Few tiles, whose products with the transformed kernels are added up while these are in registers.
//
// The sums of a panel of `columns` output channels lie in groups of ck_winograd_tile_group() tiles, of which the last may have fewer,
// one group after the other: sums[(p * size of the group + tile of the group) * columns + i].

// Tiles of a group at a level.
int ck_winograd_tile_group(int level);

// At most so many input channels are taken through all positions before the next ones: ck_winograd_tile_values() lays the tiles out in
// blocks of them, or of half as many, and ck_winograd_multiply_rows() reads them so.
enum { CK_WINOGRAD_BLOCK = 16 };

// Puts one input channel of `tiles` tiles, transformed[p * step + i], in its place among the values of all `channels`.
void ck_winograd_tile_values(
    const float *transformed, ptrdiff_t step, int tiles, ptrdiff_t channel, ptrdiff_t channels, float *values);

// Transforms the kernels panel[(c * 9 + i) * columns + j] of some input channels, c < channels, and adds up their products with the
// tiles. `channels` is a multiple of CK_WINOGRAD_BLOCK, but where they are the last ones. Reads ahead of them in `panel`.
//
// values: those of the first of the channels. is_first: whether the sums begin with them. scratch: 12 * CK_WINOGRAD_BLOCK * columns
// floats.
void ck_winograd_multiply_rows(
    const float *panel, ptrdiff_t channels, int columns, const float *values, int tiles, int is_first, float *sums, float *scratch);
