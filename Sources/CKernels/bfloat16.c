#include "include/bfloat16.h"

#include <stdlib.h>

#include "include/amx.h"
#include "pairs.h"
#include "tile.h"
#include "transpose.h"
#include "vector_math.h"

static int pairs_are_forced(void) {
    const char *wanted = getenv("SD_ONNX_CPU");
    return wanted && strstr(wanted, "+bf16") != NULL;
}

#if defined(__x86_64__)
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

TARGET_BFLOAT16 static void try_instruction(void) {
    __m512 sum = _mm512_setzero_ps();
    __m512bh pairs = (__m512bh)_mm512_setzero_si512();
    __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(pairs));
}

// Whether the instruction runs, found out in a process that it may end.
static int instruction_runs(void) {
    pid_t child = fork();
    if (child == 0) {
        // No handler of the parent's reports what is expected here.
        signal(SIGILL, SIG_DFL);
        try_instruction();
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int detect_instruction(void) {
    __builtin_cpu_init();
    if (ck_level() != CK_LEVEL_AVX512 || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq")) return 0;
    return __builtin_cpu_supports("avx512bf16") || (pairs_are_forced() && instruction_runs());
}
#else
static int detect_instruction(void) { return 0; }
#endif

int ck_has_pair_instruction(void) {
    static int has = -1;
    // Every thread finds the same, so a race is harmless.
    int known = __atomic_load_n(&has, __ATOMIC_RELAXED);
    if (known < 0) {
        known = detect_instruction();
        __atomic_store_n(&has, known, __ATOMIC_RELAXED);
    }
    return known;
}

int ck_multiplies_pairs(void) {
    if (ck_has_amx()) return 1;
    const char *wanted = getenv("SD_ONNX_CPU");
    if (pairs_are_forced() || (wanted && *wanted)) return pairs_are_forced();
#if defined(__x86_64__)
    return ck_has_pair_instruction() && !__builtin_cpu_is("intel");
#else
    return 0;
#endif
}

int ck_rounds_all(void) {
    const char *wanted = getenv("SD_ONNX_CPU");
    return pairs_are_forced() || (wanted && (strstr(wanted, "+amx") || strstr(wanted, "+vnni")));
}

void ck_gemm_pairs_apart(int rows, int count, TILE_PARAMETERS);

// The pairs taken apart, in the processor's order: the upper half first. The first `count` of a tile's columns are written.
VECTOR_INLINE void tile_apart(const int columns, int rows, int count, TILE_PARAMETERS) {
    (void)ahead, (void)ahead_step;
    for (int i = 0; i < rows; i++) {
        float sum[32];
        for (int j = 0; j < columns; j++) sum[j] = start && j < count ? start[i * start_step + j] : 0;
        for (ptrdiff_t p = 0; p < k; p++) {
            const uint32_t factor = float_to_bits(a[p * a_step + i]);
            for (int j = 0; j < columns; j++) {
                const uint32_t pair = float_to_bits(b[p * columns + j]);
                sum[j] += high_of(factor) * high_of(pair);
                sum[j] += low_of(factor) * low_of(pair);
            }
        }
        for (int j = 0; j < count; j++) c[i * ldc + j] = sum[j];
    }
}

CK_KERNEL(void, ck_gemm_pairs_apart, (int rows, int count, TILE_PARAMETERS), (rows, count, TILE_ARGUMENTS)) {
    switch (ck_gemm_tile(ck_level()).columns) {
    case 32: return tile_apart(32, rows, count, TILE_ARGUMENTS);
    case 16: return tile_apart(16, rows, count, TILE_ARGUMENTS);
    default: return tile_apart(8, rows, count, TILE_ARGUMENTS);
    }
}

#if defined(__x86_64__)
#define TILE_NAME tile_bfloat16
#define TILE_TARGET TARGET_BFLOAT16
#define MULTIPLY_ADD(sum, factor, row) _mm512_dpbf16_ps(sum, (__m512bh)(factor), (__m512bh)(row))
#include "tile_512.h"

TARGET_BFLOAT16 static void kernel_bfloat16(int rows, TILE_PARAMETERS) {
    UP_TO_14_ROWS(tile_bfloat16, 2, 0xffff, 1, 0, TILE_ARGUMENTS)
}

TARGET_BFLOAT16 static void reading_kernel_bfloat16(int rows, TILE_PARAMETERS) {
    UP_TO_14_ROWS(tile_bfloat16, 2, 0xffff, 1, 1, TILE_ARGUMENTS)
}

TARGET_BFLOAT16 VECTOR_INLINE void edge_rows_bfloat16(int rows, const int vectors, const __mmask16 last, TILE_PARAMETERS) {
    UP_TO_14_ROWS(tile_bfloat16, vectors, last, 1, 0, TILE_ARGUMENTS)
}

TARGET_BFLOAT16 static void edge_bfloat16(int rows, int columns, TILE_PARAMETERS) {
    if (columns > 16) return edge_rows_bfloat16(rows, 2, lanes_of_last_16(columns), TILE_ARGUMENTS);
    edge_rows_bfloat16(rows, 1, lanes_of_last_16(columns), TILE_ARGUMENTS);
}
#endif

void ck_gemm_pairs_kernel(int level, int rows, TILE_PARAMETERS) {
    (void)level;
#if defined(__x86_64__)
    if (ck_has_pair_instruction())
        return ahead ? reading_kernel_bfloat16(rows, TILE_ARGUMENTS) : kernel_bfloat16(rows, TILE_ARGUMENTS);
#endif
    ck_gemm_pairs_apart(rows, ck_gemm_tile(ck_level()).columns, TILE_ARGUMENTS);
}

void ck_gemm_pairs_edge_kernel(
    int rows, int columns, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b, const float *start, ptrdiff_t start_step,
    float *c, ptrdiff_t ldc) {
    const float *ahead = NULL;
    const ptrdiff_t ahead_step = 0;
#if defined(__x86_64__)
    if (ck_has_pair_instruction()) return edge_bfloat16(rows, columns, TILE_ARGUMENTS);
#endif
    ck_gemm_pairs_apart(rows, columns, TILE_ARGUMENTS);
}

CK_KERNEL(
    void, ck_widen_pairs, (const float *pairs, ptrdiff_t rows, int columns, float *numbers), (pairs, rows, columns, numbers)) {
    for (ptrdiff_t p = 0; p < rows; p++) {
        const float *row = pairs + p * columns;
        float *low = numbers + 2 * p * columns, *high = low + columns;
        // As far ahead as the kernels read, 4 KB.
        for (int j = 0; j < columns; j += 16) __builtin_prefetch(row + 1024 + j, 0, 3);
        VECTOR_LOOP
        for (int j = 0; j < columns; j++) {
            const uint32_t pair = float_to_bits(row[j]);
            low[j] = low_of(pair);
            high[j] = high_of(pair);
        }
    }
}

// Pairs of a row that are turned into columns at a time.
enum { CHUNK = 64 };

// The body of ck_pack_row_pairs(), by a function that rounds a row.
#define PACK_ROW_PAIRS(lanes, pair)                                                                                                 \
    do {                                                                                                                            \
        float pairs[lanes * CHUNK];                                                                                                 \
        for (int i = 0; i < rows; i += lanes) {                                                                                     \
            const int part = count - i < 0 ? 0 : count - i > lanes ? lanes : count - i;                                             \
            for (ptrdiff_t first = 0; first < k; first += 2 * CHUNK) {                                                              \
                const ptrdiff_t numbers = k - first < 2 * CHUNK ? k - first : 2 * CHUNK;                                            \
                for (int row = 0; row < part; row++)                                                                                \
                    pair(a + (i + row) * row_step + first, numbers, factor, pairs + row * CHUNK);                                   \
                transpose_rows_##lanes(pairs, CHUNK, (numbers + 1) / 2, part, rows, panel + first / 2 * rows + i);                  \
            }                                                                                                                       \
        }                                                                                                                           \
    } while (0)

// The pairs of a row of numbers; of the last, if their count is odd, the upper half is zero.
VECTOR_INLINE void pair_row(const float *row, ptrdiff_t count, float factor, float *pairs) {
    VECTOR_LOOP
    for (ptrdiff_t p = 0; p < count / 2; p++) pairs[p] = bits_to_float(pair_of(row[2 * p] * factor, row[2 * p + 1] * factor));
    if (count % 2) pairs[count / 2] = bits_to_float(pair_of(row[count - 1] * factor, 0));
}

VECTOR_INLINE void ck_pack_row_pairs_apart_8(
    const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel) {
    PACK_ROW_PAIRS(8, pair_row);
}

VECTOR_INLINE void ck_pack_row_pairs_apart_16(
    const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel) {
    PACK_ROW_PAIRS(16, pair_row);
}

void ck_pack_row_pairs_apart(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel);

CK_KERNEL_BY_LANES(
    void, ck_pack_row_pairs_apart,
    (const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel),
    (a, row_step, k, count, rows, factor, panel))

void ck_pack_column_pairs_apart(
    const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float factor, float *panel, ptrdiff_t panel_step);

CK_KERNEL(
    void, ck_pack_column_pairs_apart,
    (const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float factor, float *panel, ptrdiff_t panel_step),
    (b, row_step, k, count, columns, factor, panel, panel_step)) {
    for (ptrdiff_t p = 0; p < k; p += 2) {
        const float *low = b + p * row_step;
        float *pairs = panel + p / 2 * panel_step;
        // Whole vectors, of which the next row's overwrites what is too much. The last rows may be the last numbers of the matrix, of
        // which two more rows, and the columns, must be as many as a vector reads.
        const int whole =
            count == columns && columns < VECTOR_LANES && 3 * columns >= VECTOR_LANES && panel_step == columns && p + 3 < k;
        pair_rows(low, p + 1 < k ? low + row_step : NULL, whole ? VECTOR_LANES : count, factor, pairs);
        if (!whole) for (int j = count; j < columns; j++) pairs[j] = 0;
    }
}

#if defined(__x86_64__)
// pair_row() by the processor's own rounding.
TARGET_BFLOAT16 VECTOR_INLINE void pair_row_by_instruction(const float *row, ptrdiff_t count, float factor, float *pairs) {
    const __m512 scale = _mm512_set1_ps(factor);
    ptrdiff_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m512 first = _mm512_mul_ps(scale, _mm512_loadu_ps(row + i)), second = _mm512_mul_ps(scale, _mm512_loadu_ps(row + i + 16));
        _mm512_storeu_si512(pairs + i / 2, (__m512i)_mm512_cvtne2ps_pbh(second, first));
    }
    if (i == count) return;
    const __m512 first = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first_lanes(count - i), row + i));
    const __m512 second = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first_lanes(count - i - 16), row + i + 16));
    _mm512_mask_storeu_epi32(pairs + i / 2, first_lanes((count - i + 1) / 2), (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

TARGET_BFLOAT16 static void pack_row_pairs_by_instruction(
    const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel) {
    PACK_ROW_PAIRS(16, pair_row_by_instruction);
}

TARGET_BFLOAT16 static void pack_column_pairs_by_instruction(
    const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float factor, float *panel, ptrdiff_t panel_step) {
    const __m512i order = order_of_pairs();
    for (ptrdiff_t p = 0; p < k; p += 2) {
        const float *low = b + p * row_step;
        pair_rows_by_instruction(low, p + 1 < k ? low + row_step : NULL, count, columns, factor, panel + p / 2 * panel_step, order);
    }
}
#endif

void ck_pack_row_pairs(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, int rows, float factor, float *panel) {
#if defined(__x86_64__)
    if (ck_has_pair_instruction()) return pack_row_pairs_by_instruction(a, row_step, k, count, rows, factor, panel);
#endif
    ck_pack_row_pairs_apart(a, row_step, k, count, rows, factor, panel);
}

void ck_pack_column_pairs(
    const float *b, ptrdiff_t row_step, ptrdiff_t k, int count, int columns, float factor, float *panel, ptrdiff_t panel_step) {
#if defined(__x86_64__)
    if (ck_has_pair_instruction())
        return pack_column_pairs_by_instruction(b, row_step, k, count, columns, factor, panel, panel_step);
#endif
    ck_pack_column_pairs_apart(b, row_step, k, count, columns, factor, panel, panel_step);
}
