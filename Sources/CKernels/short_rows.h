// Copies of rows of a few numbers.
#pragma once

#include "vector_math.h"

typedef float lanes2 __attribute__((ext_vector_type(2), aligned(4), may_alias));
typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4), may_alias));
typedef float lanes8 __attribute__((ext_vector_type(8), aligned(4), may_alias));

// Rows are short, so that a library's copy would take longer to begin than to copy: whole vectors, the last of which may overlap the one
// before.
VECTOR_INLINE void copy_row(const float *source, float *target, ptrdiff_t n) {
    if (n >= VECTOR_LANES) {
        for (ptrdiff_t i = 0; i < n - VECTOR_LANES; i += VECTOR_LANES) VECTOR_AT(target + i) = VECTOR_CONST_AT(source + i);
        VECTOR_AT(target + n - VECTOR_LANES) = VECTOR_CONST_AT(source + n - VECTOR_LANES);
    } else if (n >= 8) {
        const lanes8 last = *(const lanes8 *)(source + n - 8);
        *(lanes8 *)target = *(const lanes8 *)source;
        *(lanes8 *)(target + n - 8) = last;
    } else if (n >= 4) {
        const lanes4 last = *(const lanes4 *)(source + n - 4);
        *(lanes4 *)target = *(const lanes4 *)source;
        *(lanes4 *)(target + n - 4) = last;
    } else {
        // Not a loop, of which a compiler would make a library's copy.
        if (n & 2) *(lanes2 *)target = *(const lanes2 *)source;
        if (n & 1) target[n - 1] = source[n - 1];
    }
}
