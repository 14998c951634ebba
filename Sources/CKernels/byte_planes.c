#include "include/byte_planes.h"

#include "byte_rounding.h"
#include "include/integer_product.h"
#include "tile.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// MARK: Pixels

CK_KERNEL(void, ck_extend_finite_range, (const float *x, ptrdiff_t n, float *range), (x, n, range)) {
    const byte_range numbers = range_of(x, n);
    range[0] = numbers.least < range[0] ? numbers.least : range[0];
    range[1] = numbers.largest > range[1] ? numbers.largest : range[1];
    range[2] += numbers.poison;
}

ck_byte_rounding ck_byte_rounding_of(const float *range) {
    const byte_rounding rounding = rounding_of((byte_range){range[0], range[1], range[2]});
    return (ck_byte_rounding){rounding.inverse, rounding.scale, rounding.zero};
}

VECTOR_INLINE uint32_t *fill_words(uint32_t *target, ptrdiff_t n, uint32_t word) {
    for (ptrdiff_t i = 0; i < n; i++) target[i] = word;
    return target + n;
}

VECTOR_INLINE void round_words(
    const float *row, ptrdiff_t plane_step, ptrdiff_t n, const ptrdiff_t column_step, float inverse, float zero, uint32_t *target) {
    const float *second = row + plane_step, *third = second + plane_step, *last = third + plane_step;
    VECTOR_LOOP
    for (ptrdiff_t i = 0; i < n; i++) {
        const ptrdiff_t place = i * column_step;
        target[i] = rounded_byte(row[place], inverse, zero) | rounded_byte(second[place], inverse, zero) << 8
            | rounded_byte(third[place], inverse, zero) << 16 | rounded_byte(last[place], inverse, zero) << 24;
    }
}

// Of fewer than four planes.
VECTOR_INLINE void round_few(
    const float *row, ptrdiff_t plane_step, int channels, ptrdiff_t n, ptrdiff_t column_step, float inverse, float zero,
    uint32_t padding, uint32_t *target) {
    for (ptrdiff_t i = 0; i < n; i++) {
        uint32_t word = padding;
        for (int c = 0; c < channels; c++)
            word = (word & ~(0xFFu << 8 * c)) | rounded_byte(row[c * plane_step + i * column_step], inverse, zero) << 8 * c;
        target[i] = word;
    }
}

CK_KERNEL(
    void, ck_byte_plane_fill,
    (const ck_window_phase *phases, ptrdiff_t count, const float *planes, ptrdiff_t plane_step, int channels,
    ck_byte_rounding rounding, uint32_t *target),
    (phases, count, planes, plane_step, channels, rounding, target)) {
    const float inverse = rounding.inverse, zero = (float)rounding.zero;
    const uint32_t padding = 0x01010101u * (uint32_t)rounding.zero;
    for (ptrdiff_t i = 0; i < count; i++) {
        ck_window_phase phase = phases[i];
        const ptrdiff_t width = phase.before + phase.count + phase.after;
        uint32_t *place = fill_words(target + phase.target, phase.rows_before * width, padding);
        if (width == phase.count && phase.column_step == 1 && phase.row_step == width) {
            // Rows that follow each other without anything between them are one.
            phase.count *= phase.rows;
            phase.rows = 1;
        }
        const float *row = planes + phase.source;
        for (ptrdiff_t y = 0; y < phase.rows; y++, row += phase.row_step) {
            place = fill_words(place, phase.before, padding);
            if (channels < 4)
                round_few(row, plane_step, channels, phase.count, phase.column_step, inverse, zero, padding, place);
            else if (phase.column_step == 1)
                round_words(row, plane_step, phase.count, 1, inverse, zero, place);
            else
                round_words(row, plane_step, phase.count, phase.column_step, inverse, zero, place);
            place = fill_words(place + phase.count, phase.after, padding);
        }
        fill_words(place, phase.rows_after * width, padding);
    }
}

// MARK: Weights

ptrdiff_t ck_byte_window_panel_size(ptrdiff_t channels, ptrdiff_t taps, int rows) {
    return rows * (2 + (channels + 3) / 4 * taps);
}

