#include "include/winograd_2x2.h"

#include <string.h>

#include "finish.h"
#include "transpose.h"

#define LANES 8
#include "lanes.h"
#include "winograd_2x2_transforms.h"
#undef LANES

#define LANES 16
#include "lanes.h"
#include "winograd_2x2_transforms.h"
#undef LANES

CK_KERNEL_BY_LANES(
    void, ck_winograd_2x2_input,
    (const ck_winograd_geometry *g, const float *planes, ptrdiff_t plane_step, int channels, float *scratch, float *out,
     ptrdiff_t position_step, ptrdiff_t tile_step),
    (g, planes, plane_step, channels, scratch, out, position_step, tile_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_2x2_weights,
    (const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step),
    (weights, channel_step, channels, count, rows, out, position_step))

CK_KERNEL_BY_LANES(
    void, ck_winograd_2x2_output,
    (const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, ptrdiff_t tile_step, int channels, const float *bias,
     const float *residual, const ck_finish *finish, float *scratch, float *planes, ptrdiff_t plane_step),
    (g, m, position_step, tile_step, channels, bias, residual, finish, scratch, planes, plane_step))
