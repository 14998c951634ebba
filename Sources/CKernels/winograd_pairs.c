// Transformed tiles and kernels of minimal filtering as pairs of bfloat16, for products that the processor makes of pairs.

#include "include/winograd.h"

#include "include/bfloat16.h"
#include "pairs.h"
#include "vector_math.h"

typedef struct {
    const float *numbers;
    ptrdiff_t position_step;
    ptrdiff_t channels;
    int lanes;
    float *pairs;
    ptrdiff_t pair_step;
} positions;

#define POSITIONS_OF_ARGUMENTS (positions){numbers, position_step, channels, lanes, pairs, pair_step}

#if defined(__x86_64__)
TARGET_BFLOAT16 static void pair_by_instruction(positions p) {
    const __m512i order = order_of_pairs();
    for (int position = 0; position < CK_WINOGRAD_POSITIONS; position++) {
        const float *row = p.numbers + position * p.position_step;
        float *pairs = p.pairs + position * p.pair_step;
        for (ptrdiff_t c = 0; c < p.channels; c += 2) {
            pair_rows_by_instruction(row, c + 1 < p.channels ? row + p.lanes : NULL, p.lanes, p.lanes, 1, pairs, order);
            row += 2 * p.lanes;
            pairs += p.lanes;
        }
    }
}
#endif

VECTOR_INLINE void pair_positions(positions p) {
    for (int position = 0; position < CK_WINOGRAD_POSITIONS; position++) {
        const float *row = p.numbers + position * p.position_step;
        float *pairs = p.pairs + position * p.pair_step;
        for (ptrdiff_t c = 0; c < p.channels; c += 2) {
            pair_rows(row, c + 1 < p.channels ? row + p.lanes : NULL, p.lanes, 1, pairs);
            row += 2 * p.lanes;
            pairs += p.lanes;
        }
    }
}

void ck_winograd_pairs_apart(
    const float *numbers, ptrdiff_t position_step, ptrdiff_t channels, int lanes, float *pairs, ptrdiff_t pair_step);

CK_KERNEL(
    void, ck_winograd_pairs_apart,
    (const float *numbers, ptrdiff_t position_step, ptrdiff_t channels, int lanes, float *pairs, ptrdiff_t pair_step),
    (numbers, position_step, channels, lanes, pairs, pair_step)) {
    pair_positions(POSITIONS_OF_ARGUMENTS);
}

void ck_winograd_pairs(
    const float *numbers, ptrdiff_t position_step, ptrdiff_t channels, int lanes, float *pairs, ptrdiff_t pair_step) {
#if defined(__x86_64__)
    if (ck_has_pair_instruction()) return pair_by_instruction(POSITIONS_OF_ARGUMENTS);
#endif
    ck_winograd_pairs_apart(numbers, position_step, channels, lanes, pairs, pair_step);
}
