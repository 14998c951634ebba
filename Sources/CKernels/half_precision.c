#include "include/half_precision.h"

#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

VECTOR_INLINE uint16_t half_at(const char *halves, ptrdiff_t index) {
    uint16_t bits;
    memcpy(&bits, halves + 2 * index, sizeof bits);
    return bits;
}

// The exponent and the significand in a float's places, times 2^112, which makes up for the difference of the biases and normalises
// subnormal numbers. NaN keeps its bits and becomes quiet, as the processor makes it.
VECTOR_INLINE float float16_value(uint16_t half) {
    const uint32_t bits = half;
    const float magnitude = bits_to_float((bits & 0x7fff) << 13) * 0x1p112f;
    const uint32_t quiet = bits & 0x3ff ? 0x400000 : 0;
    const uint32_t special = 0x7f800000 | quiet | (bits & 0x3ff) << 13;
    return bits_to_float(((bits & 0x7c00) == 0x7c00 ? special : float_to_bits(magnitude)) | (bits & 0x8000) << 16);
}

static void widen_float16_plain(const char *halves, ptrdiff_t count, float *numbers) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) numbers[i] = float16_value(half_at(halves, i));
}

#if defined(__x86_64__)
CK_TARGET_AVX512 static void widen_float16_avx512(const char *halves, ptrdiff_t count, float *numbers) {
    ptrdiff_t i = 0;
    for (; i + 16 <= count; i += 16) {
        // As far ahead as the kernels of products read, 4 KB.
        _mm_prefetch(halves + 2 * i + 4096, _MM_HINT_T0);
        _mm512_storeu_ps(numbers + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(halves + 2 * i))));
    }
    for (; i < count; i++) numbers[i] = float16_value(half_at(halves, i));
}

CK_TARGET_AVX2 static void widen_float16_avx2(const char *halves, ptrdiff_t count, float *numbers) {
    ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm_prefetch(halves + 2 * i + 4096, _MM_HINT_T0);
        _mm256_storeu_ps(numbers + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(halves + 2 * i))));
    }
    for (; i < count; i++) numbers[i] = float16_value(half_at(halves, i));
}
#endif

void ck_widen_float16(const void *halves, ptrdiff_t count, float *numbers) {
#if defined(__x86_64__)
    if (ck_level() == CK_LEVEL_AVX512) return widen_float16_avx512(halves, count, numbers);
    if (ck_level() == CK_LEVEL_AVX2) return widen_float16_avx2(halves, count, numbers);
#endif
    widen_float16_plain(halves, count, numbers);
}

CK_KERNEL(void, ck_widen_bfloat16, (const void *halves, ptrdiff_t count, float *numbers), (halves, count, numbers)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) numbers[i] = bits_to_float((uint32_t)half_at(halves, i) << 16);
}

// Rounds by adding a number whose unit in the last place is the half's, or the half of that: the processor's own rounding, or the carry, does
// the rest. NaN keeps its upper bits and becomes quiet, as the processor makes it.
VECTOR_INLINE uint16_t nearest_float16(float number) {
    const uint32_t bits = float_to_bits(number);
    const uint32_t magnitude = bits & 0x7fffffff;
    // Subnormal as a half: below 2^-14. Adding 0.5 leaves the half's bits at the end of the significand.
    const uint32_t subnormal = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1)) >> 13;
    const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
    const uint32_t special = magnitude > 0x7f800000u ? 0x7e00 | (magnitude >> 13 & 0x3ff) : 0x7c00;
    return (uint16_t)((bits >> 16 & 0x8000) | (magnitude >= 0x47800000u ? special : finite));
}

static void narrow_float16_plain(const float *numbers, ptrdiff_t count, uint16_t *halves) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) halves[i] = nearest_float16(numbers[i]);
}

#if defined(__x86_64__)
CK_TARGET_AVX512 static void narrow_float16_avx512(const float *numbers, ptrdiff_t count, uint16_t *halves) {
    ptrdiff_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256((__m256i *)(halves + i), _mm512_cvtps_ph(_mm512_loadu_ps(numbers + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; i++) halves[i] = nearest_float16(numbers[i]);
}

CK_TARGET_AVX2 static void narrow_float16_avx2(const float *numbers, ptrdiff_t count, uint16_t *halves) {
    ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(halves + i), _mm256_cvtps_ph(_mm256_loadu_ps(numbers + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; i++) halves[i] = nearest_float16(numbers[i]);
}
#endif

void ck_narrow_float16(const float *numbers, ptrdiff_t count, uint16_t *halves) {
#if defined(__x86_64__)
    if (ck_level() == CK_LEVEL_AVX512) return narrow_float16_avx512(numbers, count, halves);
    if (ck_level() == CK_LEVEL_AVX2) return narrow_float16_avx2(numbers, count, halves);
#endif
    narrow_float16_plain(numbers, count, halves);
}

// Half a unit, less a bit where what is kept is even, rounds by its carry. NaN stays one.
VECTOR_INLINE uint16_t nearest_bfloat16(float number) {
    const uint32_t bits = float_to_bits(number);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(number == number ? rounded : bits >> 16 | 0x40);
}

CK_KERNEL(void, ck_narrow_bfloat16, (const float *numbers, ptrdiff_t count, uint16_t *halves), (numbers, count, halves)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < count; i++) halves[i] = nearest_bfloat16(numbers[i]);
}

void ck_pack_half_columns(
    const void *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, uint16_t *panel, ptrdiff_t panel_step) {
    for (ptrdiff_t p = 0; p < k; p++) {
        uint16_t *row = panel + p * panel_step;
        memcpy(row, (const char *)b + 2 * p * row_step, 2 * (size_t)count);
        for (int j = count; j < columns; j++) row[j] = 0;
    }
}

// Numbers of a row that are turned into columns at a time: lines of the cache of all rows, which then are read once.
enum { CHUNK = 32 };

void ck_pack_half_rows(const void *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, uint16_t *panel) {
    for (ptrdiff_t first = 0; first < k; first += CHUNK) {
        const ptrdiff_t last = first + CHUNK < k ? first + CHUNK : k;
        for (int i = 0; i < count; i++) {
            const char *row = (const char *)a + 2 * i * row_step;
            for (ptrdiff_t p = first; p < last; p++) panel[p * rows + i] = half_at(row, p);
        }
        for (ptrdiff_t p = first; p < last; p++)
            for (int i = count; i < rows; i++) panel[p * rows + i] = 0;
    }
}
