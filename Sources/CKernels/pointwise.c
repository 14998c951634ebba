#include "include/pointwise.h"

#include "finish.h"
#include "tile.h"

#define POINTWISE_PARAMETERS                                                                                                 \
    ptrdiff_t channels, ptrdiff_t pixels, const float *x, ptrdiff_t x_step, const float *weights, ptrdiff_t weight_step,     \
        const float *starts, const float *residual, const ck_finish *finish, float *y, ptrdiff_t y_step, const float *ahead
#define POINTWISE_ARGUMENTS channels, pixels, x, x_step, weights, weight_step, starts, residual, finish, y, y_step, ahead

#if defined(__x86_64__)
// Pixels behind a vector that are better multiplied one by one with columns of the weights, of at least as many rows, than as a vector with
// most lanes empty.
enum { MOST_FEW = 4, LEAST_ROWS = 8 };

// Finishes the sums of one pixel, which has the rows in its lanes.
CK_TARGET_AVX512 VECTOR_INLINE void finish_pixel_512(
    const int rows, __m512 sum, const float *residual, const ck_finish *finish, float *y, ptrdiff_t y_step) {
    float lanes[16];
    if (residual) {
        for (int i = 0; i < rows; i++) lanes[i] = residual[i * y_step];
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps((__mmask16)((1u << rows) - 1), lanes));
    }
    _mm512_storeu_ps(lanes, finished_512(sum, finish));
    finish_rows_512(finish, lanes, 0, 1, rows);
    for (int i = 0; i < rows; i++) y[i * y_step] = lanes[i];
}

// Up to 32 pixels, of which `low` and `high` are there, and a few more behind them.
CK_TARGET_AVX512 VECTOR_INLINE void pixels_512(
    const int rows, const int vectors, const int few, __mmask16 low, __mmask16 high, const char **next, ptrdiff_t next_step,
    POINTWISE_PARAMETERS) {
    (void)pixels, (void)ahead;
    __m512 sum[14][2], single[MOST_FEW];
    const __mmask16 all = (__mmask16)((1u << rows) - 1);
    for (int p = 0; p < few; p++) single[p] = _mm512_maskz_loadu_ps(all, starts);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_set1_ps(starts[i]);
    const float *b = x;
    const char *line = *next;
    *next += channels * next_step;
    for (ptrdiff_t channel = 0; channel < channels; channel++, b += x_step, weights += weight_step, line += next_step) {
        _mm_prefetch(line, _MM_HINT_T1);
        // The next pixels', which the first panel of weights would wait for.
        _mm_prefetch((const char *)(b + 32), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + 48), _MM_HINT_T0);
        const __m512 first = _mm512_maskz_loadu_ps(vectors > 1 ? 0xFFFF : low, b);
        const __m512 second = vectors > 1 ? _mm512_maskz_loadu_ps(high, b + 16) : first;
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const __m512 factor = _mm512_set1_ps(weights[i]);
            sum[i][0] = _mm512_fmadd_ps(factor, first, sum[i][0]);
            if (vectors > 1) sum[i][1] = _mm512_fmadd_ps(factor, second, sum[i][1]);
        }
        if (few == 0) continue;
        const __m512 column = _mm512_maskz_loadu_ps(all, weights);
#pragma clang loop unroll(full)
        for (int p = 0; p < few; p++)
            single[p] = _mm512_fmadd_ps(_mm512_set1_ps(b[16 * vectors + p]), column, single[p]);
    }
#pragma clang loop unroll(full)
    for (int p = 0; p < few; p++) {
        const ptrdiff_t place = 16 * vectors + p;
        finish_pixel_512(rows, single[p], residual ? residual + place : NULL, finish, y + place, y_step);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) {
            const __mmask16 mask = vectors == 1 ? low : j == 0 ? 0xFFFF : high;
            const ptrdiff_t place = i * y_step + 16 * j;
            if (residual) sum[i][j] = _mm512_add_ps(sum[i][j], _mm512_maskz_loadu_ps(mask, residual + place));
            const __m512 value = finished_512(sum[i][j], finish);
            // A part of a vector takes several times as long to store as a whole one on some processors.
            if (mask == 0xFFFF)
                _mm512_storeu_ps(y + place, value);
            else
                _mm512_mask_storeu_ps(y + place, mask, value);
        }
    }
    finish_rows_512(finish, y, y_step, rows, vectors > 1 ? 16 + __builtin_popcount(high) : __builtin_popcount(low));
}

