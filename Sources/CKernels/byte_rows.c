#include "amx.h"
#include "byte_rounding.h"
#include "include/bit_rows.h"
#include "include/integer_product.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

int ck_has_byte_rows(int bits) {
    const int level = ck_bytes_level();
    // What takes the place of AMX elsewhere says nothing about VNNI.
    if (level == CK_BYTES_PLAIN || (level == CK_BYTES_AMX && !ck_runs_amx())) return 0;
    // Without VNNI sums of two products have 16 bits, which those of weights of 8 bits may not fit.
    return bits < 8 || level != CK_BYTES_AVX2;
}

// Numbers in the order of a column's bytes, four of which are read at a time: those that have the same place in their bytes are one word.
VECTOR_INLINE void order_numbers(const int numbers_of_byte, const int8_t *numbers, ptrdiff_t count, int8_t *ordered) {
    const int step = 4 * numbers_of_byte;
    for (ptrdiff_t first = 0; first < count; first += step)
        for (int n = 0; n < numbers_of_byte; n++)
            for (int byte = 0; byte < 4; byte++) ordered[first + 4 * n + byte] = numbers[first + byte * numbers_of_byte + n];
}

// A part of a block, as long as the least of them.
enum { PART = 16 };

CK_KERNEL(
    void, ck_byte_row_numbers,
    (const float *a, ptrdiff_t blocks, ptrdiff_t block, int bits, int8_t *numbers, float *scales, int32_t *sums),
    (a, blocks, block, bits, numbers, scales, sums)) {
    for (ptrdiff_t b = 0; b < blocks; b++) {
        float largest = 0, poison = 0;
        for (ptrdiff_t first = 0; first < block; first += PART) {
            float sizes[PART], rests[PART];
            VECTOR_LOOP for (int i = 0; i < PART; i++) {
                sizes[i] = fabsf(a[b * block + first + i]);
                rests[i] = sizes[i] * 0;
            }
            const float size = lanes_maximum(sizes);
            largest = size > largest ? size : largest;
            poison += lanes_sum(rests);
        }
        // Of smaller numbers the inverse is infinite, and all of them are 0.
        const float inverse = largest > 1e-36f && poison == 0 ? 127 / largest : 0;
        int32_t sum = 0;
        for (ptrdiff_t first = 0; first < block; first += PART) {
            int32_t wide[PART];
            int8_t part[PART];
            VECTOR_LOOP for (int i = 0; i < PART; i++) {
                const float number = a[b * block + first + i];
                // Of what isn't finite, where the inverse is 0, nothing is left but the scale.
                wide[i] = nearest_integer(inverse == 0 ? 0 : number * inverse);
            }
            for (int i = 0; i < PART; i++) {
                part[i] = (int8_t)wide[i];
                sum += wide[i];
            }
            int8_t *place = numbers + b * block + first;
            if (bits == 4)
                order_numbers(2, part, PART, place);
            else if (bits == 2)
                order_numbers(4, part, PART, place);
            else
                order_numbers(1, part, PART, place);
        }
        scales[b] = largest / 127 + poison;
        sums[b] = sum;
    }
}

// byte_rounding.h has it off.
#pragma STDC FP_CONTRACT ON

#if defined(__x86_64__)

#define LOW_BYTES_32 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55
#define HIGH_BYTES_32 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63
#define LOW_PAIRS_32 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27
#define HIGH_PAIRS_32 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW_BYTES_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_BYTES_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW_PAIRS_16 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_PAIRS_16 4, 12, 5, 13, 6, 14, 7, 15

#define BYTE_TYPES(width)                                                                                                    \
    typedef uint8_t bytes_##width __attribute__((ext_vector_type(width), aligned(1), may_alias));                            \
    typedef uint16_t pairs_##width __attribute__((ext_vector_type(width / 2), aligned(1), may_alias));                       \
    typedef uint32_t words_##width __attribute__((ext_vector_type(width / 4), aligned(4), may_alias));                       \
    typedef int32_t integers_##width __attribute__((ext_vector_type(width / 4), aligned(4), may_alias));                     \
    typedef float floats_##width __attribute__((ext_vector_type(width / 4), aligned(4), may_alias));
