#pragma once

#include <stddef.h>

#include "finish.h"

// Convolutions of 1×1 kernels: products of panels of weights with the pixels of a picture where they lie.

// y[i * y_step + p] = f(starts[i] + residual[i * y_step + p] + sum over channels of weights[channel * weight_step + i]
// x[channel * x_step + p]) for i < rows and p < pixels, where `residual` may be null. `rows` is at most that of a tile, see ck_gemm_tile;
// the level isn't the plain one. `ahead`, where it isn't null, is a panel of as many weights that follows, which is read into the second-level
// cache meanwhile, a part with each tile of pixels.
void ck_pointwise(
    int rows, ptrdiff_t channels, ptrdiff_t pixels, const float *x, ptrdiff_t x_step, const float *weights, ptrdiff_t weight_step,
    const float *starts, const float *residual, const ck_finish *finish, float *y, ptrdiff_t y_step, const float *ahead);