CK_KERNEL(
    void, ck_pack_byte_windows,
    (const float *weights, ptrdiff_t row_step, ptrdiff_t channels, ptrdiff_t taps, int count, int rows, float *panel),
    (weights, row_step, channels, taps, count, rows, panel)) {
    int32_t *sums = (int32_t *)(panel + rows);
    uint32_t *words = (uint32_t *)(panel + 2 * rows);
    for (int i = 0; i < rows; i++) {
        const float *row = weights + i * row_step;
        float scale = 0;
        if (i < count) {
            const byte_range range = range_of(row, channels * taps);
            scale = weight_scale(-range.least > range.largest ? -range.least : range.largest, range.poison);
        }
        const float inverse = inverse_of(scale);
        int32_t sum = 0;
        for (ptrdiff_t group = 0; group < (channels + 3) / 4; group++)
            for (ptrdiff_t t = 0; t < taps; t++) {
                uint32_t word = 0;
                for (int part = 0; part < 4; part++) {
                    const ptrdiff_t channel = 4 * group + part;
                    if (i >= count || channel >= channels) continue;
                    const int32_t number = rounded_weight(row[channel * taps + t], inverse);
                    sum += number;
                    word |= (uint32_t)(uint8_t)number << 8 * part;
                }
                words[(group * taps + t) * rows + i] = word;
            }
        panel[i] = scale;
        sums[i] = sum;
    }
}

// MARK: Products

#define PRODUCT_PARAMETERS                                                                                                   \
    ptrdiff_t groups, ptrdiff_t group_step, ptrdiff_t taps, const ptrdiff_t *offsets, const uint32_t *a, const uint32_t *x,  \
        int32_t *c, ptrdiff_t ldc, const uint32_t *ahead, ptrdiff_t ahead_lines
#define PRODUCT_ARGUMENTS groups, group_step, taps, offsets, a, x, c, ldc, ahead, ahead_lines

VECTOR_INLINE int32_t dot_of_words(uint32_t pixel, uint32_t weight) {
    int32_t sum = 0;
    for (int part = 0; part < 4; part++) sum += (int32_t)(pixel >> 8 * part & 0xFF) * (int8_t)(weight >> 8 * part);
    return sum;
}

static void product_plain(int rows, int columns, PRODUCT_PARAMETERS) {
    (void)ahead, (void)ahead_lines;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            // Sums without a sign may wrap around.
            uint32_t sum = 0;
            for (ptrdiff_t group = 0; group < groups; group++)
                for (ptrdiff_t t = 0; t < taps; t++)
                    sum += (uint32_t)dot_of_words(x[group * group_step + offsets[t] + j], a[(group * taps + t) * rows + i]);
            c[i * ldc + j] = (int32_t)sum;
        }
}

#if defined(__x86_64__)

// Lines of what is read ahead in each step, as many as get there in time.
#define READ_AHEAD                                                                                                           \
    for (ptrdiff_t i = 0; i < lines && ahead < end; i++, ahead += LINE) _mm_prefetch((const char *)ahead, _MM_HINT_T1);
enum { LINE = 16 };