BYTE_TYPES(16)
BYTE_TYPES(32)
#undef BYTE_TYPES

// Where the vectors of `width` bytes have their columns: vector i has the four from 4 i on, of 32 bytes those from 16 + 4 i on too.
#define GATHERED_16(floats, place) (*(const floats_16 *)(floats + place))
#define GATHERED_32(floats, place)                                                                                           \
    __builtin_shufflevector(*(const floats_16 *)(floats + place), *(const floats_16 *)(floats + place + 16), 0, 1, 2, 3, 4, 5, 6, 7)
#define SCATTER_16(values, floats, place) *(floats_16 *)(floats + place) = values
#define SCATTER_32(values, floats, place)                                                                                    \
    *(floats_16 *)(floats + place) = __builtin_shufflevector(values, values, 0, 1, 2, 3),                                    \
    *(floats_16 *)(floats + place + 16) = __builtin_shufflevector(values, values, 4, 5, 6, 7)

// `width` columns at a time.
#define BYTE_ROWS(name, TARGET, width, DOT)                                                                                  \
    TARGET VECTOR_INLINE void name##_columns(                                                                                \
        const int bits, const int rows, const ck_bit_panel *panel, const int8_t *a, const float *scales,                     \
        const int32_t *sums, int column, float *y) {                                                                         \
        const int numbers_of_byte = 8 / bits;                                                                                \
        const ptrdiff_t groups = panel->block / numbers_of_byte / 4, length = panel->blocks * panel->block;                  \
        const words_##width mask = (words_##width)(0x01010101u * ((1u << bits) - 1));                                        \
        floats_##width total[4][4];                                                                                          \
        for (int row = 0; row < rows; row++)                                                                                 \
            for (int i = 0; i < 4; i++) total[row][i] = 0;                                                                   \
        for (ptrdiff_t block = 0; block < panel->blocks; block++) {                                                          \
            const uint8_t *numbers = panel->numbers + block * panel->block_bytes + column;                                   \
            const int8_t *left = a + block * panel->block;                                                                   \
            integers_##width sum[4][4];                                                                                      \
            for (int row = 0; row < rows; row++)                                                                             \
                for (int i = 0; i < 4; i++)                                                                                  \
                    sum[row][i] = (integers_##width)(panel->zeros ? 0 : -panel->zero * sums[row * panel->blocks + block]);   \
            for (ptrdiff_t group = 0; group < groups; group++, left += 4 * numbers_of_byte) {                                \
                bytes_##width lines[4];                                                                                      \
                for (int i = 0; i < 4; i++, numbers += panel->columns) lines[i] = *(const bytes_##width *)numbers;           \
                const pairs_##width first = (pairs_##width)__builtin_shufflevector(lines[0], lines[1], LOW_BYTES_##width);   \
                const pairs_##width second = (pairs_##width)__builtin_shufflevector(lines[0], lines[1], HIGH_BYTES_##width); \
                const pairs_##width third = (pairs_##width)__builtin_shufflevector(lines[2], lines[3], LOW_BYTES_##width);   \
                const pairs_##width fourth = (pairs_##width)__builtin_shufflevector(lines[2], lines[3], HIGH_BYTES_##width); \
                const words_##width words[4] = {                                                                             \
                    (words_##width)__builtin_shufflevector(first, third, LOW_PAIRS_##width),                                 \
                    (words_##width)__builtin_shufflevector(first, third, HIGH_PAIRS_##width),                                \
                    (words_##width)__builtin_shufflevector(second, fourth, LOW_PAIRS_##width),                               \
                    (words_##width)__builtin_shufflevector(second, fourth, HIGH_PAIRS_##width)};                             \
                for (int n = 0; n < numbers_of_byte; n++) {                                                                  \
                    for (int row = 0; row < rows; row++) {                                                                   \
                        int32_t four;                                                                                        \
                        memcpy(&four, left + row * length + 4 * n, sizeof four);                                             \
                        const integers_##width factor = (integers_##width)four;                                              \
                        for (int i = 0; i < 4; i++) sum[row][i] = DOT(sum[row][i], words[i] >> (n * bits) & mask, factor);   \
                    }                                                                                                        \
                }                                                                                                            \
            }                                                                                                                \
            for (int i = 0; i < 4; i++) {                                                                                    \
                const ptrdiff_t place = block * panel->block_scales + column + 4 * i;                                        \
                const floats_##width scale = GATHERED_##width(panel->scales, place);                                         \
                for (int row = 0; row < rows; row++) {                                                                       \
                    floats_##width product = __builtin_convertvector(sum[row][i], floats_##width);                           \
                    if (panel->zeros)                                                                                        \
                        product -= GATHERED_##width(panel->zeros, place) * (float)sums[row * panel->blocks + block];         \
                    total[row][i] += product * (scale * scales[row * panel->blocks + block]);                                \
                }                                                                                                            \
            }                                                                                                                \
        }                                                                                                                    \
        for (int row = 0; row < rows; row++)                                                                                 \
            for (int i = 0; i < 4; i++) SCATTER_##width(total[row][i], y, row * panel->columns + column + 4 * i);            \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_rows(                                                                                   \
        const int bits, const int rows, const ck_bit_panel *panel, const int8_t *a, const float *scales,                     \
        const int32_t *sums, float *y) {                                                                                     \
        for (int column = 0; column < panel->columns; column += width)                                                       \
            name##_columns(bits, rows, panel, a, scales, sums, column, y);                                                   \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_bits(                                                                                   \
        const int bits, const ck_bit_panel *panel, const int8_t *a, const float *scales, const int32_t *sums, int rows,      \
        float *y) {                                                                                                          \
        switch (rows) {                                                                                                      \
        case 1: return name##_rows(bits, 1, panel, a, scales, sums, y);                                                      \
        case 2: return name##_rows(bits, 2, panel, a, scales, sums, y);                                                      \
        case 3: return name##_rows(bits, 3, panel, a, scales, sums, y);                                                      \
        default: return name##_rows(bits, 4, panel, a, scales, sums, y);                                                     \
        }                                                                                                                    \
    }                                                                                                                        \
    TARGET static void name(                                                                                                 \
        const ck_bit_panel *panel, const int8_t *a, const float *scales, const int32_t *sums, int rows, float *y) {          \
        switch (panel->bits) {                                                                                               \
        case 2: return name##_bits(2, panel, a, scales, sums, rows, y);                                                      \
        case 4: return name##_bits(4, panel, a, scales, sums, rows, y);                                                      \
        default: return name##_bits(8, panel, a, scales, sums, rows, y);                                                     \
        }                                                                                                                    \
    }

#define DOT_AVX512(sum, weights, factor) (integers_32)_mm256_dpbusd_epi32((__m256i)(sum), (__m256i)(weights), (__m256i)(factor))
#define DOT_AVX_VNNI(sum, weights, factor) (integers_16)_mm_dpbusd_avx_epi32((__m128i)(sum), (__m128i)(weights), (__m128i)(factor))
#define DOT_AVX2(sum, weights, factor)                                                                                       \
    ((sum) + (integers_16)_mm_madd_epi16(                                                                                    \
                 _mm_maddubs_epi16((__m128i)(weights), (__m128i)(factor)), (__m128i)((integers_16)0x00010001)))
BYTE_ROWS(byte_rows_avx512, CK_TARGET_AVX512_VNNI, 32, DOT_AVX512)
BYTE_ROWS(byte_rows_avx_vnni, CK_TARGET_AVX_VNNI, 16, DOT_AVX_VNNI)
BYTE_ROWS(byte_rows_avx2, CK_TARGET_AVX2, 16, DOT_AVX2)

#endif

void ck_byte_rows(
    const ck_bit_panel *panel, const int8_t *a, const float *scales, const int32_t *sums, int rows, float *y) {
#if defined(__x86_64__)
    const int level = ck_bytes_level();
    if (level >= CK_BYTES_AVX512_VNNI && panel->columns % 32 == 0) return byte_rows_avx512(panel, a, scales, sums, rows, y);
    if (level == CK_BYTES_AVX_VNNI) return byte_rows_avx_vnni(panel, a, scales, sums, rows, y);
    byte_rows_avx2(panel, a, scales, sums, rows, y);
#endif
}
