#pragma once

#include <stddef.h>

// Products of packed panels, the inner loop of every matrix product and convolution.
//
// A panel of A holds `rows` rows, one column after the other: a[k * rows + i]. A panel of B holds `columns` columns, one row after
// the other: b[k * columns + j]. Panels at the edge are filled up with zeros.

// The instruction sets that the kernels are written for.
enum { CK_LEVEL_PLAIN = 0, CK_LEVEL_AVX2 = 1, CK_LEVEL_AVX512 = 2 };

// The best level of this machine; the environment variable SD_ONNX_CPU (plain, avx2, avx512, each also with
// +bf16 behind it, see bfloat16.h, or +vnni, see integer_product.h) lowers it.
int ck_level(void);

// Rows and columns of a tile at a level.
typedef struct {
    int rows;
    int columns;
} ck_tile;

ck_tile ck_gemm_tile(int level);

// c[i * ldc + j] = start[i * start_step + j] + sum over k of a[k * a_step + i] b[k][j], for all columns of a tile and its first
// `rows` >= 1 rows. `start` is null for zeros; it may be c, with its step.
//
// `ahead`, unless it is null, is what to have read from memory meanwhile: as many floats as a row of b has, from ahead + i * ahead_step
// on, for i < k.
void ck_gemm_kernel(
    int level, int rows, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step,
    float *c, ptrdiff_t ldc, const float *ahead, ptrdiff_t ahead_step);

// The same of a matrix A that isn't packed: its row i begins at a + i * row_step.
void ck_gemm_unpacked_kernel(
    int level, int rows, ptrdiff_t k, const float *a, ptrdiff_t row_step, const float *b, const float *start,
    ptrdiff_t start_step, float *c, ptrdiff_t ldc);

// The same of the first columns of a tile, 1 or more, with A packed or read in place: only these are read of `start`, and written.
void ck_gemm_edge_kernel(
    int level, int rows, int columns, int is_packed, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b,
    const float *start, ptrdiff_t start_step, float *c, ptrdiff_t ldc);

// Has the processor read `rows` rows of `columns` floats ahead of their use.
void ck_prefetch_rows(const float *first, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t columns);

// Packs `count` <= rows rows of a row-major matrix, of which row i starts at a + i * row_step, into a panel of `rows` rows: fewer
// than 16, with 16 floats of room behind the panel, which may be written, or a multiple of 16.
void ck_pack_rows(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float *panel);

// Packs `count` <= columns columns of a row-major matrix whose row k starts at b + k * row_step; those of a panel, or a part of its
// columns, with `panel_step` floats from one row of the panel to the next.
void ck_pack_columns(
    const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float *panel, ptrdiff_t panel_step);

// dots[j] = sum over p < k of a[p] b[j * row_step + p], for j < count.
void ck_dot_rows(const float *a, ptrdiff_t k, const float *b, ptrdiff_t row_step, ptrdiff_t count, float *dots);

// y[j] += factor times the sum over p < k of a[p * a_step] b[p * row_step + j], for j < n.
void ck_add_weighted_rows(
    const float *a, ptrdiff_t a_step, ptrdiff_t k, float factor, const float *b, ptrdiff_t row_step, ptrdiff_t n, float *y);

// y[j] = start[j], of which there may be none, + the sum over p < k of a[p] times row p of column j, for all columns of `count`
// panels of B one behind the other, each of 16 or of 32 columns.
void ck_row_product(
    const float *a, ptrdiff_t k, const float *panels, int columns, ptrdiff_t count, const float *start, float *y);

// y[i * y_step + j] += x[i * x_step + j] for i < rows and j < columns.
void ck_add_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t columns);
