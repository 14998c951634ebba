#include "include/integer_product.h"

#include <stdlib.h>

#include "amx.h"
#include "amx_bytes.h"
#include "finish.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>


static int has_avx_vnni(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static int has_avx512_vnni(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    // VNNI, and BW for its masks of bytes.
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 11 & 1) && (b >> 30 & 1);
}
#endif

static int detect_bytes_level(void) {
#if defined(__x86_64__)
    const int level = ck_level();
    if (level == CK_LEVEL_PLAIN) return CK_BYTES_PLAIN;
    // Where functions in plain C take the place of AMX, they do here too.
    if (ck_has_amx() && (has_avx512_vnni() || !ck_runs_amx())) return CK_BYTES_AMX;
    if (level == CK_LEVEL_AVX512 && has_avx512_vnni()) return CK_BYTES_AVX512_VNNI;
    const char *wanted = getenv("SD_ONNX_CPU");
    const int is_left_out = wanted && strncmp(wanted, "avx2", 4) == 0 && !strstr(wanted, "+vnni");
    return has_avx_vnni() && !is_left_out ? CK_BYTES_AVX_VNNI : CK_BYTES_AVX2;
#else
    return CK_BYTES_PLAIN;
#endif
}

int ck_bytes_level(void) {
    static int level = -1;
    // Every thread computes the same number, so a race is harmless.
    int known = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (known < 0) {
        known = detect_bytes_level();
        __atomic_store_n(&level, known, __ATOMIC_RELAXED);
    }
    return known;
}

ck_tile ck_bytes_tile(int level) {
    switch (level) {
    case CK_BYTES_AMX: return (ck_tile){CK_AMX_PANEL, 32};
    case CK_BYTES_AVX512_VNNI: return (ck_tile){14, 32};
    case CK_BYTES_AVX_VNNI: return (ck_tile){6, 16};
    default: return (ck_tile){4, 16};
    }
}

#define BYTES_PARAMETERS ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc
#define BYTES_ARGUMENTS groups, a, a_step, b, c, ldc

VECTOR_INLINE void tile_bytes_plain(const int columns, int rows, BYTES_PARAMETERS) {
    for (int i = 0; i < rows; i++) {
        // Sums without a sign may wrap around.
        uint32_t sum[32] = {0};
        for (ptrdiff_t p = 0; p < groups; p++)
            for (int part = 0; part < 4; part++) {
                const int factor = a[i * a_step + 4 * p + part];
                for (int j = 0; j < columns; j++) sum[j] += (uint32_t)(factor * (int8_t)b[4 * columns * p + 4 * j + part]);
            }
        for (int j = 0; j < columns; j++) c[i * ldc + j] = (int32_t)sum[j];
    }
}

static void bytes_plain(int rows, BYTES_PARAMETERS) { tile_bytes_plain(16, rows, BYTES_ARGUMENTS); }

// Calls the copy of `tile` for `rows`, at most 6, so that its sums are registers.
#define UP_TO_6_ROWS(tile, ...)                                                                                              \
    switch (rows) {                                                                                                          \
    case 1: return tile(1, __VA_ARGS__);                                                                                     \
    case 2: return tile(2, __VA_ARGS__);                                                                                     \
    case 3: return tile(3, __VA_ARGS__);                                                                                     \
    case 4: return tile(4, __VA_ARGS__);                                                                                     \
    case 5: return tile(5, __VA_ARGS__);                                                                                     \
    default: return tile(6, __VA_ARGS__);                                                                                    \
    }

#if defined(__x86_64__)
VECTOR_INLINE int32_t four_bytes(const uint8_t *place) {
    int32_t value;
    memcpy(&value, place, sizeof value);
    return value;
}

// Half of a panel's columns at a time: a vector of 16 bits has the four numbers of four columns, whose products add up in pairs.
CK_TARGET_AVX2 VECTOR_INLINE void tile_bytes_avx2(const int rows, int halves, BYTES_PARAMETERS) {
    for (int half = 0; half < halves; half++) {
        __m256i low[4], high[4];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) low[i] = high[i] = _mm256_setzero_si256();
        for (ptrdiff_t p = 0; p < groups; p++) {
            const uint8_t *row = b + 64 * p + 32 * half;
            const __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)row));
            const __m256i second = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + 16)));
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                const __m256i factor = _mm256_cvtepu8_epi16(_mm_set1_epi32(four_bytes(a + i * a_step + 4 * p)));
                low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(factor, first));
                high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(factor, second));
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const __m256i sums = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low[i], high[i]), 0xd8);
            _mm256_storeu_si256((__m256i *)(c + i * ldc + 8 * half), sums);
        }
    }
}

