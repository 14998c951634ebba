#include "include/amx_windows.h"

#include <string.h>

#include "amx.h"
#include "transpose.h"
#include "vector_math.h"

enum { BLOCK = CK_AMX_BLOCK, PIXEL = CK_AMX_PIXEL, STEP = CK_AMX_STEP, TILE = CK_AMX_TILE, PANEL = CK_AMX_PANEL };

// MARK: Pixels

static void fill_pixels_apart(
    const float *planes, ptrdiff_t plane_step, int channels, ptrdiff_t n, ptrdiff_t column_step, float *target) {
    for (ptrdiff_t i = 0; i < n; i++) {
        for (int p = 0; p < PIXEL; p++) {
            const float *number = planes + 2 * p * plane_step + i * column_step;
            const float low = 2 * p < channels ? *number : 0, high = 2 * p + 1 < channels ? number[plane_step] : 0;
            target[i * PIXEL + p] = bits_to_float(pair_of(low, high));
        }
    }
}

#if defined(__x86_64__)
// Sixteen pixels of all channels, or the first ones of them.
TARGET_AMX VECTOR_INLINE void fill_tile(
    const int is_whole, const float *planes, ptrdiff_t plane_step, int channels, ptrdiff_t n, ptrdiff_t column_step, __m512i order,
    float *target) {
    vector_f32_16 pairs[TILE];
    const __mmask16 lanes = first_lanes(n);
    const __m512i places = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32((int)column_step));
    for (int p = 0; p < TILE; p++, planes += 2 * plane_step) {
        __m512 number[2];
        for (int half = 0; half < 2; half++) {
            const float *row = planes + half * plane_step;
            if (is_whole)
                number[half] = _mm512_loadu_ps(row);
            else if (2 * p + half >= channels)
                number[half] = _mm512_setzero_ps();
            else if (column_step == 1)
                number[half] = _mm512_maskz_loadu_ps(lanes, row);
            else
                number[half] = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), lanes, places, row, 4);
        }
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(number[1], number[0]);
        pairs[p] = (vector_f32_16)_mm512_permutexvar_epi16(order, rounded);
    }
    transpose_16(pairs);
    for (int i = 0; i < TILE; i++)
        if (is_whole || i < n) *(vector_f32_16 *)(target + i * PIXEL) = pairs[i];
}

TARGET_AMX static void fill_pixels(
    const float *planes, ptrdiff_t plane_step, int channels, ptrdiff_t n, ptrdiff_t column_step, float *target) {
    const __m512i order = order_of_pairs();
    for (ptrdiff_t i = 0; i < n; i += TILE) {
        if (channels == BLOCK && column_step == 1 && i + TILE <= n)
            fill_tile(1, planes + i, plane_step, channels, TILE, 1, order, target + i * PIXEL);
        else
            fill_tile(0, planes + i * column_step, plane_step, channels, n - i, column_step, order, target + i * PIXEL);
    }
}
#endif

static float *fill_zeros(float *target, ptrdiff_t pixels) {
    memset(target, 0, (size_t)(pixels * PIXEL) * sizeof *target);
    return target + pixels * PIXEL;
}

void ck_amx_window_fill(
    const ck_window_phase *phases, ptrdiff_t count, const float *planes, ptrdiff_t plane_step, int channels, float *target) {
    void (*fill)(const float *, ptrdiff_t, int, ptrdiff_t, ptrdiff_t, float *) = fill_pixels_apart;
#if defined(__x86_64__)
    if (ck_runs_amx()) fill = fill_pixels;
#endif
    for (ptrdiff_t i = 0; i < count; i++) {
        ck_window_phase phase = phases[i];
        const ptrdiff_t width = phase.before + phase.count + phase.after;
        float *place = fill_zeros(target + phase.target * PIXEL, phase.rows_before * width);
        if (width == phase.count && phase.column_step == 1 && phase.row_step == width) {
            // Rows that follow each other without anything between them are one.
            phase.count *= phase.rows;
            phase.rows = 1;
        }
        const float *row = planes + phase.source;
        for (ptrdiff_t y = 0; y < phase.rows; y++, row += phase.row_step) {
            place = fill_zeros(place, phase.before);
            fill(row, plane_step, channels, phase.count, phase.column_step, place);
            place = fill_zeros(place + phase.count * PIXEL, phase.after);
        }
        fill_zeros(place, phase.rows_after * width);
    }
}

