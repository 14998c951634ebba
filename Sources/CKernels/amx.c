#include "amx.h"

#include <stdlib.h>
#include <string.h>

#include "transpose.h"
#include "vector_math.h"

static int amx_is_forced(void) {
    const char *wanted = getenv("SD_ONNX_CPU");
    return wanted && strstr(wanted, "+amx") != NULL;
}

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's ABI, asm/prctl.h and "Using XSTATE features in user space applications": tiles' data is feature 18.
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

static int detect_amx(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    // AMX-BF16, AMX-TILE and AMX-INT8.
    const unsigned wanted = 1u << 22 | 1u << 24 | 1u << 25;
    if (ck_level() != CK_LEVEL_AVX512 || !ck_has_pair_instruction()) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & wanted) != wanted) return 0;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#else
static int detect_amx(void) { return 0; }
#endif

int ck_runs_amx(void) {
    static int runs = -1;
    // Every thread finds the same, so a race is harmless.
    int known = __atomic_load_n(&runs, __ATOMIC_RELAXED);
    if (known < 0) {
        const char *wanted = getenv("SD_ONNX_CPU");
        const int is_left_out = wanted && *wanted && !amx_is_forced();
        known = !is_left_out && detect_amx();
        __atomic_store_n(&runs, known, __ATOMIC_RELAXED);
    }
    return known;
}

// Right panels have as many columns as AVX-512 has them.
int ck_has_amx(void) { return ck_runs_amx() || (ck_level() == CK_LEVEL_AVX512 && amx_is_forced()); }