CK_TARGET_AVX2 static void bytes_avx2(int rows, int halves, BYTES_PARAMETERS) {
    switch (rows) {
    case 1: return tile_bytes_avx2(1, halves, BYTES_ARGUMENTS);
    case 2: return tile_bytes_avx2(2, halves, BYTES_ARGUMENTS);
    case 3: return tile_bytes_avx2(3, halves, BYTES_ARGUMENTS);
    default: return tile_bytes_avx2(4, halves, BYTES_ARGUMENTS);
    }
}

CK_TARGET_AVX_VNNI VECTOR_INLINE void tile_bytes_avx_vnni(const int rows, BYTES_PARAMETERS) {
    __m256i sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    for (ptrdiff_t p = 0; p < groups; p++) {
        const __m256i low = _mm256_loadu_si256((const __m256i *)(b + 64 * p));
        const __m256i high = _mm256_loadu_si256((const __m256i *)(b + 64 * p + 32));
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const __m256i factor = _mm256_set1_epi32(four_bytes(a + i * a_step + 4 * p));
            sum[i][0] = _mm256_dpbusd_avx_epi32(sum[i][0], factor, low);
            sum[i][1] = _mm256_dpbusd_avx_epi32(sum[i][1], factor, high);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        _mm256_storeu_si256((__m256i *)(c + i * ldc), sum[i][0]);
        _mm256_storeu_si256((__m256i *)(c + i * ldc + 8), sum[i][1]);
    }
}

CK_TARGET_AVX_VNNI static void bytes_avx_vnni(int rows, BYTES_PARAMETERS) { UP_TO_6_ROWS(tile_bytes_avx_vnni, BYTES_ARGUMENTS) }

// Of a whole panel, or of the first half of its columns.
CK_TARGET_AVX512_VNNI VECTOR_INLINE void tile_bytes_avx512(const int rows, const int vectors, BYTES_PARAMETERS) {
    __m512i sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
    for (ptrdiff_t p = 0; p < groups; p++) {
        const __m512i low = _mm512_loadu_si512(b + 128 * p);
        const __m512i high = vectors > 1 ? _mm512_loadu_si512(b + 128 * p + 64) : low;
        _mm_prefetch((const char *)(b + 128 * p + 2048), _MM_HINT_T0);
        if (vectors > 1) _mm_prefetch((const char *)(b + 128 * p + 2112), _MM_HINT_T0);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            const __m512i factor = _mm512_set1_epi32(four_bytes(a + i * a_step + 4 * p));
            sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], factor, low);
            if (vectors > 1) sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], factor, high);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        _mm512_storeu_si512(c + i * ldc, sum[i][0]);
        if (vectors > 1) _mm512_storeu_si512(c + i * ldc + 16, sum[i][1]);
    }
}

#include "tile.h"

CK_TARGET_AVX512_VNNI static void bytes_avx512(int rows, BYTES_PARAMETERS) { UP_TO_14_ROWS(tile_bytes_avx512, 2, BYTES_ARGUMENTS) }
CK_TARGET_AVX512_VNNI static void half_bytes_avx512(int rows, BYTES_PARAMETERS) {
    UP_TO_14_ROWS(tile_bytes_avx512, 1, BYTES_ARGUMENTS)
}
#endif

void ck_bytes_kernel(int level, int rows, int columns, BYTES_PARAMETERS) {
    const int is_half = 2 * columns <= ck_bytes_tile(level).columns;
#if defined(__x86_64__)
    if (level == CK_BYTES_AMX && ck_runs_amx()) return ck_amx_multiply_bytes(rows, BYTES_ARGUMENTS);
    if (level == CK_BYTES_AVX512_VNNI)
        return is_half ? half_bytes_avx512(rows, BYTES_ARGUMENTS) : bytes_avx512(rows, BYTES_ARGUMENTS);
    if (level == CK_BYTES_AVX_VNNI) return bytes_avx_vnni(rows, BYTES_ARGUMENTS);
    if (level == CK_BYTES_AVX2) return bytes_avx2(rows, is_half ? 1 : 2, BYTES_ARGUMENTS);
#endif
    (void)is_half;
    if (level == CK_BYTES_AMX) return tile_bytes_plain(32, rows, BYTES_ARGUMENTS);
    bytes_plain(rows, BYTES_ARGUMENTS);
}

typedef uint8_t bytes16 __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef uint16_t pairs8 __attribute__((ext_vector_type(8), aligned(1), may_alias));

