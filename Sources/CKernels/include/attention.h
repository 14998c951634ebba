// Kernels on rows of attention scores.
#pragma once

#include <stddef.h>
#include <stdint.h>

// s = s + mask, and -∞ wherever the mask is -∞, whatever the score.
void attention_add_mask(float *scores, const float *mask, size_t count);

// s = -∞ wherever the mask is 0.
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count);

// Softmax over keys of scores that lie key by key, `columns` (16 or 32) queries in each row: scores = e^(score - maximum of the
// query), sums[j] = the sum over the keys of query j.
void attention_softmax_columns(float *scores, ptrdiff_t keys, int columns, float *sums);

// output[j * row_step + e] = values[e * columns + j] / sums[j] for j < queries and e < width.
void attention_write_columns(
    const float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step);
