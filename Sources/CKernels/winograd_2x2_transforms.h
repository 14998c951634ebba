// The transforms of include/winograd_2x2.h in vectors of LANES channels; included once for each width.

// B^T d B of the tile whose first pixel is (y, x), of pixels that lie channels last, with zeros outside of the picture.
VECTOR_INLINE void NAME(transform_pixels)(
    const ck_winograd_geometry *g, const float *pixels, ptrdiff_t y, ptrdiff_t x, VECTOR transformed[CK_WINOGRAD_2X2_POSITIONS]) {
    VECTOR half[4][4];
    for (int s = 0; s < 4; s++) {
        VECTOR d[4];
        for (int r = 0; r < 4; r++) {
            const int is_inside = y + r >= 0 && y + r < g->height && x + s >= 0 && x + s < g->width;
            d[r] = is_inside ? CONST_AT(pixels + ((y + r) * g->width + x + s) * LANES) : (VECTOR)0;
        }
        half[0][s] = d[0] - d[2];
        half[1][s] = d[1] + d[2];
        half[2][s] = d[2] - d[1];
        half[3][s] = d[1] - d[3];
    }
    for (int r = 0; r < 4; r++) {
        transformed[4 * r] = half[r][0] - half[r][2];
        transformed[4 * r + 1] = half[r][1] + half[r][2];
        transformed[4 * r + 2] = half[r][2] - half[r][1];
        transformed[4 * r + 3] = half[r][1] - half[r][3];
    }
}

VECTOR_INLINE void NAME(ck_winograd_2x2_input)(
    const ck_winograd_geometry *g, const float *planes, ptrdiff_t plane_step, int channels, float *scratch, float *out,
    ptrdiff_t position_step, ptrdiff_t tile_step) {
    const ptrdiff_t tiles_down = (g->output_height + 1) / 2;
    for (int first = 0; first < channels; first += LANES) {
        const int part = channels - first < LANES ? channels - first : LANES;
        NAME(transpose_rows)(planes + first * plane_step, plane_step, g->height * g->width, part, LANES, scratch);
        for (ptrdiff_t tile = 0; tile < tiles_down * g->tiles_across; tile++) {
            VECTOR transformed[CK_WINOGRAD_2X2_POSITIONS];
            const ptrdiff_t y = 2 * (tile / g->tiles_across), x = 2 * (tile % g->tiles_across);
            NAME(transform_pixels)(g, scratch, y - g->pad_top, x - g->pad_left, transformed);
            for (int p = 0; p < CK_WINOGRAD_2X2_POSITIONS; p++) {
                float *target = out + p * position_step + tile * tile_step + first;
                if (part == LANES)
                    AT(target) = transformed[p];
                else
                    // What lies behind is the next tile's, and maybe another thread's.
                    for (int i = 0; i < part; i++) target[i] = transformed[p][i];
            }
        }
    }
}

// G g G^T of the kernels of LANES output channels for one input channel, whose nine numbers are LANES floats apart.
VECTOR_INLINE void NAME(transform_kernels_2x2)(const float *kernels, float *out, ptrdiff_t position_step) {
    VECTOR half[4][3];
    for (int s = 0; s < 3; s++) {
        VECTOR g0 = CONST_AT(kernels + s * LANES), g1 = CONST_AT(kernels + (3 + s) * LANES), g2 = CONST_AT(kernels + (6 + s) * LANES);
        half[0][s] = g0;
        half[1][s] = 0.5f * (g0 + g2 + g1);
        half[2][s] = 0.5f * (g0 + g2 - g1);
        half[3][s] = g2;
    }
    for (int r = 0; r < 4; r++) {
        VECTOR sum = half[r][0] + half[r][2];
        float *row = out + 4 * r * position_step;
        AT(row) = half[r][0];
        AT(row + position_step) = 0.5f * (sum + half[r][1]);
        AT(row + 2 * position_step) = 0.5f * (sum - half[r][1]);
        AT(row + 3 * position_step) = half[r][2];
    }
}

VECTOR_INLINE void NAME(ck_winograd_2x2_weights)(
    const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step) {
    enum { BLOCK = 16 };
    float kernels[BLOCK * 9][LANES];
    for (int row = 0; row < rows; row += LANES) {
        const int part = count - row < 0 ? 0 : count - row > LANES ? LANES : count - row;
        for (ptrdiff_t first = 0; first < channels; first += BLOCK) {
            const int block = channels - first < BLOCK ? (int)(channels - first) : BLOCK;
            NAME(transpose_rows)(weights + row * channel_step + first * 9, channel_step, block * 9, part, LANES, kernels[0]);
            for (int c = 0; c < block; c++)
                NAME(transform_kernels_2x2)(kernels[9 * c], out + (first + c) * rows + row, position_step);
        }
    }
}

VECTOR_INLINE void NAME(ck_winograd_2x2_output)(
    const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, ptrdiff_t tile_step, int channels, const float *bias,
    const float *residual, const ck_finish *finish, float *scratch, float *planes, ptrdiff_t plane_step) {
    // Activations are of whole vectors of VECTOR_LANES.
    const ptrdiff_t pixels = g->output_height * g->output_width, row_step = (pixels + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES;
    const ptrdiff_t tiles_down = (g->output_height + 1) / 2;
    float *rows = scratch + row_step * LANES;
    for (int first = 0; first < channels; first += LANES) {
        const int part = channels - first < LANES ? channels - first : LANES;
        float offsets[LANES] = {0};
        if (bias) memcpy(offsets, bias + first, (size_t)part * sizeof(float));
        for (ptrdiff_t tile = 0; tile < tiles_down * g->tiles_across; tile++) {
            const ptrdiff_t y = 2 * (tile / g->tiles_across), x = 2 * (tile % g->tiles_across);
            VECTOR half[2][4];
            for (int s = 0; s < 4; s++) {
                VECTOR d[4];
                for (int r = 0; r < 4; r++) d[r] = CONST_AT(m + (4 * r + s) * position_step + tile * tile_step + first);
                half[0][s] = d[0] + d[1] + d[2];
                half[1][s] = d[1] - d[2] - d[3];
            }
            for (int r = 0; r < 2 && y + r < g->output_height; r++) {
                float *pixel = scratch + ((y + r) * g->output_width + x) * LANES;
                AT(pixel) = half[r][0] + half[r][1] + half[r][2] + AT(offsets);
                if (x + 1 < g->output_width) AT(pixel + LANES) = half[r][1] - half[r][2] - half[r][3] + AT(offsets);
            }
        }
        // From channels last to the pixels of one channel after the other.
        for (ptrdiff_t pixel = 0; pixel < pixels; pixel += LANES) {
            const int count = pixels - pixel < LANES ? (int)(pixels - pixel) : LANES;
            NAME(transpose_rows)(scratch + pixel * LANES, LANES, LANES, count, row_step, rows + pixel);
        }
        for (int i = 0; i < part; i++) {
            float *row = rows + i * row_step;
            if (residual) {
                const float *other = residual + (first + i) * plane_step;
                VECTOR_LOOP for (ptrdiff_t j = 0; j < pixels; j++) row[j] += other[j];
            }
            finish_vectors(finish, row, pixels);
            memcpy(planes + (first + i) * plane_step, row, (size_t)pixels * sizeof(float));
        }
    }
}