// 16 columns of four rows, each column's numbers side by side.
VECTOR_INLINE void pack_16_columns(const uint8_t *rows, ptrdiff_t row_step, uint8_t flip, uint8_t *group) {
    bytes16 row[4];
    for (int part = 0; part < 4; part++) row[part] = *(const bytes16 *)(rows + part * row_step) ^ (bytes16)flip;
    for (int half = 0; half < 2; half++) {
        pairs8 pairs[2];
        for (int part = 0; part < 2; part++) {
            const bytes16 a = row[2 * part], b = row[2 * part + 1];
            pairs[part] = half ? (pairs8)__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
                               : (pairs8)__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        }
        *(pairs8 *)(group + 32 * half) = __builtin_shufflevector(pairs[0], pairs[1], 0, 8, 1, 9, 2, 10, 3, 11);
        *(pairs8 *)(group + 32 * half + 16) = __builtin_shufflevector(pairs[0], pairs[1], 4, 12, 5, 13, 6, 14, 7, 15);
    }
}

CK_KERNEL(
    void, ck_pack_byte_columns,
    (const uint8_t *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint8_t flip, uint8_t *panel),
    (b, row_step, k, count, columns, flip, panel)) {
    for (ptrdiff_t p = 0; p < k; p += 4) {
        uint8_t *group = panel + p * columns;
        if (p + 4 <= k) {
            const uint8_t *row = b + p * row_step;
            int j = 0;
            for (; j + 16 <= count; j += 16) pack_16_columns(row + j, row_step, flip, group + 4 * j);
            for (; j < count; j++)
                for (int part = 0; part < 4; part++) group[4 * j + part] = row[part * row_step + j] ^ flip;
        } else {
            for (int j = 0; j < count; j++)
                for (int part = 0; part < 4; part++)
                    group[4 * j + part] = p + part < k ? b[(p + part) * row_step + j] ^ flip : 0;
        }
        for (int j = 4 * count; j < 4 * columns; j++) group[j] = 0;
    }
}

CK_KERNEL(
    void, ck_pack_byte_rows,
    (const uint8_t *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint8_t flip, uint8_t *panel),
    (b, row_step, k, count, columns, flip, panel)) {
    const uint32_t flips = 0x01010101u * flip;
    for (ptrdiff_t p = 0; p < k; p += 4) {
        uint8_t *group = panel + p * columns;
        const ptrdiff_t left = k - p < 4 ? k - p : 4;
        for (int j = 0; j < count; j++) {
            if (left == 4) {
                uint32_t four;
                memcpy(&four, b + j * row_step + p, 4);
                four ^= flips;
                memcpy(group + 4 * j, &four, 4);
            } else {
                for (int part = 0; part < 4; part++) group[4 * j + part] = part < left ? b[j * row_step + p + part] ^ flip : 0;
            }
        }
        for (int j = 4 * count; j < 4 * columns; j++) group[j] = 0;
    }
}

CK_KERNEL(
    void, ck_panel_sums, (const uint8_t *panel, ptrdiff_t groups, int columns, int32_t *sums), (panel, groups, columns, sums)) {
    for (int j = 0; j < columns; j++) sums[j] = 0;
    for (ptrdiff_t p = 0; p < groups; p++) {
        const int8_t *group = (const int8_t *)panel + p * 4 * columns;
        for (int j = 0; j < columns; j++)
            sums[j] += (group[4 * j] + group[4 * j + 1]) + (group[4 * j + 2] + group[4 * j + 3]);
    }
}

CK_KERNEL(
    void, ck_copy_byte_rows,
    (const uint8_t *a, ptrdiff_t a_step, ptrdiff_t k, ptrdiff_t rows, uint8_t flip, uint8_t *target, ptrdiff_t groups),
    (a, a_step, k, rows, flip, target, groups)) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const uint8_t *source = a + i * a_step;
        uint8_t *row = target + i * 4 * groups;
        if (flip) {
            for (ptrdiff_t p = 0; p < k; p++) row[p] = source[p] ^ flip;
        } else {
            memcpy(row, source, (size_t)k);
        }
        for (ptrdiff_t p = k; p < 4 * groups; p++) row[p] = 0;
    }
}

CK_KERNEL(
    void, ck_byte_row_sums, (const uint8_t *a, ptrdiff_t a_step, ptrdiff_t k, ptrdiff_t rows, int32_t *sums),
    (a, a_step, k, rows, sums)) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const uint8_t *row = a + i * a_step;
        uint32_t sum = 0;
        for (ptrdiff_t p = 0; p < k; p++) sum += row[p];
        sums[i] = (int32_t)sum;
    }
}

