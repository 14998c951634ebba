#pragma once

#include <stddef.h>

// Products of packed panels, the inner loop of every matrix product and convolution.
//
// A panel of A holds `rows` rows, one column after the other: a[k * rows + i]. A panel of B holds `columns` columns, one row after
// the other: b[k * columns + j]. Panels at the edge are filled up with zeros.

// The instruction sets that the kernels are written for.
enum { CK_LEVEL_PLAIN = 0, CK_LEVEL_AVX2 = 1, CK_LEVEL_AVX512 = 2 };

// The best level of this machine; the environment variable SD_ONNX_CPU (plain, avx2, avx512) lowers it.
int ck_level(void);

// Rows and columns of a tile at a level.
typedef struct {
    int rows;
    int columns;
} ck_tile;

ck_tile ck_gemm_tile(int level);

// c[i * ldc + j] = (accumulate ? c : 0) + sum over k of a[k][i] b[k][j], for a whole tile.
void ck_gemm_kernel(int level, ptrdiff_t k, const float *a, const float *b, float *c, ptrdiff_t ldc, int accumulate);

// Packs `count` <= rows rows of a row-major matrix, of which row i starts at a + i * row_step, into a panel of `rows` rows: fewer
// than 16, with 16 floats of room behind the panel, which may be written, or a multiple of 16.
void ck_pack_rows(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float *panel);

// Packs `count` <= tile columns of a row-major matrix whose row k starts at b + k * row_step.
void ck_pack_columns(const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float *panel);
