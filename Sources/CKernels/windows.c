#include "include/windows.h"

#include "finish.h"
#include "short_rows.h"
#include "tile.h"

VECTOR_INLINE float *fill(float *target, ptrdiff_t n, float value) {
    for (ptrdiff_t i = 0; i < n; i++) target[i] = value;
    return target + n;
}

// Four and eight numbers two apart, and none behind the last of them.
VECTOR_INLINE void copy_4_of_2(const float *x, float *y) {
    *(lanes4 *)y = __builtin_shufflevector(*(const lanes4 *)x, *(const lanes4 *)(x + 3), 0, 2, 5, 7);
}

VECTOR_INLINE void copy_8_of_2(const float *x, float *y) {
    *(lanes8 *)y = __builtin_shufflevector(*(const lanes8 *)x, *(const lanes8 *)(x + 7), 0, 2, 4, 6, 9, 11, 13, 15);
}

VECTOR_INLINE void copy_every_second(const float *source, float *target, ptrdiff_t n) {
    if (n >= 8) {
        for (ptrdiff_t i = 0; i < n - 8; i += 8) copy_8_of_2(source + 2 * i, target + i);
        copy_8_of_2(source + 2 * (n - 8), target + n - 8);
    } else if (n >= 4) {
        copy_4_of_2(source, target);
        copy_4_of_2(source + 2 * (n - 4), target + n - 4);
    } else {
        for (ptrdiff_t i = 0; i < n; i++) target[i] = source[2 * i];
    }
}

CK_KERNEL(
    void, ck_window_fill,
    (const ck_window_phase *phases, ptrdiff_t count, const float *plane, float padding, int is_padded, float *target),
    (phases, count, plane, padding, is_padded, target)) {
    for (ptrdiff_t i = 0; i < count; i++) {
        const ck_window_phase phase = phases[i];
        const ptrdiff_t width = phase.before + phase.count + phase.after;
        float *place = target + phase.target;
        place = is_padded ? place + phase.rows_before * width : fill(place, phase.rows_before * width, padding);
        const float *row = plane + phase.source;
        for (ptrdiff_t y = 0; y < phase.rows; y++, row += phase.row_step, place += width) {
            float *numbers = place + phase.before;
            if (phase.column_step == 1)
                copy_row(row, numbers, phase.count);
            else if (phase.column_step == 2)
                copy_every_second(row, numbers, phase.count);
            else
                for (ptrdiff_t x = 0; x < phase.count; x++) numbers[x] = row[x * phase.column_step];
            if (is_padded) continue;
            fill(place, phase.before, padding);
            fill(numbers + phase.count, phase.after, padding);
        }
        if (!is_padded) fill(place, phase.rows_after * width, padding);
    }
}

// The first n numbers of `vectors` vectors, of which the last one may have more.
VECTOR_INLINE void store_vectors(const int vectors, const vector_f32 *values, float *y, ptrdiff_t n) {
    for (int v = 0; v + 1 < vectors; v++) VECTOR_AT(y + VECTOR_LANES * v) = values[v];
    const ptrdiff_t last = VECTOR_LANES * (vectors - 1);
    if (n - last >= VECTOR_LANES) {
        VECTOR_AT(y + last) = values[vectors - 1];
    } else {
        float lanes[VECTOR_LANES];
        VECTOR_AT(lanes) = values[vectors - 1];
        copy_row(lanes, y + last, n - last);
    }
}

// `vectors` neighbouring vectors of windows, in registers for all places.
VECTOR_INLINE void sum_vectors(
    const int vectors, const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y,
    ptrdiff_t n) {
    vector_f32 sum[8];
    for (int v = 0; v < vectors; v++) sum[v] = start;
    for (ptrdiff_t t = 0; t < taps; t++) {
        const vector_f32 weight = (vector_f32)weights[t];
        const float *numbers = x + offsets[t];
        for (int v = 0; v < vectors; v++) sum[v] += weight * VECTOR_CONST_AT(numbers + VECTOR_LANES * v);
    }
    store_vectors(vectors, sum, y, n);
}

#define SUM(vectors) sum_vectors(vectors, x, offsets, weights, taps, start, y, n)