// MARK: Weights

#define PACK_PARAMETERS const float *weights, ptrdiff_t row_step, ptrdiff_t channels, ptrdiff_t taps, int outputs, float *target

static void pack_windows_apart(PACK_PARAMETERS) {
    for (ptrdiff_t first = 0; first < channels; first += BLOCK) {
        for (ptrdiff_t t = 0; t < taps; t++, target += STEP) {
            for (int p = 0; p < PIXEL; p++) {
                const ptrdiff_t channel = first + 2 * p;
                for (int output = 0; output < PANEL; output++) {
                    const float *number = weights + output * row_step + channel * taps + t;
                    const int is_there = output < outputs;
                    target[p * PANEL + output] = bits_to_float(pair_of(
                        is_there && channel < channels ? *number : 0, is_there && channel + 1 < channels ? number[taps] : 0));
                }
            }
        }
    }
}

#if defined(__x86_64__)
TARGET_AMX static void pack_windows(PACK_PARAMETERS) {
    const __m512i order = order_of_pairs();
    const __m512i places = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32((int)row_step));
    for (ptrdiff_t first = 0; first < channels; first += BLOCK) {
        for (ptrdiff_t t = 0; t < taps; t++, target += STEP) {
            for (int p = 0; p < PIXEL; p++) {
                for (int half = 0; half < 2; half++) {
                    __m512 number[2];
                    for (int i = 0; i < 2; i++) {
                        const ptrdiff_t channel = first + 2 * p + i;
                        const __mmask16 lanes = channel < channels ? first_lanes(outputs - half * TILE) : 0;
                        number[i] = _mm512_mask_i32gather_ps(
                            _mm512_setzero_ps(), lanes, places, weights + half * TILE * row_step + channel * taps + t, 4);
                    }
                    const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(number[1], number[0]);
                    _mm512_storeu_si512(target + p * PANEL + half * TILE, _mm512_permutexvar_epi16(order, rounded));
                }
            }
        }
    }
}
#endif

void ck_amx_pack_windows(PACK_PARAMETERS) {
#if defined(__x86_64__)
    if (ck_runs_amx() && row_step < 1 << 26) return pack_windows(weights, row_step, channels, taps, outputs, target);
#endif
    pack_windows_apart(weights, row_step, channels, taps, outputs, target);
}

// MARK: Products

#define PRODUCT_PARAMETERS                                                                                                   \
    ptrdiff_t blocks, ptrdiff_t block_step, ptrdiff_t taps, const ptrdiff_t *offsets, const float *pixels, const float *weights,   \
        const float *start, ptrdiff_t start_step, float *sums, const float *ahead, ptrdiff_t ahead_lines
#define PRODUCT_ARGUMENTS blocks, block_step, taps, offsets, pixels, weights, start, start_step, sums, ahead, ahead_lines

static void multiply_apart(int tiles, PRODUCT_PARAMETERS) {
    (void)ahead, (void)ahead_lines;
    for (int i = 0; i < tiles * TILE; i++) {
        float sum[PANEL];
        for (int j = 0; j < PANEL; j++) sum[j] = start[i * start_step + j];
        const float *row = weights;
        for (ptrdiff_t block = 0; block < blocks; block++) {
            for (ptrdiff_t t = 0; t < taps; t++) {
                const float *pixel = pixels + block * block_step + (offsets[t] + i) * PIXEL;
                for (int p = 0; p < PIXEL; p++, row += PANEL) {
                    for (int j = 0; j < PANEL; j++) {
                        const uint32_t factor = float_to_bits(pixel[p]), pair = float_to_bits(row[j]);
                        sum[j] += low_of(factor) * low_of(pair);
                        sum[j] += high_of(factor) * high_of(pair);
                    }
                }
            }
        }
        for (int j = 0; j < PANEL; j++) sums[i * PANEL + j] = sum[j];
    }
}

