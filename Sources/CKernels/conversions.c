#include "include/conversions.h"

#include "vector_math.h"

// Without the fraction; the nearest integer in range, 0 for NaN.
VECTOR_INLINE int64_t saturated_integer(double value) {
    if (value >= 0x1p63) return INT64_MAX;
    if (value < -0x1p63) return INT64_MIN;
    return value == value ? (int64_t)value : 0;
}

VECTOR_INLINE uint64_t saturated_unsigned(double value) {
    if (value < 0) return (uint64_t)saturated_integer(value);
    if (value >= 0x1p64) return UINT64_MAX;
    return value == value ? (uint64_t)value : 0;
}

// The kernel for numbers of a type into those of another, of which `expression` makes one of v.
#define CONVERSION(source_name, source, target_name, target, expression)                                                     \
    CK_KERNEL(void, ck_convert_##source_name##_##target_name, (const void *x, void *y, ptrdiff_t n), (x, y, n)) {         \
        const source *from = x;                                                                                              \
        target *to = y;                                                                                                      \
        VECTOR_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                      \
            const source v = from[i];                                                                                        \
            to[i] = (expression);                                                                                            \
        }                                                                                                                    \
    }

// Of floats. Blocks of numbers that 32 bits hold are converted in vectors, which few processors do with 64.
#define FLOAT_CONVERSION(source_name, source, target_name, target, magnitude, saturated)                                      \
    CK_KERNEL(void, ck_convert_##source_name##_##target_name, (const void *x, void *y, ptrdiff_t n), (x, y, n)) {         \
        const source *from = x;                                                                                              \
        target *to = y;                                                                                                      \
        for (ptrdiff_t start = 0; start < n; start += 256) {                                                                 \
            const ptrdiff_t end = n - start < 256 ? n : start + 256;                                                         \
            int is_small = 1;                                                                                                \
            for (ptrdiff_t i = start; i < end; i++) is_small &= magnitude(from[i]) < (source)0x1p31;                         \
            if (is_small) {                                                                                                  \
                VECTOR_LOOP for (ptrdiff_t i = start; i < end; i++) to[i] = (target)(int32_t)from[i];                        \
            } else {                                                                                                         \
                for (ptrdiff_t i = start; i < end; i++) to[i] = (target)saturated(from[i]);                                  \
            }                                                                                                                \
        }                                                                                                                    \
    }

#define CONVERSIONS_OF_INTEGERS(name, source)                                                                                \
    CONVERSION(name, source, float, float, (float)v)                                                                         \
    CONVERSION(name, source, double, double, (double)v)                                                                      \
    CONVERSION(name, source, int8, int8_t, (int8_t)v)                                                                        \
    CONVERSION(name, source, int16, int16_t, (int16_t)v)                                                                     \
    CONVERSION(name, source, int32, int32_t, (int32_t)v)                                                                     \
    CONVERSION(name, source, int64, int64_t, (int64_t)v)                                                                     \
    CONVERSION(name, source, bool, uint8_t, v != 0)

#define CONVERSIONS_OF_FLOATS(name, source, magnitude)                                                                       \
    CONVERSION(name, source, float, float, (float)v)                                                                         \
    CONVERSION(name, source, double, double, (double)v)                                                                      \
    FLOAT_CONVERSION(name, source, int8, int8_t, magnitude, saturated_integer)                                               \
    FLOAT_CONVERSION(name, source, int16, int16_t, magnitude, saturated_integer)                                             \
    FLOAT_CONVERSION(name, source, int32, int32_t, magnitude, saturated_integer)                                             \
    FLOAT_CONVERSION(name, source, int64, int64_t, magnitude, saturated_integer)                                             \
    FLOAT_CONVERSION(name, source, uint64, uint64_t, magnitude, saturated_unsigned)                                          \
    CONVERSION(name, source, bool, uint8_t, v != 0)

CONVERSIONS_OF_FLOATS(float, float, fabsf)
CONVERSIONS_OF_FLOATS(double, double, fabs)
CONVERSIONS_OF_INTEGERS(int8, int8_t)
CONVERSIONS_OF_INTEGERS(int16, int16_t)
CONVERSIONS_OF_INTEGERS(int32, int32_t)
CONVERSIONS_OF_INTEGERS(int64, int64_t)
CONVERSIONS_OF_INTEGERS(uint8, uint8_t)
CONVERSIONS_OF_INTEGERS(uint16, uint16_t)
CONVERSIONS_OF_INTEGERS(uint32, uint32_t)
CONVERSIONS_OF_INTEGERS(uint64, uint64_t)

// What lies in an integer's lowest bits doesn't depend on its sign, so that targets without one are those with one of the same size.
#define CONVERSIONS_FROM(name, to_uint64)                                                                                    \
    {                                                                                                                        \
        ck_convert_##name##_float, ck_convert_##name##_double, ck_convert_##name##_int8, ck_convert_##name##_int16,                      \
            ck_convert_##name##_int32, ck_convert_##name##_int64, ck_convert_##name##_int8, ck_convert_##name##_int16,                   \
            ck_convert_##name##_int32, ck_convert_##name##_##to_uint64, ck_convert_##name##_bool,                                     \
    }

ck_conversion ck_conversion_of(ck_number_type source, ck_number_type target) {
    static const ck_conversion conversions[][CK_BOOL + 1] = {
        CONVERSIONS_FROM(float, uint64), CONVERSIONS_FROM(double, uint64), CONVERSIONS_FROM(int8, int64),
        CONVERSIONS_FROM(int16, int64),  CONVERSIONS_FROM(int32, int64),   CONVERSIONS_FROM(int64, int64),
        CONVERSIONS_FROM(uint8, int64),  CONVERSIONS_FROM(uint16, int64),  CONVERSIONS_FROM(uint32, int64),
        CONVERSIONS_FROM(uint64, int64),
    };
    return conversions[source][target];
}