// At most `most` vectors at once, 4 or 8, which registers hold.
VECTOR_INLINE void window_sum(
    const int most, const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y,
    ptrdiff_t n) {
    for (const ptrdiff_t step = most * VECTOR_LANES; n > step; n -= step, x += step, y += step) SUM(most);
    switch ((n + VECTOR_LANES - 1) / VECTOR_LANES) {
    case 0: return;
    case 1: return SUM(1);
    case 2: return SUM(2);
    case 3: return SUM(3);
    case 4: return SUM(4);
    case 5: return SUM(most > 4 ? 5 : 4);
    case 6: return SUM(most > 4 ? 6 : 4);
    case 7: return SUM(most > 4 ? 7 : 4);
    default: return SUM(most);
    }
}
#undef SUM

#define SUM_PARAMETERS                                                                                                       \
    const float *x, const ptrdiff_t *offsets, const float *weights, ptrdiff_t taps, float start, float *y, ptrdiff_t n
#define SUM_ARGUMENTS x, offsets, weights, taps, start, y, n
VECTOR_INLINE void ck_window_sum_16(SUM_PARAMETERS) { window_sum(8, SUM_ARGUMENTS); }
VECTOR_INLINE void ck_window_sum_8(SUM_PARAMETERS) { window_sum(4, SUM_ARGUMENTS); }

CK_KERNEL_BY_LANES(void, ck_window_sum, (SUM_PARAMETERS), (SUM_ARGUMENTS))

CK_KERNEL(
    void, ck_window_rows, (const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t columns),
    (x, x_step, y, y_step, rows, columns)) {
    for (ptrdiff_t row = 0; row < rows; row++) copy_row(x + row * x_step, y + row * y_step, columns);
}

// As sum_vectors, with the largest number, which a NaN is too, where there may be one.
VECTOR_INLINE void max_vectors(
    const int vectors, const int may_be_nan, const float *x, const ptrdiff_t *offsets, ptrdiff_t taps, float *y, ptrdiff_t n) {
    vector_f32 best[4];
    for (int v = 0; v < vectors; v++) best[v] = VECTOR_CONST_AT(x + offsets[0] + VECTOR_LANES * v);
    for (ptrdiff_t t = 1; t < taps; t++) {
        for (int v = 0; v < vectors; v++) {
            const vector_f32 numbers = VECTOR_CONST_AT(x + offsets[t] + VECTOR_LANES * v);
            vector_i32 replaces = (vector_i32)(numbers > best[v]);
            if (may_be_nan) replaces |= (vector_i32)(numbers != numbers);
            best[v] = replaces ? numbers : best[v];
        }
    }
    store_vectors(vectors, best, y, n);
}

#define MAX(vectors) max_vectors(vectors, may_be_nan, x, offsets, taps, y, n)
VECTOR_INLINE void window_max(
    const int may_be_nan, const float *x, const ptrdiff_t *offsets, ptrdiff_t taps, float *y, ptrdiff_t n) {
    for (const ptrdiff_t step = 4 * VECTOR_LANES; n > step; n -= step, x += step, y += step) MAX(4);
    switch ((n + VECTOR_LANES - 1) / VECTOR_LANES) {
    case 0: return;
    case 1: return MAX(1);
    case 2: return MAX(2);
    case 3: return MAX(3);
    default: return MAX(4);
    }
}
#undef MAX

VECTOR_INLINE int has_nan(const float *x, ptrdiff_t n) {
    vector_i32 found = 0;
    ptrdiff_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) {
        const vector_f32 numbers = VECTOR_CONST_AT(x + i);
        found |= (vector_i32)(numbers != numbers);
    }
    int is_found = 0;
    for (int lane = 0; lane < VECTOR_LANES; lane++) is_found |= found[lane];
    for (; i < n; i++) is_found |= x[i] != x[i];
    return is_found != 0;
}

CK_KERNEL(
    void, ck_window_max, (const float *x, const ptrdiff_t *offsets, ptrdiff_t taps, float *y, ptrdiff_t n),
    (x, offsets, taps, y, n)) {
    // To look for a NaN once takes less time than to think of it at each of more than a few places.
    ptrdiff_t reach = 0;
    for (ptrdiff_t t = 0; t < taps; t++) reach = offsets[t] > reach ? offsets[t] : reach;
    if (taps < 5 || has_nan(x, reach + n))
        window_max(1, x, offsets, taps, y, n);
    else
        window_max(0, x, offsets, taps, y, n);
}

#define PRODUCT_PARAMETERS                                                                                                   \
    ptrdiff_t channels, ptrdiff_t channel_step, ptrdiff_t taps, const ptrdiff_t *offsets, const float *a, const float *x,    \
        const float *start, float *c, ptrdiff_t ldc
#define PRODUCT_ARGUMENTS channels, channel_step, taps, offsets, a, x, start, c, ldc

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

