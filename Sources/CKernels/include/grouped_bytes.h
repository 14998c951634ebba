#pragma once

#include <stddef.h>
#include <stdint.h>

// Convolutions of 8-bit integers in groups of few channels, with exact sums in 32 bits. Pictures lie channels last, with a border: no
// window leaves them.
//
// Depthwise, where each channel is its own group, a word has four neighbouring taps of a channel; else it has four channels of a group at
// one tap.

// How words are multiplied.
enum {
    // Weights of 16 bits, whose products with bytes add up in pairs (vpmaddwd): they may be the difference of any two bytes.
    CK_GROUPED_PAIRS,
    // Weights of 8 bits, four products at once (vpdpbusd of AVX-512).
    CK_GROUPED_BYTES,
};

// Channels that a picture's pixels and a result have a multiple of, those that are missing among them.
enum { CK_GROUPED_CHANNELS = 16 };

// Channels of the widest block that is computed at once.
enum { CK_GROUPED_BLOCK = 64 };

typedef struct {
    // Of the result, a multiple of CK_GROUPED_CHANNELS.
    ptrdiff_t channels;
    // Of each group: both 1, or the first a multiple of 4. See ck_grouped_fits().
    ptrdiff_t group_channels;
    ptrdiff_t group_outputs;
    // The kernel's rows along all axes but the last, and its taps along that.
    ptrdiff_t rows;
    ptrdiff_t taps;
    // Depthwise, positions beside each other whose windows share words, see ck_depthwise_positions().
    int positions;
    // Bytes from one tap, and from one position, to the next.
    ptrdiff_t tap_step;
    ptrdiff_t position_step;
} ck_grouped_windows;

// The form for weights that fit 8 bits or don't, on this processor.
int ck_grouped_form(int fits_in_bytes);

// Whether there is a kernel for groups of so many channels and outputs.
int ck_grouped_fits(ptrdiff_t channels, ptrdiff_t group_channels, ptrdiff_t group_outputs);

// Positions beside each other, 1 to 4, whose taps are the same words of four.
int ck_depthwise_positions(ptrdiff_t taps, ptrdiff_t stride, ptrdiff_t dilation);

// Taps that are read for a position or those that share its words, the last of which may have weights of 0.
ptrdiff_t ck_grouped_taps_read(const ck_grouped_windows *windows);

// Bytes of the packed weights.
ptrdiff_t ck_grouped_weights_size(int form, const ck_grouped_windows *windows);

// Packs weights [output][group_channels][rows][taps] of `count` outputs.
void ck_pack_grouped_weights(
    int form, const ck_grouped_windows *windows, const int16_t *weights, ptrdiff_t count, uint8_t *packed);

// sums[i * step + c] = the sums of channels first + c < first + channels, of the windows at `count` positions beside each other, the
// first of which has its rows at x + row_offsets[row]. Up to 64 bytes behind the last pixel are read. Both numbers of channels are
// multiples of CK_GROUPED_BLOCK, but for the last channels.
void ck_grouped_sums(
    int form, const ck_grouped_windows *windows, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    ptrdiff_t first, ptrdiff_t channels, ptrdiff_t count, int32_t *sums, ptrdiff_t step);
