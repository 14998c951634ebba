#pragma once

#include <stddef.h>
#include <stdint.h>

// Products by AMX ("Intel 64 and IA-32 Architectures Software Developer's Manual", volume 1, chapter 18): a register, called a tile, has
// 16 rows of 64 bytes, and one instruction multiplies two of them, 16 × 32 numbers of bfloat16 by 32 × 16, and adds what it gets to the
// 16 × 16 sums of a third.
//
// The left factor's tiles hold rows of numbers, those of the right factor rows of pairs: row p has the numbers 2p and 2p + 1 of a column in
// one place, as panels of pairs have them, see bfloat16.h.

// Rows, and columns, of a tile of floats or of pairs.
enum { CK_AMX_TILE = 16 };
// Rows of a left panel; columns of a right one.
enum { CK_AMX_PANEL = 32 };

// Whether products are computed so: where the processor has AMX for bfloat16 and for bytes, and the system grants it to this process,
// which is asked for it when this is first called.
//
// The environment variable SD_ONNX_CPU leaves it out, unless "+amx" follows the level there. Then functions in plain C take its place
// where it isn't to be had, for tests.
int ck_has_amx(void);

// The calling thread's tiles are for the functions below between these two, each of which takes a fraction of a microsecond.
void ck_amx_begin(void);
void ck_amx_end(void);

// Floats of a left panel for k numbers, [step of 16 pairs][row][pair].
ptrdiff_t ck_amx_left_size(ptrdiff_t k);

// Packs `count` <= 32 rows of k numbers times `factor` into a left panel. Of the rows above only those that share a tile with one of them
// are written, with zeros, as are pairs beyond k.
void ck_amx_pack_rows(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel);

// The same of a transpose, k rows of `count` numbers.
void ck_amx_pack_columns(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel);

// c[i * ldc + j] = start[i * start_step + j] + sum over p of a[i][p] b[p][j], for `rows` <= 32 rows of a left panel and the 32 columns of a
// right panel of `pairs` rows. `start` is null for zeros; it may be c, with its step.
//
// `ahead`, unless it is null, is what to have read from memory meanwhile: 32 floats from ahead + i * ahead_step on, for i < pairs.
void ck_amx_multiply_pairs(
    int rows, ptrdiff_t pairs, const float *a, const float *b, const float *start, ptrdiff_t start_step, float *c, ptrdiff_t ldc,
    const float *ahead, ptrdiff_t ahead_step);

// The same for any number of rows: left panels lie `panel_step` floats apart, and sums follow each other, 32 a row, up to the last of 16 rows
// that one of them is among. `adds` says whether they are added to what is there. Panels are read ahead by the processor, the right one
// should be in the first-level cache.
void ck_amx_multiply_panels(
    ptrdiff_t rows, ptrdiff_t pairs, const float *a, ptrdiff_t panel_step, const float *b, int adds, float *c);
