#include "include/gemm.h"

#include <stdlib.h>

#include "transpose.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static int detect_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int level = CK_LEVEL_PLAIN;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) level = CK_LEVEL_AVX2;
    if (level == CK_LEVEL_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) level = CK_LEVEL_AVX512;
    const char *wanted = getenv("SD_ONNX_CPU");
    if (wanted && strcmp(wanted, "plain") == 0) level = CK_LEVEL_PLAIN;
    if (wanted && strcmp(wanted, "avx2") == 0 && level > CK_LEVEL_AVX2) level = CK_LEVEL_AVX2;
    return level;
#else
    return CK_LEVEL_PLAIN;
#endif
}

int ck_level(void) {
    static int level = -1;
    // Every thread computes the same number, so a race is harmless.
    int known = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (known < 0) {
        known = detect_level();
        __atomic_store_n(&level, known, __ATOMIC_RELAXED);
    }
    return known;
}

ck_tile ck_gemm_tile(int level) {
    // As many accumulators as registers allow beside a row of B and an element of A.
    switch (level) {
    case CK_LEVEL_AVX512: return (ck_tile){14, 32};
    case CK_LEVEL_AVX2: return (ck_tile){6, 16};
    default: return (ck_tile){4, 8};
    }
}

typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4), may_alias));

static void kernel_plain(ptrdiff_t k, const float *a, const float *b, float *c, ptrdiff_t ldc, int accumulate) {
    lanes4 sum[4][2];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++) sum[i][j] = accumulate ? *(lanes4 *)(c + i * ldc + 4 * j) : (lanes4)0;
    for (ptrdiff_t p = 0; p < k; p++) {
        lanes4 low = *(const lanes4 *)(b + 8 * p);
        lanes4 high = *(const lanes4 *)(b + 8 * p + 4);
        for (int i = 0; i < 4; i++) {
            lanes4 factor = a[4 * p + i];
            sum[i][0] += factor * low;
            sum[i][1] += factor * high;
        }
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++) *(lanes4 *)(c + i * ldc + 4 * j) = sum[i][j];
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void kernel_avx2(
    ptrdiff_t k, const float *a, const float *b, float *c, ptrdiff_t ldc, int accumulate) {
    __m256 sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < 6; i++) {
        sum[i][0] = accumulate ? _mm256_loadu_ps(c + i * ldc) : _mm256_setzero_ps();
        sum[i][1] = accumulate ? _mm256_loadu_ps(c + i * ldc + 8) : _mm256_setzero_ps();
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        __m256 low = _mm256_loadu_ps(b);
        __m256 high = _mm256_loadu_ps(b + 8);
        _mm_prefetch((const char *)(b + 128), _MM_HINT_T0);
#pragma clang loop unroll(full)
        for (int i = 0; i < 6; i++) {
            __m256 factor = _mm256_broadcast_ss(a + i);
            sum[i][0] = _mm256_fmadd_ps(factor, low, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(factor, high, sum[i][1]);
        }
        a += 6;
        b += 16;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 6; i++) {
        _mm256_storeu_ps(c + i * ldc, sum[i][0]);
        _mm256_storeu_ps(c + i * ldc + 8, sum[i][1]);
    }
}

__attribute__((target("avx512f,avx512vl"))) static void kernel_avx512(
    ptrdiff_t k, const float *a, const float *b, float *c, ptrdiff_t ldc, int accumulate) {
    __m512 sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < 14; i++) {
        sum[i][0] = accumulate ? _mm512_loadu_ps(c + i * ldc) : _mm512_setzero_ps();
        sum[i][1] = accumulate ? _mm512_loadu_ps(c + i * ldc + 16) : _mm512_setzero_ps();
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        __m512 low = _mm512_loadu_ps(b);
        __m512 high = _mm512_loadu_ps(b + 16);
        // Panels of B come from the second or third level of the cache: eight rows ahead is some 100 cycles.
        _mm_prefetch((const char *)(b + 256), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + 272), _MM_HINT_T0);
#pragma clang loop unroll(full)
        for (int i = 0; i < 14; i++) {
            __m512 factor = _mm512_set1_ps(a[i]);
            sum[i][0] = _mm512_fmadd_ps(factor, low, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(factor, high, sum[i][1]);
        }
        a += 14;
        b += 32;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 14; i++) {
        _mm512_storeu_ps(c + i * ldc, sum[i][0]);
        _mm512_storeu_ps(c + i * ldc + 16, sum[i][1]);
    }
}
#endif

void ck_gemm_kernel(int level, ptrdiff_t k, const float *a, const float *b, float *c, ptrdiff_t ldc, int accumulate) {
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512) return kernel_avx512(k, a, b, c, ldc, accumulate);
    if (level == CK_LEVEL_AVX2) return kernel_avx2(k, a, b, c, ldc, accumulate);
#endif
    kernel_plain(k, a, b, c, ldc, accumulate);
}

#define PACK_ROWS(lanes)                                                                                                            \
    VECTOR_INLINE void ck_pack_rows_##lanes(                                                                                        \
        const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float *panel) {                                       \
        for (int i = 0; i < rows; i += lanes) {                                                                                     \
            int part = count - i < 0 ? 0 : count - i > lanes ? lanes : count - i;                                                   \
            transpose_rows_##lanes(a + i * row_step, row_step, k, part, rows, panel + i);                                           \
        }                                                                                                                           \
    }
PACK_ROWS(8)
PACK_ROWS(16)
#undef PACK_ROWS

CK_KERNEL_BY_LANES(
    void, ck_pack_rows, (const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float *panel),
    (a, row_step, k, count, rows, panel))

CK_KERNEL(
    void, ck_pack_columns, (const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float *panel),
    (b, row_step, k, count, columns, panel)) {
    if (count == columns && columns % VECTOR_LANES == 0) {
        for (ptrdiff_t p = 0; p < k; p++)
            for (int j = 0; j < columns; j += VECTOR_LANES)
                VECTOR_AT(panel + p * columns + j) = VECTOR_CONST_AT(b + p * row_step + j);
        return;
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        for (int j = 0; j < count; j++) panel[p * columns + j] = b[p * row_step + j];
        for (int j = count; j < columns; j++) panel[p * columns + j] = 0;
    }
}
