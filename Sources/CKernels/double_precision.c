#include "include/double_precision.h"

#include "wide_math.h"

#define CK_WIDE_UNARY(name, expression)                                                                                      \
    CK_KERNEL(void, name, (const double *x, double *y, ptrdiff_t n), (x, y, n)) {                                            \
        WIDE_LOOP for (ptrdiff_t i = 0; i < n; i++) {                                                                        \
            const double v = x[i];                                                                                           \
            y[i] = (expression);                                                                                             \
        }                                                                                                                    \
    }

CK_WIDE_UNARY(ck_wide_exp, wide_exponential(v))
CK_WIDE_UNARY(ck_wide_log, wide_logarithm(v))
CK_WIDE_UNARY(ck_wide_tanh, wide_hyperbolic_tangent(v))
CK_WIDE_UNARY(ck_wide_sigmoid, 1.0 / (1.0 + wide_exponential(-v)))
CK_WIDE_UNARY(ck_wide_sqrt, __builtin_elementwise_sqrt(v))
CK_WIDE_UNARY(ck_wide_reciprocal, 1.0 / v)
CK_WIDE_UNARY(ck_wide_abs, fabs(v))
CK_WIDE_UNARY(ck_wide_neg, -v)
CK_WIDE_UNARY(ck_wide_floor, floor(v))
CK_WIDE_UNARY(ck_wide_ceil, ceil(v))
CK_WIDE_UNARY(ck_wide_round_even, rint(v))
CK_WIDE_UNARY(ck_wide_relu, v < 0.0 ? 0.0 : v)
