#pragma once

#include <stddef.h>
#include <stdint.h>

// 16-bit floats, at any address of a byte: weights lie in files as they please.

// numbers[i] = halves[i], of float16, for i < count.
void ck_widen_float16(const void *halves, ptrdiff_t count, float *numbers);

// numbers[i] = halves[i], of bfloat16, for i < count.
void ck_widen_bfloat16(const void *halves, ptrdiff_t count, float *numbers);

// halves[i] = the number of float16, or of bfloat16, nearest to numbers[i], ties to even.
void ck_narrow_float16(const float *numbers, ptrdiff_t count, uint16_t *halves);
void ck_narrow_bfloat16(const float *numbers, ptrdiff_t count, uint16_t *halves);

// Packs `count` <= columns columns, of k numbers, as ck_pack_columns does, of 16 bits each: `row_step` and `panel_step` count these.
void ck_pack_half_columns(
    const void *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint16_t *panel, ptrdiff_t panel_step);

// Packs `count` <= rows rows, of k numbers, as ck_pack_rows does, of 16 bits each.
void ck_pack_half_rows(const void *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, uint16_t *panel);