VECTOR_INLINE void finish_sums_of(const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, const int columns, int32_t *y, ptrdiff_t y_step) {
    for (int i = 0; i < rows; i++) {
        const int32_t *row = sums + i * step;
        int32_t *result = y + i * y_step;
        // Without a sign, what leaves 32 bits wraps around.
        VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = (int32_t)((uint32_t)row[j] + (uint32_t)terms.offsets[j]);
        if (terms.row_zeros) {
            const uint32_t zero = (uint32_t)terms.row_zeros[i];
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) result[j] = (int32_t)((uint32_t)result[j] - zero * (uint32_t)terms.column_terms[j]);
        }
        if (terms.row_sums) {
            const uint32_t sum = (uint32_t)terms.row_sums[i];
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) result[j] = (int32_t)((uint32_t)result[j] - sum * (uint32_t)terms.column_zeros[j]);
        }
    }
}

CK_KERNEL(
    void, ck_finish_sums,
    (const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, const int columns, int32_t *y, ptrdiff_t y_step),
    (sums, step, terms, rows, columns, y, y_step)) {
    // As constants, the columns of whole panels leave no loop.
    switch (columns) {
    case 32: return finish_sums_of(sums, step, terms, rows, 32, y, y_step);
    case 16: return finish_sums_of(sums, step, terms, rows, 16, y, y_step);
    default: return finish_sums_of(sums, step, terms, rows, columns, y, y_step);
    }
}

// Whether numbers are scaled alone or with more must not change a bit: no multiplication and addition at once.
#pragma STDC FP_CONTRACT OFF

// What of ck_scale_sums() a loop does.
enum { ADDS_OFFSETS = 1, ADDS_ROW_SUMS = 2, HAS_ROW_SCALES = 4, ADDS_BIAS = 8, ADDS_ADDEND = 16 };

VECTOR_INLINE void scale_rows(
    const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, const int columns, ck_sum_scales scales, float *y, ptrdiff_t y_step,
    const int steps) {
    const int is_clipped = scales.finish.activation == CK_FINISH_CLIP;
    const float least = is_clipped ? scales.finish.a : -INFINITY, largest = is_clipped ? scales.finish.b : INFINITY;
    for (int i = 0; i < rows; i++) {
        const int32_t *row = sums + i * step;
        float *result = y + i * y_step;
        const float *added = steps & ADDS_ADDEND ? scales.addend + i * y_step : NULL;
        const uint32_t row_sum = steps & ADDS_ROW_SUMS ? (uint32_t)terms.row_sums[i] : 0;
        const float row_scale = steps & HAS_ROW_SCALES ? scales.rows[i] : 1;
        VECTOR_LOOP for (int j = 0; j < columns; j++) {
            // Without a sign, what leaves 32 bits wraps around.
            uint32_t sum = (uint32_t)row[j];
            if (steps & ADDS_OFFSETS) sum += (uint32_t)terms.offsets[j];
            if (steps & ADDS_ROW_SUMS) sum -= row_sum * (uint32_t)terms.column_zeros[j];
            float value = (float)(int32_t)sum * (steps & HAS_ROW_SCALES ? row_scale * scales.columns[j] : scales.columns[j]);
            if (steps & ADDS_BIAS) value += scales.bias[j];
            if (steps & ADDS_ADDEND) value += added[j];
            result[j] = finished(value, CK_FINISH_CLIP, least, largest);
        }
    }
}

VECTOR_INLINE void scale_sums_of(
    const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, const int columns, ck_sum_scales scales, float *y, ptrdiff_t y_step) {
#define SCALE(steps)                                                                                                         \
    case steps: return scale_rows(sums, step, terms, rows, columns, scales, y, y_step, steps)
#define SCALE_WITH(steps)                                                                                                    \
    SCALE(steps);                                                                                                            \
    SCALE(steps | HAS_ROW_SCALES);                                                                                           \
    SCALE(steps | ADDS_BIAS);                                                                                                \
    SCALE(steps | HAS_ROW_SCALES | ADDS_BIAS);                                                                               \
    SCALE(steps | ADDS_ADDEND);                                                                                              \
    SCALE(steps | HAS_ROW_SCALES | ADDS_ADDEND);                                                                             \
    SCALE(steps | ADDS_BIAS | ADDS_ADDEND);                                                                                  \
    SCALE(steps | HAS_ROW_SCALES | ADDS_BIAS | ADDS_ADDEND)
    switch ((terms.offsets ? ADDS_OFFSETS : 0) | (terms.row_sums ? ADDS_ROW_SUMS : 0) | (scales.rows ? HAS_ROW_SCALES : 0) |
            (scales.bias ? ADDS_BIAS : 0) | (scales.addend ? ADDS_ADDEND : 0)) {
        SCALE_WITH(0);
        SCALE_WITH(ADDS_OFFSETS);
        SCALE_WITH(ADDS_OFFSETS | ADDS_ROW_SUMS);
    }
#undef SCALE_WITH
#undef SCALE
}

