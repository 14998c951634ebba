// Depthwise convolutions row by row: each input row is loaded once, its numbers are brought beside the windows that read them once for
// each column of the kernel, and then added to all output rows that the row is part of, whose sums are registers that move on by one with
// every row of windows.

#include "include/depthwise.h"

#include "kernel.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { MOST_KERNEL = 7, MOST_STRIDE = 2, MOST_SUMS = MOST_KERNEL, MOST_BLOCKS = 8, HALF = VECTOR_LANES / 2 };

// Neighbouring windows that are the lanes of a vector: of one plane, or the first 8 of each of two planes.
typedef struct {
    // The input's columns that they read, from the first one on.
    ptrdiff_t first_column;
    __mmask16 low;
    __mmask16 high;
    // The windows' place in a row of the output.
    ptrdiff_t place;
    __mmask16 lanes;
    // Where each window finds its number, for each column of the kernel, in two vectors of the input.
    __m512i index[MOST_KERNEL];
} window_block;

VECTOR_INLINE ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
VECTOR_INLINE ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

// The input's columns that `count` windows from `place` on read, as far as there are any.
VECTOR_INLINE void read_columns(
    const ck_depthwise_geometry *g, ptrdiff_t place, ptrdiff_t count, ptrdiff_t *first, ptrdiff_t *columns, int *reads_padding) {
    const ptrdiff_t begin = place * g->stride - g->pad_left;
    const ptrdiff_t end = begin + (count - 1) * g->stride + g->kernel;
    *first = smaller(larger(begin, 0), g->input_columns);
    *columns = larger(smaller(end, g->input_columns) - *first, 0);
    *reads_padding = begin < 0 || end > g->input_columns;
}

// Whether `lanes` numbers hold what these windows read, with a zero for the padding.
VECTOR_INLINE int fits(const ck_depthwise_geometry *g, ptrdiff_t place, ptrdiff_t count, ptrdiff_t lanes) {
    ptrdiff_t first, columns;
    int reads_padding;
    read_columns(g, place, count, &first, &columns, &reads_padding);
    return columns + reads_padding <= lanes;
}

VECTOR_INLINE int is_paired(const ck_depthwise_geometry *g) {
    return g->output_columns <= HALF && fits(g, 0, g->output_columns, VECTOR_LANES);
}

// Windows of a block.
VECTOR_INLINE ptrdiff_t block_windows(const ck_depthwise_geometry *g) {
    ptrdiff_t count = VECTOR_LANES;
    while ((count - 1) * g->stride + g->kernel + 1 > 2 * VECTOR_LANES) count--;
    const ptrdiff_t blocks = (g->output_columns + count - 1) / count;
    return (g->output_columns + blocks - 1) / blocks;
}

CK_TARGET_AVX512 VECTOR_INLINE window_block make_block(const ck_depthwise_geometry *g, ptrdiff_t place, ptrdiff_t count, const int pairs) {
    window_block block = {.place = place, .lanes = (__mmask16)((1u << count) - 1)};
    ptrdiff_t columns;
    int reads_padding;
    read_columns(g, place, count, &block.first_column, &columns, &reads_padding);
    const uint64_t read = ((uint64_t)1 << columns) - 1;
    block.low = (__mmask16)read;
    block.high = pairs ? block.low : (__mmask16)(read >> VECTOR_LANES);
    for (int column = 0; column < g->kernel; column++) {
        int32_t index[VECTOR_LANES];
        for (int lane = 0; lane < VECTOR_LANES; lane++) {
            const int window = pairs ? lane % HALF : lane;
            const ptrdiff_t number = (place + window) * g->stride - g->pad_left + column - block.first_column;
            // What is padding, or isn't wanted, is read where the mask leaves a zero, or anything.
            const ptrdiff_t found = number >= 0 && number < columns ? number : smaller(columns, pairs ? 15 : 31);
            index[lane] = (int32_t)(found + (pairs && lane >= HALF ? VECTOR_LANES : 0));
        }
        block.index[column] = _mm512_loadu_si512(index);
    }
    return block;
}

// One plane, or two, whose rows are computed together with another's, so that sums don't wait for each other.
typedef struct {
    const float *x[2];
    // Numbers, or vectors for two planes.
    const float *weights;
    __m512 start;
    float *y[2];
} plane_unit;

