// The transforms of the input and of the weights in vectors of LANES floats; included once for each width.

// The first step of the input transform for six rows of pixels from y0 on, with zeros outside of the picture: `length` columns from x0 on,
// and zeros up to `limit`, since lanes without a tile are computed too, and many times as slowly where they happen to be subnormal.
VECTOR_INLINE void NAME(transform_rows)(
    const ck_winograd_geometry *g, const float *plane, ptrdiff_t y0, ptrdiff_t x0, ptrdiff_t length, ptrdiff_t limit,
    float (*rows)[4 * ROOM]) {
    static const float zeros[4 * ROOM];
    ptrdiff_t begin = x0 < 0 ? -x0 : 0;
    ptrdiff_t end = x0 + length > g->width ? g->width - x0 : length;
    if (begin > length) begin = length;
    if (end < begin) end = begin;
    const float *pixels[6];
    float *inside[6];
    for (int r = 0; r < 6; r++) {
        ptrdiff_t y = y0 + r;
        pixels[r] = y < 0 || y >= g->height ? zeros : plane + y * g->width + x0 + begin;
        inside[r] = rows[r] + begin;
    }
    const ptrdiff_t count = end - begin;
    if (LANES > 8 && count >= 16)
        input_rows_16(pixels, count, inside);
    else if (count >= 8)
        input_rows_8(pixels, count, inside);
    else if (count >= 4)
        input_rows_4(pixels, count, inside);
    else
        input_rows_1(pixels, count, inside);
    for (int r = 0; r < 6; r++) {
        for (ptrdiff_t i = 0; i < begin; i++) rows[r][i] = 0;
        for (ptrdiff_t i = end; i < limit; i++) rows[r][i] = 0;
    }
}

// The second step for LANES tiles: rows of B^T d times B, position by position, `step` floats apart.
VECTOR_INLINE void NAME(transform_columns)(float rows[6][4 * ROOM], ptrdiff_t tile, float *out, ptrdiff_t step) {
    for (int r = 0; r < 6; r++) {
        const float *row = rows[r] + 4 * tile;
        VECTOR d[4];
        NAME(every_fourth)(row, d);
        // The first two pixels of the next tile.
        VECTOR d4 = NAME(SHIFT_IN)(d[0], row[4 * LANES]), d5 = NAME(SHIFT_IN)(d[1], row[4 * LANES + 1]);
        float *target = out + 6 * r * step;
#define STORE(s, value) AT(target + s * step) = (value)
        INPUT_TRANSFORM(VECTOR, d[0], d[1], d[2], d[3], d4, d5, STORE);
#undef STORE
    }
}

// Rows of few tiles share a vector, a lane apart from each other.
VECTOR_INLINE void NAME(ck_winograd_input)(
    const ck_winograd_geometry *g, const float *plane, ptrdiff_t first, int lane, int count, float *out, ptrdiff_t position_step) {
    float rows[6][4 * ROOM];
    float part[CK_WINOGRAD_POSITIONS][LANES];
    struct {
        int lane, tile, tiles;
    } pieces[LANES / 2 + 1];
    for (int done = 0; done < count;) {
        int size = 0, lanes = 0, taken = 0;
        for (; done + taken < count && (size == 0 || lanes < LANES); size++) {
            const ptrdiff_t tile = first + done + taken;
            const ptrdiff_t ty = tile / g->tiles_across, tx = tile % g->tiles_across;
            int n = count - done - taken;
            if (n > g->tiles_across - tx) n = (int)(g->tiles_across - tx);
            if (size > 0 && lanes + n > LANES) break;
            const ptrdiff_t length = 4 * n + 2, limit = size > 0 ? length : (n + LANES - 1) / LANES * 4 * LANES + 2;
            float (*place)[4 * ROOM] = (float (*)[4 * ROOM])(rows[0] + 4 * lanes);
            NAME(transform_rows)(g, plane, 4 * ty - g->pad_top, 4 * tx - g->pad_left, length, limit, place);
            pieces[size].lane = lanes;
            pieces[size].tile = taken;
            pieces[size].tiles = n;
            lanes += n + 1;
            taken += n;
        }
        float *target = out + lane + done;
        // Whole vectors of a long row go to their place.
        const int whole = pieces[0].tiles / LANES * LANES;
        for (int t = 0; t < whole; t += LANES) NAME(transform_columns)(rows, t, target + t, position_step);
        if (whole < lanes - 1) {
            NAME(transform_columns)(rows, whole, part[0], LANES);
            for (int i = 0; i < size; i++) {
                float *own = target + pieces[i].tile + whole;
                for (int p = 0; p < CK_WINOGRAD_POSITIONS; p++)
                    copy_row(part[p] + pieces[i].lane, own + p * position_step, pieces[i].tiles - whole);
            }
        }
        done += taken;
    }
}

