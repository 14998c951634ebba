// Products of few tiles with kernels that are transformed in registers, in vectors of LANES floats; included once for each width.
//
// The kernels' transform is that of winograd_transforms.h without its divisors, by which the tiles are divided. Its first step, down the
// columns of a kernel, is done for a block of input channels and kept. Then each row of six positions in turn gets its second step and its
// products, added up in registers.

enum { NAME(TILE_GROUP) = LANES / 4, NAME(SMALL_BLOCK) = 8 };

// Channels of a block: of one group of tiles fewer, so that all of it stays in the first-level cache.
VECTOR_INLINE ptrdiff_t NAME(block_channels)(int tiles) { return tiles <= NAME(TILE_GROUP) ? NAME(SMALL_BLOCK) : CK_WINOGRAD_BLOCK; }

// Rows 1 to 4 of the first step, each [channel][3][columns]. Rows 0 and 5 are those of the kernels themselves.
VECTOR_INLINE void NAME(transform_kernel_rows)(const float *panel, ptrdiff_t channels, int columns, float *rows) {
    const ptrdiff_t row_step = channels * 3 * columns;
    for (ptrdiff_t c = 0; c < channels; c++) {
        for (int i = 0; i < 3 * columns; i += LANES) {
            const float *kernel = panel + c * 9 * columns + i;
            float *out = rows + c * 3 * columns + i;
            VECTOR g0 = CONST_AT(kernel), g1 = CONST_AT(kernel + 3 * columns), g2 = CONST_AT(kernel + 6 * columns);
            VECTOR near = g0 + NEAR_SQUARE * g2, far = g0 + FAR_SQUARE * g2;
            AT(out) = near + NEAR_POINT * g1;
            AT(out + row_step) = near - NEAR_POINT * g1;
            AT(out + 2 * row_step) = far + FAR_POINT * g1;
            AT(out + 3 * row_step) = far - FAR_POINT * g1;
        }
    }
}

typedef struct {
    // The three columns of the first channel's row of the first step; the next channel's are `step` floats on.
    const float *kernels;
    ptrdiff_t step;
    int columns;
    ptrdiff_t channels;
    // [channel][6][tiles]
    const float *values;
    // [6][tiles][columns]
    float *sums;
    int is_first;
    // What to have read meanwhile, `ahead_lines` lines of the cache with each channel.
    const float *ahead;
} NAME(row_product);

// The products at a row of six positions, for one vector of output channels.
VECTOR_INLINE void NAME(multiply_row)(const NAME(row_product) * row, const int tiles, const int ahead_lines) {
    VECTOR sums[6][NAME(TILE_GROUP)];
    const int columns = row->columns;
    for (int s = 0; s < 6; s++)
        for (int t = 0; t < tiles; t++) sums[s][t] = row->is_first ? (VECTOR)0 : CONST_AT(row->sums + (s * tiles + t) * columns);
    const float *kernels = row->kernels, *values = row->values, *ahead = row->ahead;
    for (ptrdiff_t c = 0; c < row->channels; c++) {
        for (int i = 0; i < ahead_lines; i++) __builtin_prefetch(ahead + 16 * i, 0, 2);
        ahead += 16 * ahead_lines;
        VECTOR g0 = CONST_AT(kernels), g1 = CONST_AT(kernels + columns), g2 = CONST_AT(kernels + 2 * columns);
        VECTOR near = g0 + NEAR_SQUARE * g2, far = g0 + FAR_SQUARE * g2;
        VECTOR transformed[6] = {g0, near + NEAR_POINT * g1, near - NEAR_POINT * g1, far + FAR_POINT * g1, far - FAR_POINT * g1, g2};
#pragma clang loop unroll(full)
        for (int s = 0; s < 6; s++)
#pragma clang loop unroll(full)
            for (int t = 0; t < tiles; t++) sums[s][t] += values[s * tiles + t] * transformed[s];
        kernels += row->step;
        values += 6 * tiles;
    }
    for (int s = 0; s < 6; s++)
        for (int t = 0; t < tiles; t++) AT(row->sums + (s * tiles + t) * columns) = sums[s][t];
}