#if defined(__x86_64__)
enum { LINE = 16 };

TARGET_AMX VECTOR_INLINE void multiply(const int is_double, PRODUCT_PARAMETERS) {
    _tile_loadd(0, start, start_step * 4);
    _tile_loadd(1, start + TILE, start_step * 4);
    if (is_double) {
        _tile_loadd(2, start + TILE * start_step, start_step * 4);
        _tile_loadd(3, start + TILE * start_step + TILE, start_step * 4);
    }
    // Lines of what is read ahead in each step, as many as get there in time.
    const ptrdiff_t lines = (ahead_lines + blocks * taps - 1) / (blocks * taps);
    const float *end = ahead + ahead_lines * LINE;
    load_factors(is_double, pixels + offsets[0] * PIXEL, weights);
    ptrdiff_t tap = 0;
    for (ptrdiff_t step = blocks * taps; step > 0; step--) {
        // The weights of the step after the next one, which come from the second level of the cache.
        for (int i = 0; i < STEP; i += LINE) _mm_prefetch((const char *)(weights + 2 * STEP + i), _MM_HINT_T0);
        for (ptrdiff_t i = 0; i < lines && ahead < end; i++, ahead += LINE) _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        if (step == 1) break;
        weights += STEP;
        if (++tap == taps) {
            tap = 0;
            pixels += block_step;
        }
        multiply_and_load_factors(is_double, pixels + offsets[tap] * PIXEL, weights);
    }
    multiply_factors(is_double);
    _tile_stored(0, sums, RIGHT_STEP);
    _tile_stored(1, sums + TILE, RIGHT_STEP);
    if (is_double) {
        _tile_stored(2, sums + TILE * PANEL, RIGHT_STEP);
        _tile_stored(3, sums + TILE * PANEL + TILE, RIGHT_STEP);
    }
}

TARGET_AMX static void turn(const float *sums, int tiles, float *planes, ptrdiff_t plane_step) {
    for (int tile = 0; tile < tiles; tile++)
        for (int half = 0; half < PANEL; half += TILE) {
            vector_f32_16 x[TILE];
            for (int i = 0; i < TILE; i++) x[i] = *(const vector_f32_16 *)(sums + (tile * TILE + i) * PANEL + half);
            transpose_16(x);
            for (int i = 0; i < TILE; i++) *(vector_f32_16 *)(planes + (half + i) * plane_step + tile * TILE) = x[i];
        }
}

TARGET_AMX static void multiply_double(PRODUCT_PARAMETERS) { multiply(1, PRODUCT_ARGUMENTS); }
TARGET_AMX static void multiply_single(PRODUCT_PARAMETERS) { multiply(0, PRODUCT_ARGUMENTS); }
#endif

void ck_amx_window_product(int tiles, PRODUCT_PARAMETERS) {
#if defined(__x86_64__)
    if (ck_runs_amx()) return tiles == 2 ? multiply_double(PRODUCT_ARGUMENTS) : multiply_single(PRODUCT_ARGUMENTS);
#endif
    multiply_apart(tiles, PRODUCT_ARGUMENTS);
}

// MARK: Results

void ck_amx_window_turn(const float *sums, int tiles, float *planes, ptrdiff_t plane_step) {
#if defined(__x86_64__)
    if (ck_runs_amx()) return turn(sums, tiles, planes, plane_step);
#endif
    for (int i = 0; i < tiles * TILE; i++)
        for (int output = 0; output < PANEL; output++) planes[output * plane_step + i] = sums[i * PANEL + output];
}
