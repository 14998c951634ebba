#include "include/gemm.h"

#include <stdlib.h>

#include "tile.h"
#include "transpose.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Whether SD_ONNX_CPU names this level, with bf16 in pairs or without.
static int is_wanted(const char *name) {
    const char *wanted = getenv("SD_ONNX_CPU");
    const size_t length = strlen(name);
    return wanted && strncmp(wanted, name, length) == 0 && (wanted[length] == 0 || wanted[length] == '+');
}

static int detect_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int level = CK_LEVEL_PLAIN;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) level = CK_LEVEL_AVX2;
    if (level == CK_LEVEL_AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) level = CK_LEVEL_AVX512;
    if (is_wanted("plain")) level = CK_LEVEL_PLAIN;
    if (is_wanted("avx2") && level > CK_LEVEL_AVX2) level = CK_LEVEL_AVX2;
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

// Each body has the number of rows as a constant in every copy, so that its sums are registers. Element i of column p of A is
// a[p * a_step + i], or of matrices that aren't packed, a[i * a_step + p].
VECTOR_INLINE void tile_plain(const int rows, const int is_packed, TILE_PARAMETERS) {
    lanes4 sum[4][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 2; j++) sum[i][j] = start ? *(const lanes4 *)(start + i * start_step + 4 * j) : (lanes4)0;
    for (ptrdiff_t p = 0; p < k; p++) {
        lanes4 low = *(const lanes4 *)(b + 8 * p);
        lanes4 high = *(const lanes4 *)(b + 8 * p + 4);
        for (int i = 0; i < rows; i++) {
            lanes4 factor = is_packed ? a[p * a_step + i] : a[i * a_step + p];
            sum[i][0] += factor * low;
            sum[i][1] += factor * high;
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < 2; j++) *(lanes4 *)(c + i * ldc + 4 * j) = sum[i][j];
}

// The first columns of a tile alone; the plain level is no place for speed.
static void edge_plain(int rows, int columns, int is_packed, TILE_PARAMETERS) {
    (void)ahead, (void)ahead_step;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            float sum = start ? start[i * start_step + j] : 0;
            for (ptrdiff_t p = 0; p < k; p++) sum += (is_packed ? a[p * a_step + i] : a[i * a_step + p]) * b[8 * p + j];
            c[i * ldc + j] = sum;
        }
}

VECTOR_INLINE void rows_plain(int rows, const int is_packed, TILE_PARAMETERS) {
    switch (rows) {
    case 1: return tile_plain(1, is_packed, TILE_ARGUMENTS);
    case 2: return tile_plain(2, is_packed, TILE_ARGUMENTS);
    case 3: return tile_plain(3, is_packed, TILE_ARGUMENTS);
    default: return tile_plain(4, is_packed, TILE_ARGUMENTS);
    }
}

static void kernel_plain(int rows, TILE_PARAMETERS) { rows_plain(rows, 1, TILE_ARGUMENTS); }
static void unpacked_plain(int rows, TILE_PARAMETERS) { rows_plain(rows, 0, TILE_ARGUMENTS); }

#if defined(__x86_64__)
// Whole vectors, or the lanes of a mask.
CK_TARGET_AVX2 VECTOR_INLINE __m256 load_avx2(const float *numbers, const int is_whole, __m256i lanes) {
    return is_whole ? _mm256_loadu_ps(numbers) : _mm256_maskload_ps(numbers, lanes);
}

CK_TARGET_AVX2 VECTOR_INLINE void store_avx2(float *numbers, const int is_whole, __m256i lanes, __m256 value) {
    if (is_whole)
        _mm256_storeu_ps(numbers, value);
    else
        _mm256_maskstore_ps(numbers, lanes, value);
}

