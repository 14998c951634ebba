#include "include/byte_softmax.h"

#include <string.h>

#include "include/byte_table.h"
#include "vector_math.h"

// Bytes of rows that are rounded by a table: computing one costs as much as rounding so many.
enum { LEAST_MAPPED = 256 };

CK_KERNEL(void, ck_prepare_byte_softmax, (ck_byte_softmax *softmax), (softmax)) {
    const float scale = softmax->scale;
    VECTOR_LOOP
    for (int i = 0; i < 256; i++) softmax->exponentials[i] = decaying_exponential((float)(i - 255) * scale);
}

VECTOR_INLINE int largest_byte(const uint8_t *x, ptrdiff_t n, uint8_t flip) {
    uint8_t lanes[64] = {0};
    ptrdiff_t i = 0;
    for (; i + 64 <= n; i += 64)
        VECTOR_LOOP for (int j = 0; j < 64; j++) {
            const uint8_t value = x[i + j] ^ flip;
            lanes[j] = value > lanes[j] ? value : lanes[j];
        }
    uint8_t largest = 0;
    for (int j = 0; j < 64; j++) largest = lanes[j] > largest ? lanes[j] : largest;
    for (; i < n; i++) largest = (x[i] ^ flip) > largest ? x[i] ^ flip : largest;
    return largest;
}

// Of so few bytes that a sum of float32 will do; `terms` may be null.
VECTOR_INLINE float sum_of_exponentials(const uint8_t *x, ptrdiff_t n, uint8_t flip, int largest, float scale, float *terms) {
    float sums[VECTOR_LANES] = {0};
    ptrdiff_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        VECTOR_LOOP for (int j = 0; j < VECTOR_LANES; j++) {
            const float value = decaying_exponential((float)((x[i + j] ^ flip) - largest) * scale);
            if (terms) terms[i + j] = value;
            sums[j] += value;
        }
    float sum = 0;
    for (int j = 0; j < VECTOR_LANES; j++) sum += sums[j];
    for (; i < n; i++) {
        const float value = decaying_exponential((float)((x[i] ^ flip) - largest) * scale);
        if (terms) terms[i] = value;
        sum += value;
    }
    return sum;
}

// A weight over the scale, brought between integers, rounded to the nearest, halves to even: a product with the inverse of both the sum and
// the scale would miss some halves.
VECTOR_INLINE uint8_t rounded(float weight, float scale, float lower, float upper, int zero) {
    float value = weight / scale;
    value = value > lower ? value : lower;
    value = value < upper ? value : upper;
    return (uint8_t)((int32_t)(float_to_bits(value + 12582912.0f) - 0x4B400000u) + zero);
}

CK_KERNEL(
    void, ck_softmax_byte_rows, (const ck_byte_softmax *softmax, const uint8_t *x, ptrdiff_t rows, ptrdiff_t n, uint8_t *y),
    (softmax, x, rows, n, y)) {
    enum { PART = 512 };
    const uint8_t flip = softmax->is_signed ? 0x80 : 0;
    const float scale = softmax->scale;
    const float lower = (float)(softmax->least - softmax->zero), upper = (float)(softmax->largest - softmax->zero);
    for (ptrdiff_t row = 0; row < rows; row++, x += n, y += n) {
        const int largest = largest_byte(x, n, flip);
        if (n < LEAST_MAPPED) {
            float terms[LEAST_MAPPED];
            const float sum = sum_of_exponentials(x, n, flip, largest, scale, terms);
            const float factor = 1.0f / sum, result_scale = softmax->result_scale;
            VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = rounded(
                terms[i] * factor, result_scale, lower, upper, softmax->zero);
            continue;
        }
        double sum = 0;
        for (ptrdiff_t start = 0; start < n; start += PART)
            sum += sum_of_exponentials(x + start, n - start < PART ? n - start : PART, flip, largest, scale, NULL);
        const float factor = (float)(1.0 / sum), result_scale = softmax->result_scale;
        uint8_t table[256] = {0};
        const float *exponentials = softmax->exponentials + 255 - largest;
        VECTOR_LOOP
        for (int i = 0; i <= largest; i++) table[i] = rounded(exponentials[i] * factor, result_scale, lower, upper, softmax->zero);
        if (flip) {
            uint8_t half[128];
            memcpy(half, table, 128);
            memcpy(table, table + 128, 128);
            memcpy(table + 128, half, 128);
        }
        ck_map_bytes(table, x, n, y);
    }
}