CK_TARGET_AVX512 VECTOR_INLINE void depthwise_rows(
    const int kernel, const int stride, const int pairs, const int units, const ck_depthwise_geometry *g, const window_block *block,
    const plane_unit *unit, ptrdiff_t first_row, ptrdiff_t last_row) {
    // Output rows that an input row is part of.
    const int depth = (kernel - 1) / stride;
    __m512 sum[2][MOST_SUMS];
#pragma clang loop unroll(full)
    for (int u = 0; u < units; u++)
#pragma clang loop unroll(full)
        for (int q = 0; q <= depth; q++) sum[u][q] = unit[u].start;
    for (ptrdiff_t t = first_row; t < last_row + depth; t++) {
#pragma clang loop unroll(full)
        for (int r = 0; r < stride; r++) {
            const ptrdiff_t row = t * stride + r - g->pad_top;
            if (row < 0 || row >= g->input_rows) continue;
            const ptrdiff_t place = row * g->input_columns + block->first_column;
            __m512 low[2], high[2];
#pragma clang loop unroll(full)
            for (int u = 0; u < units; u++) {
                low[u] = _mm512_maskz_loadu_ps(block->low, unit[u].x[0] + place);
                high[u] = _mm512_maskz_loadu_ps(block->high, pairs ? unit[u].x[1] + place : unit[u].x[0] + place + VECTOR_LANES);
            }
#pragma clang loop unroll(full)
            for (int column = 0; column < kernel; column++) {
#pragma clang loop unroll(full)
                for (int u = 0; u < units; u++) {
                    const __m512 numbers = _mm512_permutex2var_ps(low[u], block->index[column], high[u]);
#pragma clang loop unroll(full)
                    for (int q = 0; q <= depth; q++) {
                        const int tap = (q * stride + r) * kernel + column;
                        if (q * stride + r >= kernel) continue;
                        const __m512 weight = pairs ? _mm512_loadu_ps(unit[u].weights + tap * VECTOR_LANES)
                                                    : _mm512_set1_ps(unit[u].weights[tap]);
                        sum[u][q] = _mm512_fmadd_ps(weight, numbers, sum[u][q]);
                    }
                }
            }
        }
        const ptrdiff_t row = t - depth;
#pragma clang loop unroll(full)
        for (int u = 0; u < units; u++) {
            if (row >= first_row) {
                const ptrdiff_t place = row * g->output_columns + block->place;
                _mm512_mask_storeu_ps(unit[u].y[0] + place, block->lanes, sum[u][depth]);
                if (pairs)
                    _mm512_mask_storeu_ps(unit[u].y[1] + place - HALF, (__mmask16)(block->lanes << HALF), sum[u][depth]);
            }
#pragma clang loop unroll(full)
            for (int q = depth; q > 0; q--) sum[u][q] = sum[u][q - 1];
            sum[u][0] = unit[u].start;
        }
    }
}

// Rows that are computed before the next blocks' of the same planes: so many that the first-level cache keeps the lines that both read.
VECTOR_INLINE ptrdiff_t band_rows(const ck_depthwise_geometry *g) {
    enum { KEPT_FLOATS = 3 << 10, LEAST_ROWS = 8 };
    return larger(KEPT_FLOATS / (g->input_columns * g->stride + g->output_columns), LEAST_ROWS);
}

CK_TARGET_AVX512 VECTOR_INLINE void depthwise_planes(
    const int kernel, const int stride, const int pairs, const ck_depthwise_geometry *g, const float *x, ptrdiff_t count,
    const float *weights, const float *starts, ptrdiff_t first_row, ptrdiff_t last_row, float *y) {
    const ptrdiff_t windows = pairs ? g->output_columns : block_windows(g);
    const ptrdiff_t input = g->input_rows * g->input_columns, output = g->output_rows * g->output_columns;
    const ptrdiff_t rows = windows < g->output_columns ? band_rows(g) : last_row - first_row;
    const int taps = kernel * kernel, planes = pairs ? 2 : 1;
    for (ptrdiff_t column = 0; column < g->output_columns; column += MOST_BLOCKS * windows) {
        window_block blocks[MOST_BLOCKS];
        int blockCount = 0;
        for (ptrdiff_t place = column; blockCount < MOST_BLOCKS && place < g->output_columns; place += windows)
            blocks[blockCount++] = make_block(g, place, smaller(windows, g->output_columns - place), pairs);
        for (ptrdiff_t plane = 0; plane < count; plane += 2 * planes) {
            plane_unit unit[2];
            _Alignas(64) float vectors[2][MOST_KERNEL * MOST_KERNEL * VECTOR_LANES];
            const int units = count - plane > planes ? 2 : 1;
            for (int u = 0; u < units; u++) {
                // Without a second plane, the first one twice.
                const ptrdiff_t first = plane + u * planes, second = pairs && first + 1 < count ? first + 1 : first;
                const __m512 own = _mm512_set1_ps(starts ? starts[first] : 0);
                unit[u] = (plane_unit){
                    .x = {x + first * input, x + second * input}, .weights = weights + first * taps, .start = own,
                    .y = {y + first * output, y + second * output}};
                if (!pairs) continue;
                const __mmask16 half = 0xFF00;
                unit[u].start = _mm512_mask_mov_ps(own, half, _mm512_set1_ps(starts ? starts[second] : 0));
                for (int tap = 0; tap < taps; tap++)
                    _mm512_storeu_ps(
                        vectors[u] + tap * VECTOR_LANES,
                        _mm512_mask_mov_ps(
                            _mm512_set1_ps(weights[first * taps + tap]), half, _mm512_set1_ps(weights[second * taps + tap])));
                unit[u].weights = vectors[u];
            }
            for (ptrdiff_t row = first_row; row < last_row; row += rows) {
                const ptrdiff_t end = smaller(row + rows, last_row);
                for (int i = 0; i < blockCount; i++) {
                    if (units == 2)
                        depthwise_rows(kernel, stride, pairs, 2, g, blocks + i, unit, row, end);
                    else
                        depthwise_rows(kernel, stride, pairs, 1, g, blocks + i, unit, row, end);
                }
            }
        }
    }
}

