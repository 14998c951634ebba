// What the kernels of a tile of a product have in common, see include/gemm.h.
#pragma once

#include <stddef.h>

#define TILE_PARAMETERS                                                                                                      \
    ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step, float *c,       \
        ptrdiff_t ldc, const float *ahead, ptrdiff_t ahead_step
#define TILE_ARGUMENTS k, a, a_step, b, start, start_step, c, ldc, ahead, ahead_step

// Bytes of the next panel of weights to ask for with each of its steps, of `width` floats, in each of so many tiles: together they ask for all
// of it.
static inline ptrdiff_t bytes_ahead(ptrdiff_t width, ptrdiff_t tiles) {
    return ((ptrdiff_t)sizeof(float) * width + tiles - 1) / tiles;
}

// A mask of those of 1 to 32 columns that lie in the last vector of 16.
static inline unsigned short lanes_of_last_16(int columns) { return (unsigned short)(0xffffu >> ((32 - columns) % 16)); }

// Calls the copy of `tile` for `rows`, at most 14, so that its sums are registers.
#define UP_TO_14_ROWS(tile, ...)                                                                                             \
    switch (rows) {                                                                                                          \
    case 1: return tile(1, __VA_ARGS__);                                                                                     \
    case 2: return tile(2, __VA_ARGS__);                                                                                     \
    case 3: return tile(3, __VA_ARGS__);                                                                                     \
    case 4: return tile(4, __VA_ARGS__);                                                                                     \
    case 5: return tile(5, __VA_ARGS__);                                                                                     \
    case 6: return tile(6, __VA_ARGS__);                                                                                     \
    case 7: return tile(7, __VA_ARGS__);                                                                                     \
    case 8: return tile(8, __VA_ARGS__);                                                                                     \
    case 9: return tile(9, __VA_ARGS__);                                                                                     \
    case 10: return tile(10, __VA_ARGS__);                                                                                   \
    case 11: return tile(11, __VA_ARGS__);                                                                                   \
    case 12: return tile(12, __VA_ARGS__);                                                                                   \
    case 13: return tile(13, __VA_ARGS__);                                                                                   \
    default: return tile(14, __VA_ARGS__);                                                                                   \
    }