CK_KERNEL(
    void, ck_scale_sums,
    (const int32_t *sums, ptrdiff_t step, ck_zero_terms terms, int rows, const int columns, ck_sum_scales scales, float *y, ptrdiff_t y_step),
    (sums, step, terms, rows, columns, scales, y, y_step)) {
    // As constants, the columns of whole panels leave no loop.
    switch (columns) {
    case 32: scale_sums_of(sums, step, terms, rows, 32, scales, y, y_step); break;
    case 16: scale_sums_of(sums, step, terms, rows, 16, scales, y, y_step); break;
    default: scale_sums_of(sums, step, terms, rows, columns, scales, y, y_step);
    }
    // Of the activations, scale_rows() has the clip.
    if (scales.finish.activation != CK_FINISH_CLIP) finish_rows(&scales.finish, y, y_step, rows, columns);
}

VECTOR_INLINE void requantize_sums_of(const int32_t *sums, ptrdiff_t step, const int32_t *offsets, int rows, const int columns, const float *row_scales,
    const float *scales, int zero, int least, int largest, uint8_t *y, ptrdiff_t y_step) {
    const float lower = (float)(least - zero), upper = (float)(largest - zero);
    for (int i = 0; i < rows; i++) {
        const int32_t *row = sums + i * step;
        uint8_t *result = y + i * y_step;
        if (row_scales) {
            const float scale = row_scales[i];
            for (int j = 0; j < columns; j++) {
                const int32_t sum = (int32_t)((uint32_t)row[j] + (uint32_t)(offsets ? offsets[j] : 0));
                result[j] = (uint8_t)(rounded_between((float)sum * (scale * scales[j]), lower, upper) + zero);
            }
        } else if (offsets) {
            VECTOR_LOOP
            for (int j = 0; j < columns; j++) {
                const int32_t sum = (int32_t)((uint32_t)row[j] + (uint32_t)offsets[j]);
                result[j] = (uint8_t)(rounded_between((float)sum * scales[j], lower, upper) + zero);
            }
        } else {
            VECTOR_LOOP
            for (int j = 0; j < columns; j++)
                result[j] = (uint8_t)(rounded_between((float)row[j] * scales[j], lower, upper) + zero);
        }
    }
}

CK_KERNEL(
    void, ck_requantize_sums,
    (const int32_t *sums, ptrdiff_t step, const int32_t *offsets, int rows, const int columns, const float *row_scales,
    const float *scales, int zero, int least, int largest, uint8_t *y, ptrdiff_t y_step),
    (sums, step, offsets, rows, columns, row_scales, scales, zero, least, largest, y, y_step)) {
    // As constants, the columns of whole panels leave no loop.
    switch (columns) {
    case 32: return requantize_sums_of(sums, step, offsets, rows, 32, row_scales, scales, zero, least, largest, y, y_step);
    case 16: return requantize_sums_of(sums, step, offsets, rows, 16, row_scales, scales, zero, least, largest, y, y_step);
    default: return requantize_sums_of(sums, step, offsets, rows, columns, row_scales, scales, zero, least, largest, y, y_step);
    }
}

CK_KERNEL(
    void, ck_widen_bits,
    (const uint8_t *numbers, int bits, ptrdiff_t k, int columns, const int32_t *blocks, const float *scales, const float *zeros,
     float *y),
    (numbers, bits, k, columns, blocks, scales, zeros, y)) {
    const int numbers_of_byte = 8 / bits, mask = (1 << bits) - 1;
    for (ptrdiff_t p = 0; p < k; p++) {
        const uint8_t *row = numbers + p / numbers_of_byte * columns;
        const int shift = (int)(p % numbers_of_byte) * bits;
        const float *scale = scales + (ptrdiff_t)blocks[p] * columns, *zero = zeros + (ptrdiff_t)blocks[p] * columns;
        float *result = y + p * columns;
        VECTOR_LOOP for (int j = 0; j < columns; j++) result[j] = ((float)(row[j] >> shift & mask) - zero[j]) * scale[j];
    }
}
