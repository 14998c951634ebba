#pragma once

#include <stddef.h>
#include <stdint.h>

#include "finish.h"
#include "gemm.h"

// Products of matrices of 8-bit integers, C = A · B, with exact sums in 32 bits that wrap around.
//
// A is row-major, of numbers without a sign. B, of signed numbers, comes in panels of as many columns as a tile has, each of groups of
// four rows: [group][column][row of the group], with zeros for the rows and columns that are missing. What has the other sign is
// moved by 128 when it is packed (its highest bit changes), and so is its zero point.

// How bytes are multiplied, beside the level of gemm.h.
enum {
    CK_BYTES_PLAIN,
    // Numbers are widened to 16 bits, whose products of pairs are exact (vpmaddwd; vpmaddubsw saturates).
    CK_BYTES_AVX2,
    // Groups of four are multiplied and added by one instruction (vpdpbusd).
    CK_BYTES_AVX_VNNI,
    CK_BYTES_AVX512_VNNI,
    // As the one before has panels, by tiles of 16 rows, see amx.h. Kernels run between ck_amx_begin() and ck_amx_end().
    CK_BYTES_AMX,
};

// The best that the processor has at ck_level(). Where SD_ONNX_CPU names the level avx2, that is without VNNI unless "+vnni" follows.
int ck_bytes_level(void);

// The largest tile of C that a kernel computes at a time.
ck_tile ck_bytes_tile(int level);

// c[i][j] = the sum over 4 · groups of a[i * a_step + p] · b[p][j], for `rows` <= the tile's rows and at least `columns` of a panel's: c
// has room for all.
void ck_bytes_kernel(
    int level, int rows, int columns, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc);

// Packs `count` <= columns columns of k rows of B, whose rows lie row_step bytes apart, with every byte's bits changed by `flip`.
void ck_pack_byte_columns(
    const uint8_t *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint8_t flip, uint8_t *panel);

// The same of a transpose, whose rows are B's columns.
void ck_pack_byte_rows(
    const uint8_t *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint8_t flip, uint8_t *panel);

// The sums of a panel's columns.
void ck_panel_sums(const uint8_t *panel, ptrdiff_t groups, int columns, int32_t *sums);

// Copies rows of k bytes, changed by `flip`, with zeros up to 4 · groups bytes.
void ck_copy_byte_rows(
    const uint8_t *a, ptrdiff_t a_step, ptrdiff_t k, ptrdiff_t rows, uint8_t flip, uint8_t *target, ptrdiff_t groups);

// The sums of rows of k numbers without a sign.
void ck_byte_row_sums(const uint8_t *a, ptrdiff_t a_step, ptrdiff_t k, ptrdiff_t rows, int32_t *sums);

// What zero points add to sums of products: sum[i][j] += offsets[j] - row_zeros[i] · column_terms[j] - row_sums[i] · column_zeros[j].
// Either pair may be null.
typedef struct {
    const int32_t *offsets;
    const int32_t *row_zeros;
    const int32_t *column_terms;
    const int32_t *row_sums;
    const int32_t *column_zeros;
} ck_zero_terms;

// y = the sums with their terms; y may be the sums.
void ck_finish_sums(
    const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, int columns, int32_t *y, ptrdiff_t y_step);

// What makes float32 of sums, in this order; all but the columns' scales may be null.
typedef struct {
    // Multiplied by the columns' scales.
    const float *rows;
    const float *columns;
    // One for each column.
    const float *bias;
    // Lies as the result does, and may be it.
    const float *addend;
    ck_finish finish;
} ck_sum_scales;

// y[i][j] = finish((float(the sums with their terms)) · (rows[i] · columns[j]) + bias[j] + addend[i][j]), each operation rounded. Of the
// terms, zero points of rows must have been added before; offsets may be null where there are no sums of rows.
void ck_scale_sums(
    const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, int columns, ck_sum_scales scales, float *y,
    ptrdiff_t y_step);

// y[i][j] = float(sums[i][j] + offsets[j]) · row_scales[i] · scales[j], rounded to the nearest integer, halves to even, + zero, brought
// into least...largest: bytes of either sign. Offsets and the row's scales may be null.
void ck_requantize_sums(
    const int32_t *sums, ptrdiff_t step, const int32_t *offsets, int rows, int columns, const float *row_scales, const float *scales, int zero, int least,
    int largest, uint8_t *y, ptrdiff_t y_step);

// target[j * target_step + i] = source[i * source_step + j] for i < rows and j < columns.
void ck_transpose_bytes(
    const uint8_t *source, ptrdiff_t source_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *target, ptrdiff_t target_step);

// y[p][j] = (the number p of column j - zeros[blocks[p]][j]) · scales[blocks[p]][j] for p < k and all columns.
//
// Numbers of 2, 4 or 8 bits: 8 / bits rows share a row of bytes, the first in the lowest bits.
void ck_widen_bits(
    const uint8_t *numbers, int bits, ptrdiff_t k, int columns, const int32_t *blocks, const float *scales, const float *zeros,
    float *y);