VECTOR_INLINE void NAME(multiply_row_of)(const NAME(row_product) * row, int tiles, const int ahead_lines) {
    switch (tiles) {
    case 1: return NAME(multiply_row)(row, 1, ahead_lines);
#if LANES == 16
    case 2: return NAME(multiply_row)(row, 2, ahead_lines);
    case 3: return NAME(multiply_row)(row, 3, ahead_lines);
#endif
    default: return NAME(multiply_row)(row, NAME(TILE_GROUP), ahead_lines);
    }
}

VECTOR_INLINE void NAME(ck_winograd_multiply_rows)(
    const float *panel, ptrdiff_t channels, int columns, const float *values, int tiles, int is_first, float *sums, float *scratch) {
    const ptrdiff_t block = NAME(block_channels)(tiles);
    // Kernels have 9 rows and meet the first group of tiles in 6 steps for each vector, so that this is somewhat more than all.
    enum { AHEAD_LINES = LANES / 8 };
    for (ptrdiff_t first = 0; first < channels; first += block) {
        const ptrdiff_t count = channels - first < block ? channels - first : block;
        const float *kernels = panel + first * 9 * columns;
        const float *ahead = kernels + count * 9 * columns;
        NAME(transform_kernel_rows)(kernels, count, columns, scratch);
        for (int r = 0; r < 6; r++) {
            const int is_own = r == 0 || r == 5;
            NAME(row_product) row = {
                .step = (is_own ? 9 : 3) * columns, .columns = columns, .channels = count, .is_first = is_first && first == 0};
            const float *three = is_own ? kernels + (r == 0 ? 0 : 6 * columns) : scratch + (r - 1) * count * 3 * columns;
            for (int tile = 0; tile < tiles; tile += NAME(TILE_GROUP)) {
                const int size = tiles - tile < NAME(TILE_GROUP) ? tiles - tile : NAME(TILE_GROUP);
                row.values = values;
                values += count * 6 * size;
                for (int i = 0; i < columns; i += LANES) {
                    row.kernels = three + i;
                    row.sums = sums + (CK_WINOGRAD_POSITIONS * tile + 6 * r * size) * columns + i;
                    row.ahead = ahead;
                    if (tile == 0) {
                        NAME(multiply_row_of)(&row, size, AHEAD_LINES);
                        ahead += 16 * AHEAD_LINES * count;
                    } else {
                        NAME(multiply_row_of)(&row, size, 0);
                    }
                }
            }
        }
    }
}

VECTOR_INLINE void NAME(ck_winograd_tile_values)(
    const float *transformed, ptrdiff_t step, int tiles, ptrdiff_t channel, ptrdiff_t channels, float *values) {
    static const float factors[6] = {
        1 / (NEAR_SQUARE * FAR_SQUARE), 1 / NEAR_DIVISOR, 1 / NEAR_DIVISOR, 1 / FAR_DIVISOR, 1 / FAR_DIVISOR, 1};
    const ptrdiff_t block = NAME(block_channels)(tiles);
    const ptrdiff_t first = channel / block * block;
    const ptrdiff_t count = channels - first < block ? channels - first : block;
    for (int r = 0; r < 6; r++) {
        for (int tile = 0; tile < tiles; tile += NAME(TILE_GROUP)) {
            const int size = tiles - tile < NAME(TILE_GROUP) ? tiles - tile : NAME(TILE_GROUP);
            // Values lie as ck_winograd_multiply_rows() meets them: [block][row][group][channel][6][tile].
            float *out = values + CK_WINOGRAD_POSITIONS * first * tiles + (r * tiles + tile) * 6 * count + (channel - first) * 6 * size;
            for (int s = 0; s < 6; s++)
                for (int t = 0; t < size; t++)
                    out[s * size + t] = factors[r] * factors[s] * transformed[(6 * r + s) * step + tile + t];
        }
    }
}
