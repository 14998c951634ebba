// What kernels for AMX have in common, see include/amx.h.
#pragma once

#include "include/amx.h"
#include "pairs.h"

#if defined(__x86_64__)
#define TARGET_AMX __attribute__((target("amx-tile,amx-bf16,amx-int8,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16"), min_vector_width(512)))

// Bytes from one row to the next of a tile of the left factor, and of one of two tiles side by side of the right factor or of sums.
enum { LEFT_STEP = 64, RIGHT_STEP = CK_AMX_PANEL * 4 };
// Floats of a tile of the left factor.
enum { LEFT_TILE = CK_AMX_TILE * CK_AMX_TILE };

// A step of products: two tiles of sums beside each other, or four of which two lie below, are tiles 0 to 3. Their factors are the left
// one's tile 4, and 5 below it, and the right one's tiles 6 and 7.
TARGET_AMX VECTOR_INLINE void load_factors(const int is_double, const float *a, const float *b) {
    _tile_loadd(6, b, RIGHT_STEP);
    _tile_loadd(4, a, LEFT_STEP);
    if (is_double) _tile_loadd(5, a + LEFT_TILE, LEFT_STEP);
    _tile_loadd(7, b + CK_AMX_TILE, RIGHT_STEP);
}

TARGET_AMX VECTOR_INLINE void multiply_factors(const int is_double) {
    _tile_dpbf16ps(0, 4, 6);
    if (is_double) _tile_dpbf16ps(2, 5, 6);
    if (is_double) _tile_dpbf16ps(3, 5, 7);
    _tile_dpbf16ps(1, 4, 7);
}

// The same, and each of the next step's factors is loaded as soon as its tile is no longer needed: products don't wait for what was only
// just asked for.
TARGET_AMX VECTOR_INLINE void multiply_and_load_factors(
    const int is_double, const float *a, const float *b) {
    _tile_dpbf16ps(0, 4, 6);
    if (is_double) _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(6, b, RIGHT_STEP);
    if (is_double) _tile_dpbf16ps(3, 5, 7);
    if (is_double) _tile_loadd(5, a + LEFT_TILE, LEFT_STEP);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(4, a, LEFT_STEP);
    _tile_loadd(7, b + CK_AMX_TILE, RIGHT_STEP);
}
#endif

// Whether the processor's own instructions run: ck_has_amx(), unless that is for a test in plain C.
int ck_runs_amx(void);
