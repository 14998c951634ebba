// Integers of 4 to 32 bits and the float32 that they stand for.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The least and the largest of n numbers and what `range` holds, NaN left out.
void ck_extend_range(const float *x, ptrdiff_t n, float *range);

// y = x / scale, rounded to the nearest integer, halves to even, + zero, brought into least...largest, and least for NaN: bytes of
// either sign.
void ck_quantize_bytes(const float *x, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y);

// Bytes and what they stand for, (byte - zero) · scale.
typedef struct {
    const uint8_t *bytes;
    int is_signed;
    int zero;
    float scale;
} ck_scaled_bytes;

// y = the sum of what a and b stand for, as ck_quantize_bytes rounds it.
void ck_add_scaled_bytes(
    ck_scaled_bytes a, ck_scaled_bytes b, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y);

// y[i] = what a[i] stands for · factors[i], or · factors[0] for all, as ck_quantize_bytes rounds it.
void ck_multiply_scaled_bytes(
    ck_scaled_bytes a, const float *factors, int is_one, ptrdiff_t n, float scale, int zero, int least, int largest, uint8_t *y);

// sums[c] += the sum of x[i * channels + c] over pixels i, bytes of either sign.
void ck_sum_byte_pixels(const uint8_t *x, int is_signed, ptrdiff_t pixels, ptrdiff_t channels, int32_t *sums);

// sums[i] = the sum of x[i * pixels + j] over j < pixels, bytes of either sign.
void ck_sum_byte_planes(const uint8_t *x, int is_signed, ptrdiff_t planes, ptrdiff_t pixels, int32_t *sums);

// As ck_quantize_bytes and ck_dequantize_bytes, of 16 bits.
void ck_quantize_words(const float *x, ptrdiff_t n, float scale, int zero, int least, int largest, uint16_t *y);
void ck_dequantize_words(const uint16_t *x, int is_signed, ptrdiff_t n, float scale, int zero, float *y);

// y = (x - zero) · scale, for bytes of either sign, and for 32 bits.
void ck_dequantize_bytes(const uint8_t *x, int is_signed, ptrdiff_t n, float scale, int zero, float *y);
void ck_dequantize_integers(const int32_t *x, ptrdiff_t n, float scale, int zero, float *y);

// The same with a scale and a zero point for each number.
void ck_quantize_bytes_each(
    const float *x, ptrdiff_t n, const float *scales, const int32_t *zeros, int least, int largest, uint8_t *y);
void ck_quantize_words_each(
    const float *x, ptrdiff_t n, const float *scales, const int32_t *zeros, int least, int largest, uint16_t *y);
void ck_dequantize_bytes_each(
    const uint8_t *x, int is_signed, ptrdiff_t n, const float *scales, const int32_t *zeros, float *y);
void ck_dequantize_words_each(
    const uint16_t *x, int is_signed, ptrdiff_t n, const float *scales, const int32_t *zeros, float *y);
void ck_dequantize_integers_each(
    const int32_t *x, ptrdiff_t n, const float *scales, const int32_t *zeros, float *y);

// The same of 2n numbers of four bits, two of each byte, the first in the lower ones.
void ck_dequantize_nibbles(const uint8_t *x, int is_signed, ptrdiff_t n, float scale, float zero, float *y);
