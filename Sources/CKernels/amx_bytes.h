// The kernel of integer_product.h's products that runs where ck_runs_amx().
#pragma once

#include <stddef.h>
#include <stdint.h>

// As ck_bytes_kernel does for CK_BYTES_AMX, between ck_amx_begin() and ck_amx_end().
void ck_amx_multiply_bytes(
    int rows, ptrdiff_t groups, const uint8_t *a, ptrdiff_t a_step, const uint8_t *b, int32_t *c, ptrdiff_t ldc);
