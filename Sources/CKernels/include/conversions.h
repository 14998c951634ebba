#pragma once

#include <stddef.h>

// Conversions of contiguous numbers of one type to another.
//
// Integers keep their lowest bits; those that become floats are rounded once. Floats that become integers lose their fraction: as int64, or
// uint64 where that is the target and they aren't negative, the nearest number of which is taken, or 0 for NaN, and its lowest bits.

typedef enum {
    CK_FLOAT,
    CK_DOUBLE,
    CK_INT8,
    CK_INT16,
    CK_INT32,
    CK_INT64,
    CK_UINT8,
    CK_UINT16,
    CK_UINT32,
    CK_UINT64,
    // As a target 1 for all but zero, and 0 for that.
    CK_BOOL,
} ck_number_type;

typedef void (*ck_conversion)(const void *x, void *y, ptrdiff_t n);

// Sources that are truth values are bytes, CK_UINT8.
ck_conversion ck_conversion_of(ck_number_type source, ck_number_type target);
