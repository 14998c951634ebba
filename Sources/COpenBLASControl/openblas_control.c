#include "openblas_control.h"

#include <stddef.h>
#include <stdlib.h>

// A buffer is 128 MB on x86-64, and less elsewhere (BUFFER_SIZE in OpenBLAS's common_*.h); the rest is for what other threads take
// meanwhile.
static const size_t needed_bytes = (size_t)160 << 20;

// Of driver/others/memory.c; an OpenBLAS without them has its buffers on the stack or elsewhere.
extern void *blas_memory_alloc(int position) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

int openblas_num_threads_env(void) { return 1; }

int openblas_add_buffer(void) {
    if (!blas_memory_alloc || !blas_memory_free) return 1;
    // Volatile, so that the compiler doesn't drop a block that nobody uses.
    void *volatile probe = malloc(needed_bytes);
    if (!probe) return 0;
    free(probe);
    void *buffer = blas_memory_alloc(0);
    if (!buffer) return 0;
    blas_memory_free(buffer);
    return 1;
}
