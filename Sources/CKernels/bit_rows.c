#include "include/bit_rows.h"

#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef uint8_t vector_u8 __attribute__((ext_vector_type(VECTOR_LANES), aligned(1), may_alias));

// Two vectors of columns at a time: with four rows, as many sums as half of the registers hold.
#define BIT_ROWS(name, TARGET, WIDENED)                                                                                      \
    TARGET VECTOR_INLINE void name(                                                                                          \
        const int bits, const int rows, const int has_zeros, const int vectors, const ck_bit_panel *panel, const float *a,   \
        ptrdiff_t lda, int column, float *y) {                                                                               \
        const int numbers_of_byte = 8 / bits;                                                                                \
        const ptrdiff_t bytes_of_block = panel->block / numbers_of_byte;                                                     \
        const int zero = has_zeros ? 0 : panel->zero;                                                                        \
        vector_f32 table;                                                                                                    \
        for (int i = 0; i < VECTOR_LANES; i++) table[i] = (float)((i & ((1 << bits) - 1)) - zero);                           \
        vector_f32 total[4][2];                                                                                              \
        for (int row = 0; row < rows; row++)                                                                                 \
            for (int v = 0; v < vectors; v++) total[row][v] = 0;                                                             \
        for (ptrdiff_t block = 0; block < panel->blocks; block++) {                                                          \
            const uint8_t *numbers = panel->numbers + block * panel->block_bytes + column;                                   \
            const float *left = a + block * panel->block;                                                                    \
            const ptrdiff_t place = block * panel->block_scales + column;                                                    \
            vector_f32 zeros[2], sum[4][2][2];                                                                               \
            for (int v = 0; v < vectors; v++) {                                                                              \
                if (has_zeros) zeros[v] = VECTOR_CONST_AT(panel->zeros + place + VECTOR_LANES * v);                          \
                for (int row = 0; row < rows; row++) sum[row][v][0] = sum[row][v][1] = 0;                                    \
            }                                                                                                                \
            for (ptrdiff_t byte = 0; byte < bytes_of_block; byte++, numbers += panel->columns, left += panel->byte_step) {   \
                for (int v = 0; v < vectors; v++) {                                                                          \
                    const vector_u8 packed = *(const vector_u8 *)(numbers + VECTOR_LANES * v);                               \
                    const vector_i32 wide = __builtin_convertvector(packed, vector_i32);                                     \
                    for (int n = 0; n < numbers_of_byte; n++) {                                                              \
                        vector_f32 weight = WIDENED(wide >> (n * bits));                                                     \
                        if (has_zeros) weight -= zeros[v];                                                                   \
                        for (int row = 0; row < rows; row++)                                                                 \
                            sum[row][v][n & 1] += weight * left[row * lda + n * panel->number_step];                         \
                    }                                                                                                        \
                }                                                                                                            \
            }                                                                                                                \
            for (int v = 0; v < vectors; v++) {                                                                              \
                const vector_f32 scale = VECTOR_CONST_AT(panel->scales + place + VECTOR_LANES * v);                          \
                for (int row = 0; row < rows; row++) total[row][v] += (sum[row][v][0] + sum[row][v][1]) * scale;             \
            }                                                                                                                \
        }                                                                                                                    \
        for (int row = 0; row < rows; row++)                                                                                 \
            for (int v = 0; v < vectors; v++) VECTOR_AT(y + row * panel->columns + column + VECTOR_LANES * v) = total[row][v]; \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_columns(                                                                                \
        const int bits, const int rows, const int has_zeros, const ck_bit_panel *panel, const float *a, ptrdiff_t lda,       \
        float *y) {                                                                                                          \
        int column = 0;                                                                                                      \
        for (; column + 2 * VECTOR_LANES <= panel->columns; column += 2 * VECTOR_LANES)                                      \
            name(bits, rows, has_zeros, 2, panel, a, lda, column, y);                                                        \
        if (column < panel->columns) name(bits, rows, has_zeros, 1, panel, a, lda, column, y);                               \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_rows(                                                                                   \
        const int bits, const int has_zeros, const ck_bit_panel *panel, const float *a, ptrdiff_t lda, int rows, float *y) { \
        switch (rows) {                                                                                                      \
        case 1: return name##_columns(bits, 1, has_zeros, panel, a, lda, y);                                                 \
        case 2: return name##_columns(bits, 2, has_zeros, panel, a, lda, y);                                                 \
        case 3: return name##_columns(bits, 3, has_zeros, panel, a, lda, y);                                                 \
        default: return name##_columns(bits, 4, has_zeros, panel, a, lda, y);                                                \
        }                                                                                                                    \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_zeros(                                                                                  \
        const int bits, const ck_bit_panel *panel, const float *a, ptrdiff_t lda, int rows, float *y) {                      \
        if (panel->zeros)                                                                                                    \
            name##_rows(bits, 1, panel, a, lda, rows, y);                                                                    \
        else                                                                                                                 \
            name##_rows(bits, 0, panel, a, lda, rows, y);                                                                    \
    }                                                                                                                        \
    TARGET VECTOR_INLINE void name##_bits(const ck_bit_panel *panel, const float *a, ptrdiff_t lda, int rows, float *y) {    \
        switch (panel->bits) {                                                                                               \
        case 2: return name##_zeros(2, panel, a, lda, rows, y);                                                              \
        case 4: return name##_zeros(4, panel, a, lda, rows, y);                                                              \
        default: return name##_zeros(8, panel, a, lda, rows, y);                                                             \
        }                                                                                                                    \
    }

#define CONVERTED(bits_of_lane) __builtin_convertvector(((bits_of_lane) & ((1 << bits) - 1)) - zero, vector_f32)
BIT_ROWS(bit_rows, , CONVERTED)

#if defined(__x86_64__)
// The table's index is the lowest four bits of each lane.
#define LOOKED_UP(bits_of_lane)                                                                                              \
    (bits == 4 ? (vector_f32)_mm512_permutexvar_ps((__m512i)(bits_of_lane), (__m512)table) : CONVERTED(bits_of_lane))
BIT_ROWS(bit_rows_512, CK_TARGET_AVX512, LOOKED_UP)
#endif

#define PARAMETERS const ck_bit_panel *panel, const float *a, ptrdiff_t lda, int rows, float *y
#define ARGUMENTS (panel, a, lda, rows, y)
CK_DISPATCH(void, ck_bit_rows, (PARAMETERS), ARGUMENTS, bit_rows_512_bits, bit_rows_bits)
