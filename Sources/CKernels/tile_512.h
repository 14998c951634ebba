// A tile of up to 14 rows by 32 columns in registers of 16 floats, or the first `vectors` of these with the columns of `last` alone of the
// last one, for TILE_NAME, TILE_TARGET and MULTIPLY_ADD(sum, factor, row), which are defined before this is included: a step takes one
// number of each row of A and one row of B, of 32 floats or what their bits hold.

TILE_TARGET VECTOR_INLINE void TILE_NAME(
    const int rows, const int vectors, const __mmask16 last, const int is_packed, const int reads_ahead, TILE_PARAMETERS) {
    const __mmask16 columns[2] = {vectors == 1 ? last : 0xffff, last};
    __m512 sum[14][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = start ? _mm512_maskz_loadu_ps(columns[j], start + i * start_step + 16 * j) : _mm512_setzero_ps();
    for (ptrdiff_t p = 0; p < k; p++) {
        __m512 low = _mm512_loadu_ps(b);
        __m512 high = vectors == 2 ? _mm512_loadu_ps(b + 16) : low;
        // Panels come from the second level of the cache, where four rows ahead suffice, though what else passes by may have evicted them.
        _mm_prefetch((const char *)(b + 128), _MM_HINT_T0);
        if (vectors == 2) _mm_prefetch((const char *)(b + 144), _MM_HINT_T0);
        if (reads_ahead) {
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
            _mm_prefetch((const char *)(ahead + 16), _MM_HINT_T1);
            ahead += ahead_step;
        } else {
            _mm_prefetch((const char *)(b + 1024), _MM_HINT_T1);
            if (vectors == 2) _mm_prefetch((const char *)(b + 1040), _MM_HINT_T1);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m512 factor = _mm512_set1_ps(is_packed ? a[i] : a[i * a_step]);
            sum[i][0] = MULTIPLY_ADD(sum[i][0], factor, low);
            if (vectors == 2) sum[i][1] = MULTIPLY_ADD(sum[i][1], factor, high);
        }
        a += is_packed ? a_step : 1;
        b += 32;
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) _mm512_mask_storeu_ps(c + i * ldc + 16 * j, columns[j], sum[i][j]);
}

#undef TILE_NAME
#undef TILE_TARGET
#undef MULTIPLY_ADD
