#pragma once

#include <stddef.h>
#include <stdint.h>

// A node of a decision tree; a leaf goes on to itself and compares feature 0.
typedef struct {
    double threshold;
    int32_t feature;
    // Where a feature that is NaN goes whatever the comparison says: 1 to next[1].
    int32_t missing_is_true;
    // The places of the nodes to go on with, where the comparison is false and where it is true.
    int32_t next[2];
} ck_tree_step;

// leaves[tree * rows + row] = the place of the leaf that a row of features comes to from a tree's root, by the comparison feature <=
// threshold, or <. Each row has `features` features, at least one.
void ck_walk_trees(
    const ck_tree_step *steps, int is_less, const int32_t *roots, ptrdiff_t trees, const double *x, ptrdiff_t rows, ptrdiff_t features,
    int32_t *leaves);
