#pragma once

#include <stddef.h>
#include <stdint.h>

// y[i] = table[x[i]], of 256 bytes; y may be x.
void ck_map_bytes(const uint8_t *table, const uint8_t *x, ptrdiff_t n, uint8_t *y);

// The same of `rows` rows of `columns` bytes, x_step and y_step bytes apart; a table that is NULL copies them.
void ck_map_byte_rows(
    const uint8_t *table, const uint8_t *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t columns, uint8_t *y, ptrdiff_t y_step);