CK_TARGET_AVX_VNNI VECTOR_INLINE void product_avx(const int rows, const int vectors, PRODUCT_PARAMETERS) {
    __m256i sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm256_setzero_si256();
    const ptrdiff_t lines = (ahead_lines + groups - 1) / groups;
    const uint32_t *end = ahead + ahead_lines * LINE;
    for (ptrdiff_t group = 0; group < groups; group++, x += group_step) {
        READ_AHEAD
        for (ptrdiff_t t = 0; t < taps; t++, a += rows) {
            const uint32_t *b = x + offsets[t];
            const __m256i low = _mm256_loadu_si256((const __m256i *)b);
            const __m256i high = vectors > 1 ? _mm256_loadu_si256((const __m256i *)(b + 8)) : low;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                const __m256i factor = _mm256_set1_epi32((int)a[i]);
                sum[i][0] = _mm256_dpbusd_avx_epi32(sum[i][0], low, factor);
                if (vectors > 1) sum[i][1] = _mm256_dpbusd_avx_epi32(sum[i][1], high, factor);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) _mm256_storeu_si256((__m256i *)(c + i * ldc + 8 * j), sum[i][j]);
}

CK_TARGET_AVX512_VNNI VECTOR_INLINE void product_avx512(const int rows, const int vectors, PRODUCT_PARAMETERS) {
    __m512i sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_setzero_si512();
    const ptrdiff_t lines = (ahead_lines + groups - 1) / groups;
    const uint32_t *end = ahead + ahead_lines * LINE;
    for (ptrdiff_t group = 0; group < groups; group++, x += group_step) {
        READ_AHEAD
        for (ptrdiff_t t = 0; t < taps; t++, a += rows) {
            const uint32_t *b = x + offsets[t];
            const __m512i low = _mm512_loadu_si512(b), high = vectors > 1 ? _mm512_loadu_si512(b + 16) : low;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                const __m512i factor = _mm512_set1_epi32((int)a[i]);
                sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], low, factor);
                if (vectors > 1) sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], high, factor);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) _mm512_storeu_si512(c + i * ldc + 16 * j, sum[i][j]);
}

#define UP_TO_6_ROWS(vectors)                                                                                                \
    switch (rows) {                                                                                                          \
    case 1: return product_avx(1, vectors, PRODUCT_ARGUMENTS);                                                               \
    case 2: return product_avx(2, vectors, PRODUCT_ARGUMENTS);                                                               \
    case 3: return product_avx(3, vectors, PRODUCT_ARGUMENTS);                                                               \
    case 4: return product_avx(4, vectors, PRODUCT_ARGUMENTS);                                                               \
    case 5: return product_avx(5, vectors, PRODUCT_ARGUMENTS);                                                               \
    default: return product_avx(6, vectors, PRODUCT_ARGUMENTS);                                                              \
    }
CK_TARGET_AVX_VNNI static void whole_avx(int rows, PRODUCT_PARAMETERS) { UP_TO_6_ROWS(2) }
CK_TARGET_AVX_VNNI static void half_avx(int rows, PRODUCT_PARAMETERS) { UP_TO_6_ROWS(1) }
CK_TARGET_AVX512_VNNI static void whole_avx512(int rows, PRODUCT_PARAMETERS) { UP_TO_14_ROWS(product_avx512, 2, PRODUCT_ARGUMENTS) }
CK_TARGET_AVX512_VNNI static void half_avx512(int rows, PRODUCT_PARAMETERS) { UP_TO_14_ROWS(product_avx512, 1, PRODUCT_ARGUMENTS) }
#endif

void ck_byte_window_product(int level, int rows, int is_half, PRODUCT_PARAMETERS) {
#if defined(__x86_64__)
    if (level == CK_BYTES_AVX512_VNNI)
        return is_half ? half_avx512(rows, PRODUCT_ARGUMENTS) : whole_avx512(rows, PRODUCT_ARGUMENTS);
    if (level == CK_BYTES_AVX_VNNI) return is_half ? half_avx(rows, PRODUCT_ARGUMENTS) : whole_avx(rows, PRODUCT_ARGUMENTS);
#endif
    const int columns = ck_bytes_tile(level).columns;
    product_plain(rows, is_half ? columns / 2 : columns, PRODUCT_ARGUMENTS);
}

// MARK: Results

#pragma STDC FP_CONTRACT ON

CK_KERNEL(
    void, ck_scale_window_sums,
    (const int32_t *sums, ptrdiff_t step, int32_t term, float factor, float start, float *y, ptrdiff_t y_step, ptrdiff_t rows,
    ptrdiff_t columns),
    (sums, step, term, factor, start, y, y_step, rows, columns)) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        const int32_t *sum = sums + row * step;
        float *result = y + row * y_step;
        VECTOR_LOOP for (ptrdiff_t i = 0; i < columns; i++)
            result[i] = (float)(int32_t)((uint32_t)sum[i] - (uint32_t)term) * factor + start;
    }
}
