// Kernels on rows of attention scores.
#pragma once

#include <stddef.h>
#include <stdint.h>

// s = s + mask, and -∞ wherever the mask is -∞, whatever the score.
void attention_add_mask(float *scores, const float *mask, size_t count);

// s = -∞ wherever the mask is 0.
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count);
