// Products of bytes by AMX: a tile has 16 rows of 64 numbers of the left factor, of the right one 16 groups of four rows and 16 columns,
// which is how panels have them. See include/integer_product.h.
#include "amx.h"

#include <string.h>

#include "amx_bytes.h"
#include "vector_math.h"

#if defined(__x86_64__)
// Numbers of a row of a tile, and the groups of a step.
enum { NUMBERS = 64, GROUPS = 16 };

// Two tiles beside each other, or four of which two lie `second` bytes of the left factor further on. Sums are in tiles 0 to 3.
TARGET_AMX VECTOR_INLINE void multiply_step(
    const int is_double, const uint8_t *a, ptrdiff_t a_step, ptrdiff_t second, const uint8_t *b) {
    _tile_loadd(6, b, RIGHT_STEP);
    _tile_loadd(4, a, a_step);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, b + NUMBERS, RIGHT_STEP);
    _tile_dpbusd(1, 4, 7);
    if (!is_double) return;
    _tile_loadd(5, a + second, a_step);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
}

// The first 64 numbers of each row, or of fewer with zeros behind them.
TARGET_AMX VECTOR_INLINE void copy_step(int rows, ptrdiff_t numbers, const uint8_t *a, ptrdiff_t a_step, uint8_t *part) {
    const __mmask64 mask = numbers < NUMBERS ? ((__mmask64)1 << numbers) - 1 : ~(__mmask64)0;
    for (int i = 0; i < rows; i++) _mm512_store_si512(part + i * NUMBERS, _mm512_maskz_loadu_epi8(mask, a + i * a_step));
}

// The last groups, fewer than a step has.
TARGET_AMX VECTOR_INLINE void multiply_rest(
    const int is_double, int rows, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, ptrdiff_t second, const uint8_t *b) {
    _Alignas(64) uint8_t part[CK_AMX_PANEL * NUMBERS], rest[GROUPS * RIGHT_STEP];
    memcpy(rest, b, (size_t)groups * RIGHT_STEP);
    memset(rest + groups * RIGHT_STEP, 0, sizeof rest - (size_t)groups * RIGHT_STEP);
    copy_step(rows, 4 * groups, a, a_step, part);
    multiply_step(is_double, part, NUMBERS, second, rest);
}

TARGET_AMX VECTOR_INLINE void zero_sums(const int is_double) {
    _tile_zero(0);
    _tile_zero(1);
    if (!is_double) return;
    _tile_zero(2);
    _tile_zero(3);
}

// Of 16 to 32 rows; the second of two tiles ends with the last row, and so begins within the first where those aren't 32.
TARGET_AMX VECTOR_INLINE void multiply(
    const int is_double, int rows, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc) {
    const ptrdiff_t second = rows - CK_AMX_TILE;
    zero_sums(is_double);
    ptrdiff_t p = 0;
    for (; p + GROUPS <= groups; p += GROUPS, a += NUMBERS, b += GROUPS * RIGHT_STEP)
        multiply_step(is_double, a, a_step, second * a_step, b);
    if (p < groups) multiply_rest(is_double, rows, groups - p, a, a_step, second * NUMBERS, b);
    _tile_stored(0, c, ldc * 4);
    _tile_stored(1, c + CK_AMX_TILE, ldc * 4);
    if (!is_double) return;
    _tile_stored(2, c + second * ldc, ldc * 4);
    _tile_stored(3, c + second * ldc + CK_AMX_TILE, ldc * 4);
}

// Of fewer than 16 rows, copied to where there is a whole tile: what lies below is multiplied for nothing. Several steps at a time, since
// a tile that was just written isn't to be had at once.
TARGET_AMX static void multiply_few(
    int rows, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc) {
    enum { STEPS = 8, SIZE = CK_AMX_TILE * NUMBERS };
    _Alignas(64) uint8_t parts[STEPS * SIZE] = {0};
    _Alignas(64) int32_t sums[CK_AMX_TILE * CK_AMX_PANEL];
    zero_sums(0);
    ptrdiff_t p = 0;
    while (p + GROUPS <= groups) {
        const ptrdiff_t left = (groups - p) / GROUPS, steps = left < STEPS ? left : STEPS;
        for (ptrdiff_t s = 0; s < steps; s++) copy_step(rows, NUMBERS, a + s * NUMBERS, a_step, parts + s * SIZE);
        for (ptrdiff_t s = 0; s < steps; s++) multiply_step(0, parts + s * SIZE, NUMBERS, 0, b + s * GROUPS * RIGHT_STEP);
        p += steps * GROUPS, a += steps * NUMBERS, b += steps * GROUPS * RIGHT_STEP;
    }
    if (p < groups) multiply_rest(0, rows, groups - p, a, a_step, 0, b);
    _tile_stored(0, sums, CK_AMX_PANEL * 4);
    _tile_stored(1, sums + CK_AMX_TILE, CK_AMX_PANEL * 4);
    for (int i = 0; i < rows; i++) memcpy(c + i * ldc, sums + i * CK_AMX_PANEL, CK_AMX_PANEL * sizeof *sums);
}

TARGET_AMX void ck_amx_multiply_bytes(
    int rows, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc) {
    if (rows < CK_AMX_TILE) multiply_few(rows, groups, a, a_step, b, c, ldc);
    else if (rows == CK_AMX_TILE) multiply(0, CK_AMX_TILE, groups, a, a_step, b, c, ldc);
    else multiply(1, rows, groups, a, a_step, b, c, ldc);
}
#endif
