// A tile of up to 14 rows by 32 columns in registers of 16 floats, for TILE_NAME, TILE_TARGET and MULTIPLY_ADD(sum, factor, row), which
// are defined before this is included: a step takes one number of each row of A and one row of B, of 32 floats or what their bits hold.

TILE_TARGET VECTOR_INLINE void TILE_NAME(const int rows, const int is_packed, const int reads_ahead, TILE_PARAMETERS) {
    __m512 sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        sum[i][0] = start ? _mm512_loadu_ps(start + i * start_step) : _mm512_setzero_ps();
        sum[i][1] = start ? _mm512_loadu_ps(start + i * start_step + 16) : _mm512_setzero_ps();
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        __m512 low = _mm512_loadu_ps(b);
        __m512 high = _mm512_loadu_ps(b + 16);
        // Panels come from the second level of the cache, where four rows ahead suffice, though what else passes by may have evicted them.
        _mm_prefetch((const char *)(b + 128), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + 144), _MM_HINT_T0);
        if (reads_ahead) {
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
            _mm_prefetch((const char *)(ahead + 16), _MM_HINT_T1);
            ahead += ahead_step;
        } else {
            _mm_prefetch((const char *)(b + 1024), _MM_HINT_T1);
            _mm_prefetch((const char *)(b + 1040), _MM_HINT_T1);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m512 factor = _mm512_set1_ps(is_packed ? a[i] : a[i * a_step]);
            sum[i][0] = MULTIPLY_ADD(sum[i][0], factor, low);
            sum[i][1] = MULTIPLY_ADD(sum[i][1], factor, high);
        }
        a += is_packed ? a_step : 1;
        b += 32;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        _mm512_storeu_ps(c + i * ldc, sum[i][0]);
        _mm512_storeu_ps(c + i * ldc + 16, sum[i][1]);
    }
}

#undef TILE_NAME
#undef TILE_TARGET
#undef MULTIPLY_ADD
