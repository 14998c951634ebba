#include "include/byte_quantization.h"

#include "vector_math.h"

CK_KERNEL(void, ck_extend_range, (const float *x, ptrdiff_t n, float *range), (x, n, range)) {
    float least = range[0], largest = range[1];
    float lows[VECTOR_LANES], highs[VECTOR_LANES];
    for (int j = 0; j < VECTOR_LANES; j++) lows[j] = least, highs[j] = largest;
    ptrdiff_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        VECTOR_LOOP for (int j = 0; j < VECTOR_LANES; j++) {
            const float value = x[i + j];
            lows[j] = value < lows[j] ? value : lows[j];
            highs[j] = value > highs[j] ? value : highs[j];
        }
    for (int j = 0; j < VECTOR_LANES; j++) {
        least = lows[j] < least ? lows[j] : least;
        largest = highs[j] > largest ? highs[j] : largest;
    }
    for (; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        largest = x[i] > largest ? x[i] : largest;
    }
    range[0] = least, range[1] = largest;
}

CK_KERNEL(
    void, ck_quantize_bytes, (const float *x, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y),
    (x, n, scale, zero, least, largest, y)) {
    const float lower = (float)(least - zero), upper = (float)(largest - zero);
    VECTOR_LOOP
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (uint8_t)(rounded_between(x[i] / scale, lower, upper) + zero);
}

CK_KERNEL(
    void, ck_quantize_words, (const float *x, ptrdiff_t n, float scale, int zero, int least, int largest, uint16_t *y),
    (x, n, scale, zero, least, largest, y)) {
    const float lower = (float)(least - zero), upper = (float)(largest - zero);
    VECTOR_LOOP
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (uint16_t)(rounded_between(x[i] / scale, lower, upper) + zero);
}

CK_KERNEL(
    void, ck_dequantize_words, (const uint16_t *x, int is_signed, ptrdiff_t n, float scale, int zero, float *y),
    (x, is_signed, n, scale, zero, y)) {
    if (is_signed) {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((int16_t)x[i] - zero) * scale;
    } else {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
    }
}

// With a scale and a zero point for each number; of those of a sign, `flip` is its bit.
#define EACH(quantize, dequantize, number, sign) \
    CK_KERNEL( \
        void, quantize, \
        (const float *x, ptrdiff_t n, const float *scales, const int32_t *zeros, int least, int largest, number *y), \
        (x, n, scales, zeros, least, largest, y)) { \
        VECTOR_LOOP \
        for (ptrdiff_t i = 0; i < n; i++) { \
            const float lower = (float)(least - zeros[i]), upper = (float)(largest - zeros[i]); \
            y[i] = (number)(rounded_between(x[i] / scales[i], lower, upper) + zeros[i]); \
        } \
    } \
    CK_KERNEL( \
        void, dequantize, \
        (const number *x, int is_signed, ptrdiff_t n, const float *scales, const int32_t *zeros, float *y), \
        (x, is_signed, n, scales, zeros, y)) { \
        const int flip = is_signed ? sign : 0; \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((x[i] ^ flip) - flip - zeros[i]) * scales[i]; \
    }

EACH(ck_quantize_bytes_each, ck_dequantize_bytes_each, uint8_t, 0x80)
EACH(ck_quantize_words_each, ck_dequantize_words_each, uint16_t, 0x8000)

CK_KERNEL(
    void, ck_dequantize_integers, (const int32_t *x, ptrdiff_t n, float scale, int zero, float *y), (x, n, scale, zero, y)) {
    // Differences of 32 bits are exact in double precision.
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((double)x[i] - (double)zero) * scale;
}

CK_KERNEL(
    void, ck_dequantize_integers_each,
    (const int32_t *x, ptrdiff_t n, const float *scales, const int32_t *zeros, float *y), (x, n, scales, zeros, y)) {
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((double)x[i] - (double)zeros[i]) * scales[i];
}

VECTOR_INLINE float unscaled(const ck_scaled_bytes *x, ptrdiff_t i) {
    return (float)((x->is_signed ? (int)(int8_t)x->bytes[i] : (int)x->bytes[i]) - x->zero) * x->scale;
}