// Up to 8 neighbouring windows of one plane: the numbers that they read at each column of the kernel, as two vectors where the stride is 2.
typedef struct {
    ptrdiff_t place;
    __m256i lanes;
    // Where in a row the first window reads at the first column; outside of the row there are no numbers, as the masks tell.
    ptrdiff_t first_column;
    __m256i masks[MOST_KERNEL][2];
} narrow_block;

CK_TARGET_AVX2 VECTOR_INLINE narrow_block make_narrow_block(const ck_depthwise_geometry *g, ptrdiff_t place, ptrdiff_t count) {
    narrow_block block = {.place = place, .first_column = place * g->stride - g->pad_left};
    int32_t bits[HALF];
    for (int i = 0; i < HALF; i++) bits[i] = i < count ? -1 : 0;
    block.lanes = _mm256_loadu_si256((const __m256i *)bits);
    for (int column = 0; column < g->kernel; column++) {
        for (int part = 0; part < g->stride; part++) {
            for (int i = 0; i < HALF; i++) {
                const int number = part * HALF + i;
                const ptrdiff_t found = block.first_column + column + number;
                bits[i] = number / g->stride < count && found >= 0 && found < g->input_columns ? -1 : 0;
            }
            block.masks[column][part] = _mm256_loadu_si256((const __m256i *)bits);
        }
    }
    return block;
}

CK_TARGET_AVX2 VECTOR_INLINE __m256 narrow_numbers(const int stride, const float *x, const __m256i *masks) {
    const __m256 low = _mm256_maskload_ps(x, masks[0]);
    if (stride == 1) return low;
    const __m256 high = _mm256_maskload_ps(x + HALF, masks[1]);
    // The even ones of both.
    const __m256 mixed = _mm256_shuffle_ps(low, high, 0x88);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xD8));
}

CK_TARGET_AVX2 VECTOR_INLINE void narrow_rows(
    const int kernel, const int stride, const int units, const ck_depthwise_geometry *g, const narrow_block *block,
    const float *const *x, const float *const *weights, const float *starts, ptrdiff_t first_row, ptrdiff_t last_row, float *const *y) {
    const int depth = (kernel - 1) / stride;
    __m256 sum[2][MOST_SUMS];
#pragma clang loop unroll(full)
    for (int u = 0; u < units; u++)
#pragma clang loop unroll(full)
        for (int q = 0; q <= depth; q++) sum[u][q] = _mm256_set1_ps(starts[u]);
    for (ptrdiff_t t = first_row; t < last_row + depth; t++) {
#pragma clang loop unroll(full)
        for (int r = 0; r < stride; r++) {
            const ptrdiff_t row = t * stride + r - g->pad_top;
            if (row < 0 || row >= g->input_rows) continue;
            const ptrdiff_t place = row * g->input_columns + block->first_column;
#pragma clang loop unroll(full)
            for (int column = 0; column < kernel; column++) {
#pragma clang loop unroll(full)
                for (int u = 0; u < units; u++) {
                    const __m256 numbers = narrow_numbers(stride, x[u] + place + column, block->masks[column]);
#pragma clang loop unroll(full)
                    for (int q = 0; q <= depth; q++) {
                        if (q * stride + r >= kernel) continue;
                        const __m256 weight = _mm256_broadcast_ss(weights[u] + (q * stride + r) * kernel + column);
                        sum[u][q] = _mm256_fmadd_ps(weight, numbers, sum[u][q]);
                    }
                }
            }
        }
        const ptrdiff_t row = t - depth;
#pragma clang loop unroll(full)
        for (int u = 0; u < units; u++) {
            if (row >= first_row) _mm256_maskstore_ps(y[u] + row * g->output_columns + block->place, block->lanes, sum[u][depth]);
#pragma clang loop unroll(full)
            for (int q = depth; q > 0; q--) sum[u][q] = sum[u][q - 1];
            sum[u][0] = _mm256_set1_ps(starts[u]);
        }
    }
}

