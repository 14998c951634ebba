// Kernels on rows of attention scores.
#pragma once

#include <stddef.h>
#include <stdint.h>

// s = s + mask, and -∞ wherever the mask is -∞, whatever the score.
void attention_add_mask(float *scores, const float *mask, size_t count);

// s = -∞ wherever the mask is 0.
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count);

// One block of a softmax over keys that goes on from block to block, of scores in units of ln 2 that lie key by key, `columns` (16 or
// 32) queries in each row: scores = 2^(score - maximum of the query so far). `maxima` (-∞ before the first block) and `sums` (0 before
// it) are brought up to date; what was summed before has to be multiplied by `corrections`, unless the result is 0.
int attention_softmax_block(float *scores, ptrdiff_t keys, int columns, float *maxima, float *sums, float *corrections);

// values[row * columns + j] *= factors[j].
void attention_scale_columns(float *values, ptrdiff_t rows, int columns, const float *factors);

// output[j * row_step + e] = values[e * columns + j] / sums[j] for j < queries and e < width.
void attention_write_columns(
    const float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step);
