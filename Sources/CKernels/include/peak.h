#pragma once

#include <stddef.h>

// Loops that reach what a core and the memory can do at most. `width` is the number of floats in a vector: 4, 8 (AVX2) or 16
// (AVX-512); the caller answers for the machine having them.

// Runs `rounds` rounds of independent multiply-adds on registers alone; returns the floating-point operations done.
double ck_peak_multiply_add(int width, ptrdiff_t rounds);

// a[i] = b[i] + factor * c[i].
void ck_peak_triad(float *a, const float *b, const float *c, float factor, ptrdiff_t count);