#if defined(__x86_64__)
TARGET_AMX static void begin(void) {
    // Palette 1, and for each of eight tiles its bytes in a row and its rows.
    struct __attribute__((packed)) {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.row_bytes[i] = 64, shapes.rows[i] = 16;
    _tile_loadconfig(&shapes);
}

TARGET_AMX static void end(void) { _tile_release(); }
#endif

void ck_amx_begin(void) {
#if defined(__x86_64__)
    if (ck_runs_amx()) begin();
#endif
}

void ck_amx_end(void) {
#if defined(__x86_64__)
    if (ck_runs_amx()) end();
#endif
}

// Numbers, and pairs, of a step: a tile's row.
enum { NUMBERS = 2 * CK_AMX_TILE, PAIRS = CK_AMX_TILE };

static ptrdiff_t steps_of(ptrdiff_t k) { return (k + NUMBERS - 1) / NUMBERS; }

ptrdiff_t ck_amx_left_size(ptrdiff_t k) { return steps_of(k) * CK_AMX_PANEL * PAIRS; }

// Rows of the tiles that so many rows fill or begin.
VECTOR_INLINE int whole_tiles(int rows) { return rows > CK_AMX_TILE ? CK_AMX_PANEL : CK_AMX_TILE; }

VECTOR_INLINE float pair_or_zero(const float *a, ptrdiff_t step, ptrdiff_t p, ptrdiff_t k, float factor) {
    return bits_to_float(pair_of(p < k ? a[p * step] * factor : 0, p + 1 < k ? a[(p + 1) * step] * factor : 0));
}

// For either side, by plain C: number p of row i is a[i * row_step + p * step].
static void pack_apart(const float *a, ptrdiff_t row_step, ptrdiff_t step, ptrdiff_t k, int count, float factor, float *panel) {
    const int rows = whole_tiles(count);
    for (ptrdiff_t s = 0; s < steps_of(k); s++)
        for (int i = 0; i < rows; i++)
            for (int p = 0; p < PAIRS; p++)
                panel[(s * CK_AMX_PANEL + i) * PAIRS + p] =
                    i < count ? pair_or_zero(a + i * row_step, step, s * NUMBERS + 2 * p, k, factor) : 0;
}

#if defined(__x86_64__)
TARGET_AMX static void pack_rows(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel) {
    const __m512 scale = _mm512_set1_ps(factor);
    const int rows = whole_tiles(count);
    for (int i = 0; i < rows; i++) {
        const float *row = a + i * row_step;
        float *target = panel + i * PAIRS;
        for (ptrdiff_t p = 0; p < k; p += NUMBERS, target += CK_AMX_PANEL * PAIRS) {
            __m512i pairs = _mm512_setzero_si512();
            if (i < count) {
                const __m512 low = _mm512_maskz_loadu_ps(first_lanes(k - p), row + p);
                const __m512 high = _mm512_maskz_loadu_ps(first_lanes(k - p - 16), row + p + 16);
                pairs = (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(scale, high), _mm512_mul_ps(scale, low));
            }
            _mm512_storeu_si512(target, pairs);
        }
    }
}

TARGET_AMX static void pack_columns(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel) {
    const __m512i order = order_of_pairs();
    float pairs[PAIRS * CK_AMX_TILE];
    for (ptrdiff_t first = 0; first < k; first += NUMBERS, panel += CK_AMX_PANEL * PAIRS) {
        for (int column = 0; column < whole_tiles(count); column += CK_AMX_TILE) {
            for (int p = 0; p < PAIRS; p++) {
                const ptrdiff_t number = first + 2 * p;
                const float *low = a + number * row_step + column;
                if (number < k)
                    pair_rows_by_instruction(
                        low, number + 1 < k ? low + row_step : NULL, count - column, CK_AMX_TILE, factor, pairs + p * CK_AMX_TILE, order);
                else
                    memset(pairs + p * CK_AMX_TILE, 0, CK_AMX_TILE * sizeof *pairs);
            }
            transpose_rows_16(pairs, CK_AMX_TILE, CK_AMX_TILE, PAIRS, PAIRS, panel + column * PAIRS);
        }
    }
}
#endif

void ck_amx_pack_rows(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel) {
#if defined(__x86_64__)
    if (ck_runs_amx()) return pack_rows(a, row_step, k, count, factor, panel);
#endif
    pack_apart(a, row_step, 1, k, count, factor, panel);
}

void ck_amx_pack_columns(const float *a, ptrdiff_t row_step, ptrdiff_t k, int count, float factor, float *panel) {
#if defined(__x86_64__)
    if (ck_runs_amx()) return pack_columns(a, row_step, k, count, factor, panel);
#endif
    pack_apart(a, 1, row_step, k, count, factor, panel);
}

#define PRODUCT_PARAMETERS                                                                                                   \
    ptrdiff_t pairs, const float *a, const float *b, const float *start, ptrdiff_t start_step, float *c, ptrdiff_t ldc,      \
        const float *ahead, ptrdiff_t ahead_step
#define PRODUCT_ARGUMENTS pairs, a, b, start, start_step, c, ldc, ahead, ahead_step

static void multiply_apart(int rows, PRODUCT_PARAMETERS) {
    (void)ahead, (void)ahead_step;
    for (int i = 0; i < rows; i++) {
        float sum[CK_AMX_PANEL];
        for (int j = 0; j < CK_AMX_PANEL; j++) sum[j] = start ? start[i * start_step + j] : 0;
        for (ptrdiff_t p = 0; p < pairs; p++) {
            const uint32_t factor = float_to_bits(a[(p / PAIRS * CK_AMX_PANEL + i) * PAIRS + p % PAIRS]);
            for (int j = 0; j < CK_AMX_PANEL; j++) {
                const uint32_t pair = float_to_bits(b[p * CK_AMX_PANEL + j]);
                sum[j] += low_of(factor) * low_of(pair);
                sum[j] += high_of(factor) * high_of(pair);
            }
        }
        for (int j = 0; j < CK_AMX_PANEL; j++) c[i * ldc + j] = sum[j];
    }
}

#if defined(__x86_64__)
// Floats of a step of the right factor.
enum { STEP = PAIRS * CK_AMX_PANEL };

// A step's rows of the right factor, of which there are `pairs`, with zeros behind them: zeros of the left factor mustn't meet what lies
// there, which may be no number.
static const float *whole_step(const float *b, ptrdiff_t pairs, float *step) {
    const size_t count = (size_t)pairs * CK_AMX_PANEL;
    memcpy(step, b, count * sizeof *step);
    memset(step + count, 0, (STEP - count) * sizeof *step);
    return step;
}

// The tiles of sums, from `start`, which is null for zeros.
TARGET_AMX VECTOR_INLINE void load_sums(const int is_double, const float *start, ptrdiff_t step) {
    if (start) {
        _tile_loadd(0, start, step * 4);
        _tile_loadd(1, start + CK_AMX_TILE, step * 4);
        if (is_double) {
            _tile_loadd(2, start + CK_AMX_TILE * step, step * 4);
            _tile_loadd(3, start + CK_AMX_TILE * step + CK_AMX_TILE, step * 4);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

TARGET_AMX VECTOR_INLINE void store_sums(const int is_double, float *c, ptrdiff_t step) {
    _tile_stored(0, c, step * 4);
    _tile_stored(1, c + CK_AMX_TILE, step * 4);
    if (is_double) {
        _tile_stored(2, c + CK_AMX_TILE * step, step * 4);
        _tile_stored(3, c + CK_AMX_TILE * step + CK_AMX_TILE, step * 4);
    }
}

TARGET_AMX VECTOR_INLINE void multiply_whole(const int is_double, PRODUCT_PARAMETERS) {
    load_sums(is_double, start, start_step);
    const ptrdiff_t steps = (pairs + PAIRS - 1) / PAIRS;
    const float *last = b + (steps - 1) * STEP;
    float rest[STEP];
    if (pairs % PAIRS) last = whole_step(last, pairs % PAIRS, rest);
    if (steps > 0) load_factors(is_double, a, steps > 1 ? b : last);
    for (ptrdiff_t s = 1; s <= steps; s++) {
        a += CK_AMX_PANEL * PAIRS;
        b += STEP;
        // The rows of the right factor of the step after the next one, which come from the second level of the cache.
        for (int i = 0; i < PAIRS; i++) {
            _mm_prefetch((const char *)(b + (PAIRS + i) * CK_AMX_PANEL), _MM_HINT_T0);
            _mm_prefetch((const char *)(b + (PAIRS + i) * CK_AMX_PANEL + CK_AMX_TILE), _MM_HINT_T0);
            if (ahead) {
                _mm_prefetch((const char *)ahead, _MM_HINT_T1);
                _mm_prefetch((const char *)(ahead + CK_AMX_TILE), _MM_HINT_T1);
                ahead += ahead_step;
            }
        }
        if (s < steps)
            multiply_and_load_factors(is_double, a, s + 1 < steps ? b : last);
        else
            multiply_factors(is_double);
    }
    store_sums(is_double, c, ldc);
}

TARGET_AMX static void multiply_double(PRODUCT_PARAMETERS) { multiply_whole(1, PRODUCT_ARGUMENTS); }
TARGET_AMX static void multiply_single(PRODUCT_PARAMETERS) { multiply_whole(0, PRODUCT_ARGUMENTS); }

static void multiply(int rows, PRODUCT_PARAMETERS) {
    if (rows > CK_AMX_TILE) multiply_double(PRODUCT_ARGUMENTS);
    else multiply_single(PRODUCT_ARGUMENTS);
}

// Rows that end within a tile are read from and written to a whole one.
static void multiply_edge(int rows, PRODUCT_PARAMETERS) {
    float whole[CK_AMX_PANEL * CK_AMX_PANEL];
    if (start && start_step) {
        for (int i = 0; i < whole_tiles(rows); i++)
            memcpy(whole + i * CK_AMX_PANEL, start + (i < rows ? i : 0) * start_step, CK_AMX_PANEL * sizeof *whole);
        start = whole;
        start_step = CK_AMX_PANEL;
    }
    multiply(rows, pairs, a, b, start, start_step, whole, CK_AMX_PANEL, ahead, ahead_step);
    for (int i = 0; i < rows; i++) memcpy(c + i * ldc, whole + i * CK_AMX_PANEL, CK_AMX_PANEL * sizeof *whole);
}
#endif

void ck_amx_multiply_pairs(int rows, PRODUCT_PARAMETERS) {
#if defined(__x86_64__)
    if (ck_runs_amx()) {
        if (rows % CK_AMX_TILE) multiply_edge(rows, PRODUCT_ARGUMENTS);
        else multiply(rows, PRODUCT_ARGUMENTS);
        return;
    }
#endif
    multiply_apart(rows, PRODUCT_ARGUMENTS);
}

#if defined(__x86_64__)
// Floats of 16 rows of sums, and of a step of a left panel.
enum { SUMS = CK_AMX_TILE * CK_AMX_PANEL, LEFT_SIZE = CK_AMX_PANEL * PAIRS };

// One step or two, whose right factor stays in tiles 4 to 7; that of the last one is `last`. One half of the columns is finished before
// the other, so that its sums are stored while the others are computed.
TARGET_AMX VECTOR_INLINE void multiply_narrow(
    const int is_double, ptrdiff_t rows, const float *a, ptrdiff_t panel_step, const float *b, const float *last, int adds, float *c) {
    const float *first = is_double ? b : last;
    _tile_loadd(4, first, RIGHT_STEP);
    _tile_loadd(5, first + CK_AMX_TILE, RIGHT_STEP);
    if (is_double) {
        _tile_loadd(6, last, RIGHT_STEP);
        _tile_loadd(7, last + CK_AMX_TILE, RIGHT_STEP);
    }
    for (ptrdiff_t tile = 0; tile * CK_AMX_TILE < rows; tile++, c += SUMS) {
        const float *left = a + tile / 2 * panel_step + tile % 2 * CK_AMX_TILE * PAIRS;
        _tile_loadd(2, left, LEFT_STEP);
        if (is_double) _tile_loadd(3, left + LEFT_SIZE, LEFT_STEP);
        if (adds) _tile_loadd(0, c, RIGHT_STEP);
        else _tile_zero(0);
        _tile_dpbf16ps(0, 2, 4);
        if (is_double) _tile_dpbf16ps(0, 3, 6);
        // Of the tile before.
        if (tile > 0) _tile_stored(1, c - SUMS + CK_AMX_TILE, RIGHT_STEP);
        if (adds) _tile_loadd(1, c + CK_AMX_TILE, RIGHT_STEP);
        else _tile_zero(1);
        _tile_dpbf16ps(1, 2, 5);
        if (is_double) _tile_dpbf16ps(1, 3, 7);
        _tile_stored(0, c, RIGHT_STEP);
    }
    _tile_stored(1, c - SUMS + CK_AMX_TILE, RIGHT_STEP);
}

TARGET_AMX VECTOR_INLINE void multiply_steps(
    const int is_double, ptrdiff_t steps, const float *a, const float *b, const float *last, int adds, float *c) {
    load_sums(is_double, adds ? c : NULL, CK_AMX_PANEL);
    load_factors(is_double, a, steps > 1 ? b : last);
    for (ptrdiff_t s = 1; s < steps; s++) {
        a += LEFT_SIZE;
        b += STEP;
        multiply_and_load_factors(is_double, a, s + 1 < steps ? b : last);
    }
    multiply_factors(is_double);
    store_sums(is_double, c, CK_AMX_PANEL);
}

TARGET_AMX static void multiply_panels(
    ptrdiff_t rows, ptrdiff_t pairs, const float *a, ptrdiff_t panel_step, const float *b, int adds, float *c) {
    const ptrdiff_t steps = (pairs + PAIRS - 1) / PAIRS;
    const float *last = b + (steps - 1) * STEP;
    float rest[STEP];
    if (pairs % PAIRS) last = whole_step(last, pairs % PAIRS, rest);
    if (steps == 1) return multiply_narrow(0, rows, a, panel_step, b, last, adds, c);
    if (steps == 2) return multiply_narrow(1, rows, a, panel_step, b, last, adds, c);
    for (ptrdiff_t row = 0; row < rows; row += CK_AMX_PANEL, a += panel_step, c += 2 * SUMS) {
        if (rows - row > CK_AMX_TILE) multiply_steps(1, steps, a, b, last, adds, c);
        else multiply_steps(0, steps, a, b, last, adds, c);
    }
}
#endif

void ck_amx_multiply_panels(
    ptrdiff_t rows, ptrdiff_t pairs, const float *a, ptrdiff_t panel_step, const float *b, int adds, float *c) {
#if defined(__x86_64__)
    if (ck_runs_amx()) return multiply_panels(rows, pairs, a, panel_step, b, adds, c);
#endif
    for (ptrdiff_t row = 0; row < rows; row += CK_AMX_PANEL, a += panel_step, c += CK_AMX_PANEL * CK_AMX_PANEL) {
        const int count = rows - row < CK_AMX_PANEL ? (int)(rows - row) : CK_AMX_PANEL;
        multiply_apart(count, pairs, a, b, adds ? c : NULL, CK_AMX_PANEL, c, CK_AMX_PANEL, NULL, 0);
    }
}
