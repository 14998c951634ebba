// Depthwise sums of a block of channels, for one width of vectors: what includes it defines BLOCK (the function's name), BLOCK_TARGET,
// LANES (of 16 channels, in a vector), VECTOR, OP(name) for its instructions, ZERO, LOAD, STORE_LANES(place, vector), which puts each
// lane 16 numbers behind the one before, and IS_BYTES.
//
// Interleaving the bytes of four taps leaves the channels 4i to 4i + 3 of each lane in the i-th of four vectors.

#if IS_BYTES
#define WEIGHT_VECTORS 4
#else
#define WEIGHT_VECTORS 8
#endif

BLOCK_TARGET VECTOR_INLINE void BLOCK(
    const int positions, const ck_grouped_windows *w, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    ptrdiff_t count, int32_t *sums, ptrdiff_t step) {
    const ptrdiff_t words = ck_grouped_taps_read(w) / 4;
    for (ptrdiff_t first = 0; first < count; first += positions, x += positions * w->position_step) {
        VECTOR sum[4][4];
#pragma clang loop unroll(full)
        for (int j = 0; j < positions; j++)
            for (int i = 0; i < 4; i++) sum[j][i] = ZERO;
        const uint8_t *weights = packed;
        for (ptrdiff_t row = 0; row < w->rows; row++) {
            const uint8_t *place = x + row_offsets[row];
            for (ptrdiff_t word = 0; word < words; word++, place += 4 * w->tap_step) {
                const VECTOR a = LOAD(place), b = LOAD(place + w->tap_step);
                const VECTOR c = LOAD(place + 2 * w->tap_step), d = LOAD(place + 3 * w->tap_step);
                const VECTOR low_ab = OP(unpacklo_epi8)(a, b), high_ab = OP(unpackhi_epi8)(a, b);
                const VECTOR low_cd = OP(unpacklo_epi8)(c, d), high_cd = OP(unpackhi_epi8)(c, d);
                const VECTOR taps[4] = {
                    OP(unpacklo_epi16)(low_ab, low_cd), OP(unpackhi_epi16)(low_ab, low_cd),
                    OP(unpacklo_epi16)(high_ab, high_cd), OP(unpackhi_epi16)(high_ab, high_cd)};
#pragma clang loop unroll(full)
                for (int j = 0; j < positions; j++, weights += WEIGHT_VECTORS * 16 * LANES) {
#pragma clang loop unroll(full)
                    for (int i = 0; i < 4; i++) {
#if IS_BYTES
                        sum[j][i] = OP(dpbusd_epi32)(sum[j][i], taps[i], LOAD(weights + 16 * LANES * i));
#else
                        const VECTOR even = OP(srli_epi16)(OP(slli_epi16)(taps[i], 8), 8), odd = OP(srli_epi16)(taps[i], 8);
                        const VECTOR products = OP(madd_epi16)(even, LOAD(weights + 32 * LANES * i));
                        const VECTOR more = OP(madd_epi16)(odd, LOAD(weights + 32 * LANES * i + 16 * LANES));
                        sum[j][i] = OP(add_epi32)(sum[j][i], OP(add_epi32)(products, more));
#endif
                    }
                }
            }
        }
#pragma clang loop unroll(full)
        for (int j = 0; j < positions; j++) {
            if (first + j >= count) break;
            int32_t *result = sums + (first + j) * step;
#pragma clang loop unroll(full)
            for (int i = 0; i < 4; i++) STORE_LANES(result + 4 * i, sum[j][i]);
        }
    }
}

#undef WEIGHT_VECTORS
