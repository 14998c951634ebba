#include "include/trees.h"

#include "kernel.h"

// Walks that don't depend on each other: while one waits for its node, others go on, and none of them has a branch to be mispredicted.
enum { WALKS = 8 };

VECTOR_INLINE int32_t next_place(const ck_tree_step *step, const int is_less, const double *row) {
    const double value = row[step->feature];
    const int is_true = (is_less ? value < step->threshold : value <= step->threshold) | ((value != value) & step->missing_is_true);
    return step->next[is_true];
}

VECTOR_INLINE void walk_trees(
    const ck_tree_step *steps, const int is_less, const int32_t *roots, ptrdiff_t trees, const double *x, ptrdiff_t rows,
    ptrdiff_t features, int32_t *leaves) {
    const ptrdiff_t count = trees * rows;
    ptrdiff_t tree = 0, row = 0;
    for (ptrdiff_t first = 0; first < count; first += WALKS) {
        const double *own[WALKS];
        int32_t places[WALKS];
        for (int i = 0; i < WALKS; i++) {
            // Behind the last walk it is made again.
            own[i] = x + row * features;
            places[i] = roots[tree];
            if (first + i + 1 < count && ++row == rows) {
                row = 0;
                tree++;
            }
        }
        int32_t moved;
        do {
            moved = 0;
#pragma clang loop unroll(full)
            for (int i = 0; i < WALKS; i++) {
                const int32_t place = next_place(steps + places[i], is_less, own[i]);
                moved |= place ^ places[i];
                places[i] = place;
            }
        } while (moved);
        for (int i = 0; i < WALKS && first + i < count; i++) leaves[first + i] = places[i];
    }
}

CK_KERNEL(
    void, ck_walk_trees,
    (const ck_tree_step *steps, int is_less, const int32_t *roots, ptrdiff_t trees, const double *x, ptrdiff_t rows, ptrdiff_t features,
     int32_t *leaves),
    (steps, is_less, roots, trees, x, rows, features, leaves)) {
    if (is_less)
        walk_trees(steps, 1, roots, trees, x, rows, features, leaves);
    else
        walk_trees(steps, 0, roots, trees, x, rows, features, leaves);
}
