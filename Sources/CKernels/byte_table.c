#include "include/byte_table.h"

#include <string.h>

#include "kernel.h"

static void map_each(const uint8_t *table, const uint8_t *x, ptrdiff_t n, uint8_t *y) {
    ptrdiff_t i = 0;
    // Eight numbers are loaded before any is written, which might be one of them for all that the compiler knows.
    for (; i + 8 <= n; i += 8) {
        uint64_t numbers, results = 0;
        memcpy(&numbers, x + i, 8);
        for (int j = 0; j < 8; j++) results |= (uint64_t)table[numbers >> 8 * j & 0xFF] << 8 * j;
        memcpy(y + i, &results, 8);
    }
    for (; i < n; i++) y[i] = table[x[i]];
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define TARGET_AVX512_VBMI __attribute__((target("avx512f,avx512vl,avx512bw,avx512vbmi"), min_vector_width(512)))

static int detect_vbmi(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return ck_level() == CK_LEVEL_AVX512 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 1 & 1) && (b >> 30 & 1);
}

static int has_vbmi(void) {
    static int found = -1;
    // Every thread computes the same number, so a race is harmless.
    int known = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (known < 0) {
        known = detect_vbmi();
        __atomic_store_n(&found, known, __ATOMIC_RELAXED);
    }
    return known;
}

// A permutation picks among 128 bytes, so that two of them and a number's highest bit pick among all.
TARGET_AVX512_VBMI VECTOR_INLINE __m512i mapped(__m512i x, const __m512i *parts) {
    const __m512i low = _mm512_permutex2var_epi8(parts[0], x, parts[1]);
    const __m512i high = _mm512_permutex2var_epi8(parts[2], x, parts[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
}

TARGET_AVX512_VBMI static void map_vectors(
    const uint8_t *table, const uint8_t *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *y, ptrdiff_t y_step) {
    __m512i parts[4];
    for (int i = 0; i < 4; i++) parts[i] = _mm512_loadu_si512(table + 64 * i);
    for (ptrdiff_t row = 0; row < rows; row++, x += x_step, y += y_step) {
        ptrdiff_t i = 0;
        for (; i + 64 <= columns; i += 64) _mm512_storeu_si512(y + i, mapped(_mm512_loadu_si512(x + i), parts));
        if (i < columns) {
            const __mmask64 left = ~(__mmask64)0 >> (64 - (columns - i));
            _mm512_mask_storeu_epi8(y + i, left, mapped(_mm512_maskz_loadu_epi8(left, x + i), parts));
        }
    }
}
#endif

void ck_map_byte_rows(
    const uint8_t *table, const uint8_t *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *y, ptrdiff_t y_step) {
    if (!table) {
        for (ptrdiff_t row = 0; row < rows; row++) memcpy(y + row * y_step, x + row * x_step, (size_t)columns);
        return;
    }
#if defined(__x86_64__)
    if (has_vbmi()) return map_vectors(table, x, x_step, rows, columns, y, y_step);
#endif
    for (ptrdiff_t row = 0; row < rows; row++) map_each(table, x + row * x_step, columns, y + row * y_step);
}

void ck_map_bytes(const uint8_t *table, const uint8_t *x, ptrdiff_t n, uint8_t *y) {
    ck_map_byte_rows(table, x, 0, 1, n, y, 0);
}