CK_TARGET_AVX512 VECTOR_INLINE void pointwise_512(const int rows, POINTWISE_PARAMETERS) {
    const char *next = (const char *)ahead;
    const ptrdiff_t next_step = ahead ? bytes_ahead(weight_step, (pixels + 31) / 32) : 0;
    while (pixels > 0) {
        ptrdiff_t count = pixels < 32 ? pixels : 32;
        if (rows >= LEAST_ROWS && pixels > 32 && pixels <= 32 + MOST_FEW) count = 16;
        const __mmask16 rest = (__mmask16)((1u << (count > 16 ? count - 16 : count)) - 1);
        switch (rows >= LEAST_ROWS && count > 16 && count <= 16 + MOST_FEW ? count - 16 : 0) {
        case 1: pixels_512(rows, 1, 1, 0xFFFF, 0, &next, next_step, POINTWISE_ARGUMENTS); break;
        case 2: pixels_512(rows, 1, 2, 0xFFFF, 0, &next, next_step, POINTWISE_ARGUMENTS); break;
        case 3: pixels_512(rows, 1, 3, 0xFFFF, 0, &next, next_step, POINTWISE_ARGUMENTS); break;
        case 4: pixels_512(rows, 1, 4, 0xFFFF, 0, &next, next_step, POINTWISE_ARGUMENTS); break;
        default:
            if (count > 16)
                pixels_512(rows, 2, 0, 0, rest, &next, next_step, POINTWISE_ARGUMENTS);
            else
                pixels_512(rows, 1, 0, rest, 0, &next, next_step, POINTWISE_ARGUMENTS);
        }
        pixels -= count, x += count, y += count;
        if (residual) residual += count;
    }
}

CK_TARGET_AVX512 static void rows_512(int rows, POINTWISE_PARAMETERS) { UP_TO_14_ROWS(pointwise_512, POINTWISE_ARGUMENTS) }

// Up to 16 pixels; where they are fewer, vectors are loaded and stored in part.
CK_TARGET_AVX2 VECTOR_INLINE void pixels_256(const int rows, const int is_whole, ptrdiff_t count, const char **next, ptrdiff_t next_step,
    POINTWISE_PARAMETERS) {
    (void)pixels, (void)ahead;
    const __m256i masks[2] = {first_lanes_256(count), first_lanes_256(count - 8)};
    __m256 sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 2; j++) sum[i][j] = _mm256_set1_ps(starts[i]);
    const float *b = x;
    const char *line = *next;
    *next += channels * next_step;
    for (ptrdiff_t channel = 0; channel < channels; channel++, b += x_step, weights += weight_step, line += next_step) {
        _mm_prefetch(line, _MM_HINT_T1);
        const __m256 first = is_whole ? _mm256_loadu_ps(b) : _mm256_maskload_ps(b, masks[0]);
        const __m256 second = is_whole ? _mm256_loadu_ps(b + 8) : _mm256_maskload_ps(b + 8, masks[1]);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const __m256 factor = _mm256_broadcast_ss(weights + i);
            sum[i][0] = _mm256_fmadd_ps(factor, first, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(factor, second, sum[i][1]);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int j = 0; j < 2; j++) {
            const ptrdiff_t place = i * y_step + 8 * j;
            if (residual) {
                const float *other = residual + place;
                sum[i][j] = _mm256_add_ps(sum[i][j], is_whole ? _mm256_loadu_ps(other) : _mm256_maskload_ps(other, masks[j]));
            }
            const __m256 value = finished_256(sum[i][j], finish);
            if (is_whole)
                _mm256_storeu_ps(y + place, value);
            else
                _mm256_maskstore_ps(y + place, masks[j], value);
        }
    }
    finish_rows_256(finish, y, y_step, rows, count);
}

CK_TARGET_AVX2 VECTOR_INLINE void pointwise_256(const int rows, POINTWISE_PARAMETERS) {
    const char *next = (const char *)ahead;
    const ptrdiff_t next_step = ahead ? bytes_ahead(weight_step, (pixels + 15) / 16) : 0;
    for (; pixels >= 16; pixels -= 16, x += 16, y += 16) {
        pixels_256(rows, 1, 16, &next, next_step, POINTWISE_ARGUMENTS);
        if (residual) residual += 16;
    }
    if (pixels > 0) pixels_256(rows, 0, pixels, &next, next_step, POINTWISE_ARGUMENTS);
}

CK_TARGET_AVX2 static void rows_256(int rows, POINTWISE_PARAMETERS) {
    switch (rows) {
    case 1: return pointwise_256(1, POINTWISE_ARGUMENTS);
    case 2: return pointwise_256(2, POINTWISE_ARGUMENTS);
    case 3: return pointwise_256(3, POINTWISE_ARGUMENTS);
    case 4: return pointwise_256(4, POINTWISE_ARGUMENTS);
    case 5: return pointwise_256(5, POINTWISE_ARGUMENTS);
    default: return pointwise_256(6, POINTWISE_ARGUMENTS);
    }
}
#endif

void ck_pointwise(int rows, POINTWISE_PARAMETERS) {
#if defined(__x86_64__)
    if (ck_level() == CK_LEVEL_AVX512) return rows_512(rows, POINTWISE_ARGUMENTS);
    if (ck_level() == CK_LEVEL_AVX2) return rows_256(rows, POINTWISE_ARGUMENTS);
#endif
    (void)rows, (void)channels, (void)pixels, (void)x, (void)x_step, (void)weights, (void)weight_step, (void)starts;
    (void)residual, (void)finish, (void)y, (void)y_step, (void)ahead;
}
