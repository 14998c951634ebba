// Kernels on rows of attention scores.
#pragma once

#include <stddef.h>
#include <stdint.h>

// s = s + mask, and -∞ wherever the mask is -∞, whatever the score.
void attention_add_mask(float *scores, const float *mask, size_t count);

// s = -∞ wherever the mask is 0.
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count);

// Finite numbers below `least` become that; -∞ and NaN stay.
void attention_limit_mask(float *mask, size_t count, float least);

// Whether `rows` rows of `width` numbers have neither infinities nor NaN.
int attention_are_finite(const float *numbers, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t width);

// Whether the masks of some queries (1 at least), rows of `keys` numbers, all have one above `least`, or NaN: then all such are from `first`
// to before `end`.
int attention_reached_keys(
    const float *mask, ptrdiff_t row_step, int queries, int keys, float least, int *first, int *end);

// Some keys (1 at least) of a softmax that goes on from some to the next, of scores that lie key by key, `columns` (16 or 32) queries in
// each row: scores = e^(scale · score - reference of the query). `references` (-FLT_MAX before the first keys) are raised to the
// largest scaled score where one is far above, and `sums` (0 before the first keys) are brought up to date. Unless the result is 0,
// what was computed before has to be multiplied by `corrections`. The sum of scores of -∞ stays 0.
int attention_softmax_tile(
    float *scores, ptrdiff_t keys, int columns, float scale, float *references, float *sums, float *corrections);

// How far, as an exponent of e, a score may be above its query's reference: weights of up to e^22 are no less exact, so that references
// seldom have to be raised.
#define CK_ATTENTION_MARGIN 22.0f

// The same, with weights as pairs of bfloat16: those of keys 2p and 2p + 1 are the pairs of row p, with zero beside the last of an odd
// number of keys. What the scores are afterwards isn't said.
int attention_softmax_pairs(
    float *scores, ptrdiff_t keys, int columns, float scale, float *references, float *sums, float *corrections, float *pairs);

// values[row * columns + j] *= factors[j].
void attention_scale_columns(float *values, ptrdiff_t rows, int columns, const float *factors);

// output[j * row_step + e] = values[e * columns + j] / sums[j] for j < queries, at most `columns` (at most 32), and e < width. `values` are
// changed.
void attention_write_columns(
    float *values, const float *sums, int columns, int queries, ptrdiff_t width, float *output, ptrdiff_t row_step);
