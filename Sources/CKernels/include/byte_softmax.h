#pragma once

#include <stddef.h>
#include <stdint.h>

// The softmax of rows of bytes of either sign whose neighbours are a scale apart, rounded to bytes.
typedef struct {
    int is_signed;
    float scale;
    // Of the result: numbers are divided by `result_scale`, rounded to the nearest integer, + zero, and brought into least...largest.
    float result_scale;
    int zero;
    int least;
    int largest;
    // exp(-i · scale) at 255 - i, as ck_prepare_byte_softmax() has it.
    float exponentials[256];
} ck_byte_softmax;

// Fills `exponentials`.
void ck_prepare_byte_softmax(ck_byte_softmax *softmax);

// Rows of n bytes each, one after the other; y may be x.
void ck_softmax_byte_rows(const ck_byte_softmax *softmax, const uint8_t *x, ptrdiff_t rows, ptrdiff_t n, uint8_t *y);
