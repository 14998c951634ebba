#include "include/windows.h"

#include "tile.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

VECTOR_INLINE float *fill(float *target, ptrdiff_t n, float value) {
    for (ptrdiff_t i = 0; i < n; i++) target[i] = value;
    return target + n;
}

VECTOR_INLINE void copy_steps(const float *source, const ptrdiff_t step, float *target, ptrdiff_t n) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) target[i] = source[i * step];
}

CK_KERNEL(
    void, ck_window_fill, (const ck_window_phase *phases, ptrdiff_t count, const float *plane, float padding, float *target),
    (phases, count, plane, padding, target)) {
    for (ptrdiff_t i = 0; i < count; i++) {
        const ck_window_phase phase = phases[i];
        const ptrdiff_t width = phase.before + phase.count + phase.after;
        float *place = fill(target + phase.target, phase.rows_before * width, padding);
        const float *row = plane + phase.source;
        for (ptrdiff_t y = 0; y < phase.rows; y++, row += phase.row_step) {
            place = fill(place, phase.before, padding);
            if (phase.column_step == 1)
                memcpy(place, row, (size_t)phase.count * sizeof(float));
            else if (phase.column_step == 2)
                copy_steps(row, 2, place, phase.count);
            else
                for (ptrdiff_t x = 0; x < phase.count; x++) place[x] = row[x * phase.column_step];
            place = fill(place + phase.count, phase.after, padding);
        }
        fill(place, phase.rows_after * width, padding);
    }
}

// `vectors` neighbouring vectors of windows, in registers for all places.
VECTOR_INLINE void sum_vectors(
    const int vectors, const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y,
    ptrdiff_t n) {
    vector_f32 sum[4];
    for (int v = 0; v < vectors; v++) sum[v] = start;
    for (ptrdiff_t t = 0; t < taps; t++) {
        const vector_f32 weight = (vector_f32)weights[t];
        const float *numbers = x + offsets[t];
        for (int v = 0; v < vectors; v++) sum[v] += weight * VECTOR_CONST_AT(numbers + VECTOR_LANES * v);
    }
    for (int v = 0; v + 1 < vectors; v++) VECTOR_AT(y + VECTOR_LANES * v) = sum[v];
    const ptrdiff_t last = VECTOR_LANES * (vectors - 1);
    if (n - last >= VECTOR_LANES) {
        VECTOR_AT(y + last) = sum[vectors - 1];
    } else {
        float lanes[VECTOR_LANES];
        VECTOR_AT(lanes) = sum[vectors - 1];
        memcpy(y + last, lanes, (size_t)(n - last) * sizeof(float));
    }
}

CK_KERNEL(
    void, ck_window_sum,
    (const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y, ptrdiff_t n),
    (x, offsets, weights, taps, start, y, n)) {
    ptrdiff_t i = 0;
    for (; i + 3 * VECTOR_LANES < n; i += 4 * VECTOR_LANES) sum_vectors(4, x + i, offsets, weights, taps, start, y + i, n - i);
    if (i + 2 * VECTOR_LANES < n)
        sum_vectors(3, x + i, offsets, weights, taps, start, y + i, n - i);
    else if (i + VECTOR_LANES < n)
        sum_vectors(2, x + i, offsets, weights, taps, start, y + i, n - i);
    else if (i < n)
        sum_vectors(1, x + i, offsets, weights, taps, start, y + i, n - i);
}

VECTOR_INLINE float larger(float best, float v) { return ((v > best) | (v != v)) ? v : best; }

CK_KERNEL(
    void, ck_window_max, (const float *x, const ptrdiff_t *offsets, ptrdiff_t taps, float *y, ptrdiff_t n),
    (x, offsets, taps, y, n)) {
    for (ptrdiff_t i = 0; i < n; i += 4 * VECTOR_LANES) {
        float best[4 * VECTOR_LANES];
        const ptrdiff_t left = n - i < 4 * VECTOR_LANES ? n - i : 4 * VECTOR_LANES;
        const ptrdiff_t lanes = (left + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES;
        const float *first = x + offsets[0] + i;
        VECTOR_LOOP for (ptrdiff_t j = 0; j < lanes; j++) best[j] = first[j];
        for (ptrdiff_t t = 1; t < taps; t++) {
            const float *numbers = x + offsets[t] + i;
            VECTOR_LOOP for (ptrdiff_t j = 0; j < lanes; j++) best[j] = larger(best[j], numbers[j]);
        }
        memcpy(y + i, best, (size_t)left * sizeof(float));
    }
}

#define PRODUCT_PARAMETERS                                                                                                   \
    ptrdiff_t channels, ptrdiff_t channel_step, ptrdiff_t taps, const ptrdiff_t *offsets, const float *a, const float *x,    \
        const float *start, float *c, ptrdiff_t ldc
#define PRODUCT_ARGUMENTS channels, channel_step, taps, offsets, a, x, start, c, ldc

typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4), may_alias));