CK_KERNEL(
    void, ck_add_scaled_bytes,
    (ck_scaled_bytes a, ck_scaled_bytes b, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y),
    (a, b, n, scale, zero, least, largest, y)) {
    const float lower = (float)(least - zero), upper = (float)(largest - zero);
    if (a.is_signed || b.is_signed) {
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] = (uint8_t)(rounded_between((unscaled(&a, i) + unscaled(&b, i)) / scale, lower, upper) + zero);
        return;
    }
    const uint8_t *first = a.bytes, *second = b.bytes;
    VECTOR_LOOP
    for (ptrdiff_t i = 0; i < n; i++) {
        const float sum = (float)(first[i] - a.zero) * a.scale + (float)(second[i] - b.zero) * b.scale;
        y[i] = (uint8_t)(rounded_between(sum / scale, lower, upper) + zero);
    }
}

CK_KERNEL(
    void, ck_multiply_scaled_bytes,
    (ck_scaled_bytes a, const float *factors, int is_one, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y),
    (a, factors, is_one, n, scale, zero, least, largest, y)) {
    const float lower = (float)(least - zero), upper = (float)(largest - zero), factor = factors[0];
    const uint8_t *bytes = a.bytes;
    // 128 more, as its zero point is, where there is a sign.
    const int flip = a.is_signed ? 0x80 : 0, offset = a.zero + flip;
    if (is_one) {
        VECTOR_LOOP
        for (ptrdiff_t i = 0; i < n; i++) {
            const float product = ((float)((bytes[i] ^ flip) - offset) * a.scale) * factor;
            y[i] = (uint8_t)(rounded_between(product / scale, lower, upper) + zero);
        }
    } else {
        VECTOR_LOOP
        for (ptrdiff_t i = 0; i < n; i++) {
            const float product = ((float)((bytes[i] ^ flip) - offset) * a.scale) * factors[i];
            y[i] = (uint8_t)(rounded_between(product / scale, lower, upper) + zero);
        }
    }
}

CK_KERNEL(
    void, ck_sum_byte_pixels, (const uint8_t *x, int is_signed, ptrdiff_t pixels, ptrdiff_t channels, int32_t *sums),
    (x, is_signed, pixels, channels, sums)) {
    const int flip = is_signed ? 0x80 : 0;
    for (ptrdiff_t i = 0; i < pixels; i++, x += channels)
        VECTOR_LOOP for (ptrdiff_t c = 0; c < channels; c++) sums[c] += (x[c] ^ flip) - flip;
}

CK_KERNEL(
    void, ck_sum_byte_planes, (const uint8_t *x, int is_signed, ptrdiff_t planes, ptrdiff_t pixels, int32_t *sums),
    (x, is_signed, planes, pixels, sums)) {
    const int flip = is_signed ? 0x80 : 0;
    for (ptrdiff_t i = 0; i < planes; i++, x += pixels) {
        int32_t sum = 0;
        for (ptrdiff_t j = 0; j < pixels; j++) sum += (x[j] ^ flip) - flip;
        sums[i] = sum;
    }
}

CK_KERNEL(
    void, ck_dequantize_bytes, (const uint8_t *x, int is_signed, ptrdiff_t n, float scale, int zero, float *y),
    (x, is_signed, n, scale, zero, y)) {
    if (is_signed) {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)((int8_t)x[i] - zero) * scale;
    } else {
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
    }
}

CK_KERNEL(
    void, ck_dequantize_nibbles, (const uint8_t *x, int is_signed, ptrdiff_t n, float scale, float zero, float *y),
    (x, is_signed, n, scale, zero, y)) {
    // Which makes 8 to 15 of an unsigned number -8 to -1.
    const int flip = is_signed ? 8 : 0;
    VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {
        y[2 * i] = ((float)(((x[i] & 15) ^ flip) - flip) - zero) * scale;
        y[2 * i + 1] = ((float)(((x[i] >> 4) ^ flip) - flip) - zero) * scale;
    }
}