#define STRIP_PARAMETERS                                                                                                     \
    const ck_window_strip *strip, const float *a, ptrdiff_t a_step, const float *start, const float *residual,               \
        const ck_finish *finish, float *y, ptrdiff_t y_step, const float *ahead
#define STRIP_ARGUMENTS strip, a, a_step, start, residual, finish, y, y_step, ahead

#if defined(__x86_64__)
// Up to 32 lanes from `lane` on, of which those in `mask` are windows; these are written side by side.
CK_TARGET_AVX512 VECTOR_INLINE void strip_tile(
    const int rows, const int vectors, ptrdiff_t lane, uint32_t mask, const char **next, ptrdiff_t next_step, STRIP_PARAMETERS) {
    (void)ahead;
    __m512 sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_set1_ps(start[i]);
    const float *x = strip->x + lane;
    const char *line = *next;
    *next += strip->channels * strip->taps * next_step;
    for (ptrdiff_t channel = 0; channel < strip->channels; channel++, x += strip->channel_step) {
        for (ptrdiff_t t = 0; t < strip->taps; t++, a += a_step, line += next_step) {
            _mm_prefetch(line, _MM_HINT_T1);
            const float *b = x + strip->offsets[t];
            // The next channel's, of which the lines are many where a stride puts them into several planes.
            _mm_prefetch((const char *)(b + strip->channel_step), _MM_HINT_T0);
            _mm_prefetch((const char *)(b + strip->channel_step + 16), _MM_HINT_T0);
            const __m512 low = _mm512_loadu_ps(b), high = vectors > 1 ? _mm512_loadu_ps(b + 16) : low;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                const __m512 factor = _mm512_set1_ps(a[i]);
                sum[i][0] = _mm512_fmadd_ps(factor, low, sum[i][0]);
                if (vectors > 1) sum[i][1] = _mm512_fmadd_ps(factor, high, sum[i][1]);
            }
        }
    }
    ptrdiff_t written = 0;
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
        const __mmask16 windows = (__mmask16)(mask >> 16 * j);
        const int count = __builtin_popcount(windows);
        const __mmask16 first = (__mmask16)((1u << count) - 1);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m512 value = count == 16 ? sum[i][j] : _mm512_maskz_compress_ps(windows, sum[i][j]);
            const ptrdiff_t place = i * y_step + written;
            if (residual) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(first, residual + place));
            value = finished_512(value, finish);
            // A part of a vector takes several times as long to store as a whole one on some processors.
            if (count == 16)
                _mm512_storeu_ps(y + place, value);
            else
                _mm512_mask_storeu_ps(y + place, first, value);
        }
        written += count;
    }
    finish_rows_512(finish, y, y_step, rows, written);
}

CK_TARGET_AVX512 VECTOR_INLINE void strip_512(const int rows, STRIP_PARAMETERS) {
    // Where in a row of windows, and of what is between two rows, a tile begins.
    ptrdiff_t column = 0;
    const char *next = (const char *)ahead;
    const ptrdiff_t next_step = ahead ? bytes_ahead(a_step, (strip->lanes + 31) / 32) : 0;
    for (ptrdiff_t lane = 0; lane < strip->lanes; lane += 32) {
        const ptrdiff_t count = strip->lanes - lane < 32 ? strip->lanes - lane : 32;
        uint32_t mask = 0;
        for (ptrdiff_t i = 0; i < count; i++) {
            mask |= (uint32_t)(column < strip->width) << i;
            if (++column == strip->step) column = 0;
        }
        if (count > 16)
            strip_tile(rows, 2, lane, mask, &next, next_step, STRIP_ARGUMENTS);
        else
            strip_tile(rows, 1, lane, mask, &next, next_step, STRIP_ARGUMENTS);
        const int written = __builtin_popcount(mask);
        y += written;
        if (residual) residual += written;
    }
}

CK_TARGET_AVX512 static void strip_rows_512(int rows, STRIP_PARAMETERS) { UP_TO_14_ROWS(strip_512, STRIP_ARGUMENTS) }
#endif

int ck_has_window_strips(void) { return ck_level() == CK_LEVEL_AVX512; }

void ck_window_strip_product(int rows, STRIP_PARAMETERS) {
#if defined(__x86_64__)
    strip_rows_512(rows, STRIP_ARGUMENTS);
#else
    (void)rows, (void)strip, (void)a, (void)a_step, (void)start, (void)residual, (void)finish, (void)y, (void)y_step;
    (void)ahead;
#endif
}