VECTOR_INLINE void product_plain(int rows, const int vectors, PRODUCT_PARAMETERS) {
    lanes4 sum[4][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = start[i];
    for (ptrdiff_t channel = 0; channel < channels; channel++, x += channel_step)
        for (ptrdiff_t t = 0; t < taps; t++, a += rows)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < vectors; j++) sum[i][j] += a[i] * *(const lanes4 *)(x + offsets[t] + 4 * j);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) *(lanes4 *)(c + i * ldc + 4 * j) = sum[i][j];
}

#if defined(__x86_64__)
CK_TARGET_AVX2 VECTOR_INLINE void product_avx2(const int rows, const int vectors, PRODUCT_PARAMETERS) {
    __m256 sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm256_broadcast_ss(start + i);
    for (ptrdiff_t channel = 0; channel < channels; channel++, x += channel_step) {
        for (ptrdiff_t t = 0; t < taps; t++, a += rows) {
            const float *b = x + offsets[t];
            __m256 low = _mm256_loadu_ps(b), high = vectors > 1 ? _mm256_loadu_ps(b + 8) : low;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                __m256 factor = _mm256_broadcast_ss(a + i);
                sum[i][0] = _mm256_fmadd_ps(factor, low, sum[i][0]);
                if (vectors > 1) sum[i][1] = _mm256_fmadd_ps(factor, high, sum[i][1]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) _mm256_storeu_ps(c + i * ldc + 8 * j, sum[i][j]);
}

CK_TARGET_AVX512 VECTOR_INLINE void product_avx512(const int rows, const int vectors, PRODUCT_PARAMETERS) {
    __m512 sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_set1_ps(start[i]);
    for (ptrdiff_t channel = 0; channel < channels; channel++, x += channel_step) {
        for (ptrdiff_t t = 0; t < taps; t++, a += rows) {
            const float *b = x + offsets[t];
            __m512 low = _mm512_loadu_ps(b), high = vectors > 1 ? _mm512_loadu_ps(b + 16) : low;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                __m512 factor = _mm512_set1_ps(a[i]);
                sum[i][0] = _mm512_fmadd_ps(factor, low, sum[i][0]);
                if (vectors > 1) sum[i][1] = _mm512_fmadd_ps(factor, high, sum[i][1]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) _mm512_storeu_ps(c + i * ldc + 16 * j, sum[i][j]);
}

CK_TARGET_AVX2 static void whole_avx2(int rows, PRODUCT_PARAMETERS) {
    switch (rows) {
    case 1: return product_avx2(1, 2, PRODUCT_ARGUMENTS);
    case 2: return product_avx2(2, 2, PRODUCT_ARGUMENTS);
    case 3: return product_avx2(3, 2, PRODUCT_ARGUMENTS);
    case 4: return product_avx2(4, 2, PRODUCT_ARGUMENTS);
    case 5: return product_avx2(5, 2, PRODUCT_ARGUMENTS);
    default: return product_avx2(6, 2, PRODUCT_ARGUMENTS);
    }
}

CK_TARGET_AVX2 static void half_avx2(int rows, PRODUCT_PARAMETERS) {
    switch (rows) {
    case 1: return product_avx2(1, 1, PRODUCT_ARGUMENTS);
    case 2: return product_avx2(2, 1, PRODUCT_ARGUMENTS);
    case 3: return product_avx2(3, 1, PRODUCT_ARGUMENTS);
    case 4: return product_avx2(4, 1, PRODUCT_ARGUMENTS);
    case 5: return product_avx2(5, 1, PRODUCT_ARGUMENTS);
    default: return product_avx2(6, 1, PRODUCT_ARGUMENTS);
    }
}

CK_TARGET_AVX512 static void whole_avx512(int rows, PRODUCT_PARAMETERS) { UP_TO_14_ROWS(product_avx512, 2, PRODUCT_ARGUMENTS) }
CK_TARGET_AVX512 static void half_avx512(int rows, PRODUCT_PARAMETERS) { UP_TO_14_ROWS(product_avx512, 1, PRODUCT_ARGUMENTS) }
#endif

void ck_window_product(int level, int rows, int is_half, PRODUCT_PARAMETERS) {
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512)
        return is_half ? half_avx512(rows, PRODUCT_ARGUMENTS) : whole_avx512(rows, PRODUCT_ARGUMENTS);
    if (level == CK_LEVEL_AVX2) return is_half ? half_avx2(rows, PRODUCT_ARGUMENTS) : whole_avx2(rows, PRODUCT_ARGUMENTS);
#endif
    if (is_half)
        product_plain(rows, 1, PRODUCT_ARGUMENTS);
    else
        product_plain(rows, 2, PRODUCT_ARGUMENTS);
}