// The kernels of LANES output channels for one input channel, whose nine numbers are `step` floats apart.
VECTOR_INLINE void NAME(transform_kernels)(const float *kernels, ptrdiff_t step, float *out, ptrdiff_t position_step) {
    VECTOR half[6][3];
    for (int s = 0; s < 3; s++) {
        VECTOR g0 = CONST_AT(kernels + s * step), g1 = CONST_AT(kernels + (3 + s) * step), g2 = CONST_AT(kernels + (6 + s) * step);
        // Rows of G times a column: (1, 0, 0), (1, ±p, p²) for the points p, (0, 0, 1), over their divisors.
        VECTOR near = g0 + NEAR_SQUARE * g2, far = g0 + FAR_SQUARE * g2;
        half[0][s] = (1 / (NEAR_SQUARE * FAR_SQUARE)) * g0;
        half[1][s] = (1 / NEAR_DIVISOR) * (near + NEAR_POINT * g1);
        half[2][s] = (1 / NEAR_DIVISOR) * (near - NEAR_POINT * g1);
        half[3][s] = (1 / FAR_DIVISOR) * (far + FAR_POINT * g1);
        half[4][s] = (1 / FAR_DIVISOR) * (far - FAR_POINT * g1);
        half[5][s] = g2;
    }
    for (int r = 0; r < 6; r++) {
        VECTOR near = half[r][0] + NEAR_SQUARE * half[r][2], far = half[r][0] + FAR_SQUARE * half[r][2];
        float *row = out + 6 * r * position_step;
        AT(row) = (1 / (NEAR_SQUARE * FAR_SQUARE)) * half[r][0];
        AT(row + position_step) = (1 / NEAR_DIVISOR) * (near + NEAR_POINT * half[r][1]);
        AT(row + 2 * position_step) = (1 / NEAR_DIVISOR) * (near - NEAR_POINT * half[r][1]);
        AT(row + 3 * position_step) = (1 / FAR_DIVISOR) * (far + FAR_POINT * half[r][1]);
        AT(row + 4 * position_step) = (1 / FAR_DIVISOR) * (far - FAR_POINT * half[r][1]);
        AT(row + 5 * position_step) = half[r][2];
    }
}

VECTOR_INLINE void NAME(ck_winograd_weights)(
    const float *weights, ptrdiff_t channel_step, ptrdiff_t channels, int count, int rows, float *out, ptrdiff_t position_step) {
    enum { BLOCK = 16 };
    float kernels[BLOCK * 9][LANES];
    for (int row = 0; row < rows; row += LANES) {
        int part = count - row < 0 ? 0 : count - row > LANES ? LANES : count - row;
        for (ptrdiff_t first = 0; first < channels; first += BLOCK) {
            int block = channels - first < BLOCK ? (int)(channels - first) : BLOCK;
            NAME(transpose_rows)(weights + row * channel_step + first * 9, channel_step, block * 9, part, LANES, kernels[0]);
            for (int c = 0; c < block; c++)
                NAME(transform_kernels)(kernels[9 * c], LANES, out + (first + c) * rows + row, position_step);
        }
    }
}

VECTOR_INLINE void NAME(ck_winograd_packed_weights)(
    const float *panel, ptrdiff_t channels, int rows, float *out, ptrdiff_t position_step) {
    for (ptrdiff_t c = 0; c < channels; c++) {
        // The kernels come from memory, some ten KB ahead.
        const float *ahead = panel + (c + 8) * 9 * rows;
        for (int i = 0; i < 9 * rows; i += 16) __builtin_prefetch(ahead + i, 0, 2);
        for (int row = 0; row < rows; row += LANES)
            NAME(transform_kernels)(panel + c * 9 * rows + row, rows, out + c * rows + row, position_step);
    }
}

VECTOR_INLINE void NAME(ck_winograd_output_channels)(
    const ck_winograd_geometry *g, const float *m, ptrdiff_t position_step, int channels, const float *bias, ptrdiff_t tile,
    const float *residual, const ck_finish *finish, float *planes, ptrdiff_t plane_step) {
    ptrdiff_t y = 4 * (tile / g->tiles_across), x = 4 * (tile % g->tiles_across);
    ptrdiff_t height = g->output_height - y < 4 ? g->output_height - y : 4;
    size_t width = g->output_width - x < 4 ? (size_t)(g->output_width - x) : 4;
    for (int first = 0; first < channels; first += LANES) {
        int count = channels - first < LANES ? channels - first : LANES;
        VECTOR half[4][6], pixels[16];
        for (int s = 0; s < 6; s++) {
            VECTOR d[6];
            for (int r = 0; r < 6; r++) d[r] = CONST_AT(m + (6 * r + s) * position_step + first);
#define STORE(r, value) half[r][s] = (value)
            OUTPUT_TRANSFORM(VECTOR, d[0], d[1], d[2], d[3], d[4], d[5], STORE);
#undef STORE
        }
        float offsets[LANES] = {0};
        if (bias) memcpy(offsets, bias + first, (size_t)count * sizeof(float));
        for (int r = 0; r < 4; r++) {
#define STORE(s, value) pixels[4 * r + (s)] = (value) + AT(offsets)
            OUTPUT_TRANSFORM(VECTOR, half[r][0], half[r][1], half[r][2], half[r][3], half[r][4], half[r][5], STORE);
#undef STORE
        }
        // From one vector a pixel to the pixels of one channel after the other.
        float rows[LANES][16];
        for (int part = 0; part < 16; part += LANES) {
            NAME(transpose)(pixels + part);
            for (int i = 0; i < LANES; i++) AT(rows[i] + part) = pixels[part + i];
        }
        for (int i = 0; residual && i < count; i++) {
            const float *other = residual + (first + i) * plane_step;
            for (ptrdiff_t r = 0; r < height; r++)
                for (size_t s = 0; s < width; s++) rows[i][4 * r + (ptrdiff_t)s] += other[(y + r) * g->output_width + x + (ptrdiff_t)s];
        }
        finish_vectors(finish, rows[0], 16 * count);
        for (int i = 0; i < count; i++) {
            float *plane = planes + (first + i) * plane_step;
            for (ptrdiff_t r = 0; r < height; r++)
                memcpy(plane + (y + r) * g->output_width + x, rows[i] + 4 * r, width * sizeof(float));
        }
    }
}