// Both vectors of columns, or the first `vectors` with the lanes of a mask in the last one.
CK_TARGET_AVX2 VECTOR_INLINE void tile_avx2(
    const int rows, const int vectors, const int is_whole, __m256i lanes, const int is_packed, const int reads_ahead,
    TILE_PARAMETERS) {
    __m256 sum[6][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = start ? load_avx2(start + i * start_step + 8 * j, is_whole || j + 1 < vectors, lanes) : _mm256_setzero_ps();
    for (ptrdiff_t p = 0; p < k; p++) {
        __m256 low = _mm256_loadu_ps(b);
        __m256 high = vectors == 2 ? _mm256_loadu_ps(b + 8) : low;
        _mm_prefetch((const char *)(b + 128), _MM_HINT_T0);
        if (reads_ahead) {
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
            ahead += ahead_step;
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m256 factor = _mm256_broadcast_ss(is_packed ? a + i : a + i * a_step);
            sum[i][0] = _mm256_fmadd_ps(factor, low, sum[i][0]);
            if (vectors == 2) sum[i][1] = _mm256_fmadd_ps(factor, high, sum[i][1]);
        }
        a += is_packed ? a_step : 1;
        b += 16;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) store_avx2(c + i * ldc + 8 * j, is_whole || j + 1 < vectors, lanes, sum[i][j]);
}

CK_TARGET_AVX2 VECTOR_INLINE void rows_avx2(
    int rows, const int vectors, const int is_whole, __m256i lanes, const int is_packed, const int reads_ahead, TILE_PARAMETERS) {
    switch (rows) {
    case 1: return tile_avx2(1, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    case 2: return tile_avx2(2, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    case 3: return tile_avx2(3, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    case 4: return tile_avx2(4, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    case 5: return tile_avx2(5, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    default: return tile_avx2(6, vectors, is_whole, lanes, is_packed, reads_ahead, TILE_ARGUMENTS);
    }
}

#define WHOLE_AVX2 2, 1, _mm256_setzero_si256()
CK_TARGET_AVX2 static void kernel_avx2(int rows, TILE_PARAMETERS) { rows_avx2(rows, WHOLE_AVX2, 1, 0, TILE_ARGUMENTS); }
CK_TARGET_AVX2 static void reading_kernel_avx2(int rows, TILE_PARAMETERS) { rows_avx2(rows, WHOLE_AVX2, 1, 1, TILE_ARGUMENTS); }
CK_TARGET_AVX2 static void unpacked_avx2(int rows, TILE_PARAMETERS) { rows_avx2(rows, WHOLE_AVX2, 0, 0, TILE_ARGUMENTS); }

CK_TARGET_AVX2 static void edge_avx2(int rows, int columns, int is_packed, TILE_PARAMETERS) {
    const int part = columns > 8 ? columns - 8 : columns;
    const __m256i lanes = _mm256_cmpgt_epi32(_mm256_set1_epi32(part), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    if (columns > 8 && is_packed) return rows_avx2(rows, 2, 0, lanes, 1, 0, TILE_ARGUMENTS);
    if (columns > 8) return rows_avx2(rows, 2, 0, lanes, 0, 0, TILE_ARGUMENTS);
    if (is_packed) return rows_avx2(rows, 1, 0, lanes, 1, 0, TILE_ARGUMENTS);
    rows_avx2(rows, 1, 0, lanes, 0, 0, TILE_ARGUMENTS);
}

#define TILE_NAME tile_avx512
#define TILE_TARGET CK_TARGET_AVX512
#define MULTIPLY_ADD(sum, factor, row) _mm512_fmadd_ps(factor, row, sum)
#include "tile_512.h"

CK_TARGET_AVX512 VECTOR_INLINE void rows_avx512(
    int rows, const int vectors, const __mmask16 last, const int is_packed, const int reads_ahead, TILE_PARAMETERS) {
    UP_TO_14_ROWS(tile_avx512, vectors, last, is_packed, reads_ahead, TILE_ARGUMENTS)
}

CK_TARGET_AVX512 static void kernel_avx512(int rows, TILE_PARAMETERS) { rows_avx512(rows, 2, 0xffff, 1, 0, TILE_ARGUMENTS); }
CK_TARGET_AVX512 static void reading_kernel_avx512(int rows, TILE_PARAMETERS) { rows_avx512(rows, 2, 0xffff, 1, 1, TILE_ARGUMENTS); }
CK_TARGET_AVX512 static void unpacked_avx512(int rows, TILE_PARAMETERS) { rows_avx512(rows, 2, 0xffff, 0, 0, TILE_ARGUMENTS); }

CK_TARGET_AVX512 static void edge_avx512(int rows, int columns, int is_packed, TILE_PARAMETERS) {
    const __mmask16 last = lanes_of_last_16(columns);
    if (columns > 16 && is_packed) return rows_avx512(rows, 2, last, 1, 0, TILE_ARGUMENTS);
    if (columns > 16) return rows_avx512(rows, 2, last, 0, 0, TILE_ARGUMENTS);
    if (is_packed) return rows_avx512(rows, 1, last, 1, 0, TILE_ARGUMENTS);
    rows_avx512(rows, 1, last, 0, 0, TILE_ARGUMENTS);
}
#endif

void ck_gemm_kernel(int level, int rows, TILE_PARAMETERS) {
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512) return ahead ? reading_kernel_avx512(rows, TILE_ARGUMENTS) : kernel_avx512(rows, TILE_ARGUMENTS);
    if (level == CK_LEVEL_AVX2) return ahead ? reading_kernel_avx2(rows, TILE_ARGUMENTS) : kernel_avx2(rows, TILE_ARGUMENTS);
#endif
    kernel_plain(rows, TILE_ARGUMENTS);
}

void ck_gemm_unpacked_kernel(
    int level, int rows, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step,
    float *c, ptrdiff_t ldc) {
    const float *ahead = NULL;
    const ptrdiff_t ahead_step = 0;
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512) return unpacked_avx512(rows, TILE_ARGUMENTS);
    if (level == CK_LEVEL_AVX2) return unpacked_avx2(rows, TILE_ARGUMENTS);
#endif
    unpacked_plain(rows, TILE_ARGUMENTS);
}

void ck_gemm_edge_kernel(
    int level, int rows, int columns, int is_packed, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b,
    const float *start, ptrdiff_t start_step, float *c, ptrdiff_t ldc) {
    const float *ahead = NULL;
    const ptrdiff_t ahead_step = 0;
#if defined(__x86_64__)
    if (level == CK_LEVEL_AVX512) return edge_avx512(rows, columns, is_packed, TILE_ARGUMENTS);
    if (level == CK_LEVEL_AVX2) return edge_avx2(rows, columns, is_packed, TILE_ARGUMENTS);
#endif
    edge_plain(rows, columns, is_packed, TILE_ARGUMENTS);
}

void ck_prefetch_rows(const float *first, ptrdiff_t row_step, ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t row = 0; row < rows; row++)
        // Into the second level of the cache, a line of 16 floats at a time.
        for (ptrdiff_t column = 0; column < columns; column += 16) __builtin_prefetch(first + row * row_step + column, 0, 2);
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
    void, ck_pack_columns,
    (const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float *panel, ptrdiff_t panel_step),
    (b, row_step, k, count, columns, panel, panel_step)) {
    if (count == columns && columns % VECTOR_LANES == 0) {
        for (ptrdiff_t p = 0; p < k; p++)
            for (int j = 0; j < columns; j += VECTOR_LANES)
                VECTOR_AT(panel + p * panel_step + j) = VECTOR_CONST_AT(b + p * row_step + j);
        return;
    }
    ptrdiff_t p = 0;
    // Whole vectors, of which the next row's overwrites what is too much; the last row may be the last numbers of the matrix.
    if (count == columns && columns > VECTOR_LANES / 2 && columns < VECTOR_LANES && panel_step == columns)
        for (; p + 1 < k; p++) VECTOR_AT(panel + p * columns) = VECTOR_CONST_AT(b + p * row_step);
    for (; p < k; p++) {
        for (int j = 0; j < count; j++) panel[p * panel_step + j] = b[p * row_step + j];
        for (int j = count; j < columns; j++) panel[p * panel_step + j] = 0;
    }
}

// The dot products of a with a few rows of b: a is read once for all of them, and their chains of sums don't wait for each other.
VECTOR_INLINE void dot_rows(const int rows, const float *a, ptrdiff_t k, const float *b, ptrdiff_t row_step, float *dots) {
    vector_f32 sums[4][2];
    for (int j = 0; j < rows; j++) sums[j][0] = sums[j][1] = (vector_f32){0};
    ptrdiff_t p = 0;
    for (; p + 2 * VECTOR_LANES <= k; p += 2 * VECTOR_LANES)
        for (int i = 0; i < 2; i++) {
            const vector_f32 part = VECTOR_CONST_AT(a + p + i * VECTOR_LANES);
            for (int j = 0; j < rows; j++) sums[j][i] += part * VECTOR_CONST_AT(b + j * row_step + p + i * VECTOR_LANES);
        }
    for (; p + VECTOR_LANES <= k; p += VECTOR_LANES)
        for (int j = 0; j < rows; j++) sums[j][0] += VECTOR_CONST_AT(a + p) * VECTOR_CONST_AT(b + j * row_step + p);
    for (int j = 0; j < rows; j++) {
        float lanes[VECTOR_LANES];
        VECTOR_AT(lanes) = sums[j][0] + sums[j][1];
        float sum = lanes_sum(lanes);
        for (ptrdiff_t last = p; last < k; last++) sum += a[last] * b[j * row_step + last];
        dots[j] = sum;
    }
}

CK_KERNEL(
    void, ck_dot_rows, (const float *a, ptrdiff_t k, const float *b, ptrdiff_t row_step, ptrdiff_t count, float *dots),
    (a, k, b, row_step, count, dots)) {
    ptrdiff_t j = 0;
    for (; j + 4 <= count; j += 4) dot_rows(4, a, k, b + j * row_step, row_step, dots + j);
    for (; j < count; j++) dot_rows(1, a, k, b + j * row_step, row_step, dots + j);
}

// Rows that are added at once: as many streams of memory.
enum { WEIGHTED_ROWS = 8 };

VECTOR_INLINE void add_weighted_rows(
    const int rows, const float *weights, const float *b, ptrdiff_t row_step, ptrdiff_t n, float *y) {
    VECTOR_LOOP for (ptrdiff_t j = 0; j < n; j++) {
        // In the order of the packed kernels, so that the same sums leave the range on the way.
        float sum = y[j];
        for (int i = 0; i < rows; i++) sum += weights[i] * b[i * row_step + j];
        y[j] = sum;
    }
}

CK_KERNEL(
    void, ck_add_weighted_rows,
    (const float *a, ptrdiff_t a_step, ptrdiff_t k, float factor, const float *b, ptrdiff_t row_step, ptrdiff_t n, float *y),
    (a, a_step, k, factor, b, row_step, n, y)) {
    // Columns whose sums stay in the first-level cache.
    enum { BLOCK = 2048 };
    for (ptrdiff_t first = 0; first < n; first += BLOCK) {
        const ptrdiff_t count = n - first < BLOCK ? n - first : BLOCK;
        ptrdiff_t p = 0;
        for (; p + WEIGHTED_ROWS <= k; p += WEIGHTED_ROWS) {
            float weights[WEIGHTED_ROWS];
            for (int i = 0; i < WEIGHTED_ROWS; i++) weights[i] = factor * a[(p + i) * a_step];
            add_weighted_rows(WEIGHTED_ROWS, weights, b + p * row_step + first, row_step, count, y + first);
        }
        for (; p < k; p++) {
            const float weight = factor * a[p * a_step];
            add_weighted_rows(1, &weight, b + p * row_step + first, row_step, count, y + first);
        }
    }
}

// The columns of up to four panels at once, whose chains of sums don't wait for each other.
VECTOR_INLINE void row_product(
    const int panels, const int vectors, const float *a, ptrdiff_t k, const float *b, ptrdiff_t step, const float *start,
    float *y) {
    vector_f32 sum[4][2];
    for (int i = 0; i < panels; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = start ? VECTOR_CONST_AT(start + (i * vectors + v) * VECTOR_LANES) : (vector_f32){0};
    for (ptrdiff_t p = 0; p < k; p++, b += vectors * VECTOR_LANES)
        for (int i = 0; i < panels; i++)
            for (int v = 0; v < vectors; v++) sum[i][v] += a[p] * VECTOR_CONST_AT(b + i * step + v * VECTOR_LANES);
    for (int i = 0; i < panels; i++)
        for (int v = 0; v < vectors; v++) VECTOR_AT(y + (i * vectors + v) * VECTOR_LANES) = sum[i][v];
}

VECTOR_INLINE void row_products(
    const int vectors, const float *a, ptrdiff_t k, const float *b, ptrdiff_t count, const float *start, float *y) {
    const ptrdiff_t columns = vectors * VECTOR_LANES, step = k * columns;
    ptrdiff_t i = 0;
    for (; i + 4 <= count; i += 4)
        row_product(4, vectors, a, k, b + i * step, step, start ? start + i * columns : 0, y + i * columns);
    for (; i < count; i++)
        row_product(1, vectors, a, k, b + i * step, step, start ? start + i * columns : 0, y + i * columns);
}

CK_KERNEL(
    void, ck_row_product,
    (const float *a, ptrdiff_t k, const float *panels, int columns, ptrdiff_t count, const float *start, float *y),
    (a, k, panels, columns, count, start, y)) {
    if (columns == VECTOR_LANES)
        row_products(1, a, k, panels, count, start, y);
    else
        row_products(2, a, k, panels, count, start, y);
}

CK_KERNEL(
    void, ck_add_rows, (const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step, ptrdiff_t rows, ptrdiff_t columns),
    (x, x_step, y, y_step, rows, columns)) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *source = x + row * x_step;
        float *target = y + row * y_step;
        VECTOR_LOOP for (ptrdiff_t i = 0; i < columns; i++) target[i] += source[i];
    }
}