#define PARAMETERS                                                                                                           \
    const ck_depthwise_geometry *g, const float *x, ptrdiff_t count, const float *weights, const float *starts,              \
        ptrdiff_t first_row, ptrdiff_t last_row, float *y
#define ARGUMENTS g, x, count, weights, starts, first_row, last_row, y

CK_TARGET_AVX2 VECTOR_INLINE void narrow_planes(const int kernel, const int stride, PARAMETERS) {
    // As many sums as registers hold.
    const int together = kernel < 7 ? 2 : 1;
    const ptrdiff_t blocks = (g->output_columns + HALF - 1) / HALF, windows = (g->output_columns + blocks - 1) / blocks;
    const ptrdiff_t input = g->input_rows * g->input_columns, output = g->output_rows * g->output_columns;
    const int taps = kernel * kernel;
    for (ptrdiff_t place = 0; place < g->output_columns; place += windows) {
        const narrow_block block = make_narrow_block(g, place, smaller(windows, g->output_columns - place));
        for (ptrdiff_t plane = 0; plane < count; plane += together) {
            const float *sources[2], *kernels[2];
            float offsets[2], *targets[2];
            for (int u = 0; u < together; u++) {
                // Without a second plane, the first one twice.
                const ptrdiff_t own = smaller(plane + u, count - 1);
                sources[u] = x + own * input, kernels[u] = weights + own * taps, targets[u] = y + own * output;
                offsets[u] = starts ? starts[own] : 0;
            }
            narrow_rows(kernel, stride, together, g, &block, sources, kernels, offsets, first_row, last_row, targets);
        }
    }
}

#define KERNEL(kernel, stride)                                                                                               \
    CK_TARGET_AVX512 static void wide_##kernel##_##stride(PARAMETERS) {                                                      \
        if (is_paired(g))                                                                                                    \
            depthwise_planes(kernel, stride, 1, ARGUMENTS);                                                                  \
        else                                                                                                                 \
            depthwise_planes(kernel, stride, 0, ARGUMENTS);                                                                  \
    }                                                                                                                        \
    CK_TARGET_AVX2 static void narrow_##kernel##_##stride(PARAMETERS) { narrow_planes(kernel, stride, ARGUMENTS); }
KERNEL(3, 1)
KERNEL(3, 2)
KERNEL(5, 1)
KERNEL(5, 2)
KERNEL(7, 1)
KERNEL(7, 2)

int ck_has_depthwise(ptrdiff_t kernel, ptrdiff_t stride) {
    return ck_level() != CK_LEVEL_PLAIN && (kernel == 3 || kernel == 5 || kernel == 7) && stride >= 1 && stride <= MOST_STRIDE;
}

#define CHOOSE(level)                                                                                                        \
    switch (8 * g->stride + g->kernel) {                                                                                     \
    case 8 + 3: return level##_3_1(ARGUMENTS);                                                                               \
    case 8 + 5: return level##_5_1(ARGUMENTS);                                                                               \
    case 8 + 7: return level##_7_1(ARGUMENTS);                                                                               \
    case 16 + 3: return level##_3_2(ARGUMENTS);                                                                              \
    case 16 + 5: return level##_5_2(ARGUMENTS);                                                                              \
    default: return level##_7_2(ARGUMENTS);                                                                                  \
    }

void ck_depthwise(PARAMETERS) {
    if (ck_level() == CK_LEVEL_AVX512) CHOOSE(wide)
    CHOOSE(narrow)
}
#else
int ck_has_depthwise(ptrdiff_t kernel, ptrdiff_t stride) {
    (void)kernel, (void)stride;
    return 0;
}

void ck_depthwise(
    const ck_depthwise_geometry *g, const float *x, ptrdiff_t count, const float *weights, const float *starts,
    ptrdiff_t first_row, ptrdiff_t last_row, float *y) {
    (void)g, (void)x, (void)count, (void)weights, (void)starts, (void)first_row, (void)last_row, (void)y;
}
#endif
