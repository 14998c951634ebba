#pragma once

#include <stddef.h>

#include "gemm.h"

// Products of numbers that were rounded to bfloat16 (the upper half of a float, rounded to nearest, ties to even), with sums in
// single precision.
//
// Panels are those of gemm.h with pairs of bfloat16 in the place of floats: the numbers 2p and 2p + 1 of a row of A, or of a column of
// B, are the lower and the upper half of one, and the last has a zero where their count is odd. What gemm.h says of k then holds for
// the number of pairs.

// Whether products of bfloat16 are best computed by multiplying pairs: where there is AMX, see amx.h, or the processor multiplies pairs in
// vectors (AVX512-BF16), and faster than floats. AMD's take half the time for that (Zen 4), Intel's twice the time (measured on Emerald
// Rapids). The environment variable SD_ONNX_CPU leaves the instructions out; with "+bf16" behind the level there, pairs are multiplied in
// any case, by the processor where it can (which is tried, since virtual machines may hide it), or taken apart.
int ck_multiplies_pairs(void);

// Whether that variable asks for pairs, for AMX or for VNNI by name: then whatever can be rounded is, however little work it is.
int ck_rounds_all(void);

// As ck_gemm_kernel, for panels of pairs at the level in use. Where the processor can't multiply them they are taken apart: the same result, but for how
// the processor rounds and flushes numbers below 2^-126, at less than the speed of single precision.
void ck_gemm_pairs_kernel(
    int level, int rows, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step,
    float *c, ptrdiff_t ldc, const float *ahead, ptrdiff_t ahead_step);

// As ck_gemm_edge_kernel, of packed panels of pairs.
void ck_gemm_pairs_edge_kernel(
    int rows, int columns, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step,
    float *c, ptrdiff_t ldc);

// The numbers of panels of pairs, of `columns` columns: row 2p of `numbers` are the lower halves of row p, row 2p + 1 the upper ones.
void ck_widen_pairs(const float *pairs, ptrdiff_t rows, int columns, float *numbers);

// Packs `count` <= rows rows, of k numbers, as ck_pack_rows does, in pairs of the numbers times `factor`.
void ck_pack_row_pairs(
    const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel);

// Packs `count` <= columns columns, of k numbers, as ck_pack_columns does, in pairs of the numbers times `factor`.
void ck_pack_column_pairs(
    const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float factor, float *panel, ptrdiff_t panel_step);
