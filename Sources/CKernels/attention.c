#include "attention.h"

#include <math.h>

#include "vector_math.h"

VECTOR_CLONES
void attention_add_mask(float *scores, const float *mask, size_t count) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] == -INFINITY ? -INFINITY : scores[i] + mask[i];
}

VECTOR_CLONES
void attention_apply_mask(float *scores, const uint8_t *mask, size_t count) {
    VECTOR_LOOP
    for (size_t i = 0; i < count; i++) scores[i] = mask[i] ? scores[i] : -INFINITY;
}
