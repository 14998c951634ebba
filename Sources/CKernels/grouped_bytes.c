#include "include/grouped_bytes.h"

#include "amx.h"
#include "include/integer_product.h"
#include "vector_math.h"

#if defined(__x86_64__)
#include <immintrin.h>

#endif

// Whether there are the instructions that CK_GROUPED_BYTES takes: AMX, where it isn't played by plain C, has them beside it.
static int has_vnni(void) {
    const int level = ck_bytes_level();
    return level == CK_BYTES_AVX512_VNNI || (level == CK_BYTES_AMX && ck_runs_amx());
}

int ck_grouped_form(int fits_in_bytes) { return fits_in_bytes && has_vnni() ? CK_GROUPED_BYTES : CK_GROUPED_PAIRS; }

static int is_depthwise(const ck_grouped_windows *w) { return w->group_channels == 1; }

// Channels of the result that are computed at once.
static ptrdiff_t lanes_of(int form) { return form == CK_GROUPED_BYTES ? 16 : 8; }

int ck_grouped_fits(ptrdiff_t channels, ptrdiff_t group_channels, ptrdiff_t group_outputs) {
    if (group_channels == 1) return group_outputs == 1;
    if (group_channels % 4) return 0;
    // A permutation picks words among as many as a vector has, in the narrower form too.
    for (int form = CK_GROUPED_PAIRS; form <= CK_GROUPED_BYTES; form++) {
        const ptrdiff_t lanes = lanes_of(form);
        for (ptrdiff_t first = 0; first < channels; first += lanes) {
            const ptrdiff_t last = first + lanes < channels ? first + lanes - 1 : channels - 1;
            if ((last / group_outputs - first / group_outputs + 1) * group_channels > 4 * lanes) return 0;
        }
    }
    return 1;
}

int ck_depthwise_positions(ptrdiff_t taps, ptrdiff_t stride, ptrdiff_t dilation) {
    if (dilation != 1) return 1;
    const ptrdiff_t positions = ((taps + 3) / 4 * 4 - taps) / stride + 1;
    return positions > 4 ? 4 : (int)positions;
}

// Taps from one position's window to that of the next one.
static ptrdiff_t taps_between(const ck_grouped_windows *w) { return w->positions > 1 ? w->position_step / w->tap_step : 0; }

ptrdiff_t ck_grouped_taps_read(const ck_grouped_windows *w) {
    return is_depthwise(w) ? (taps_between(w) * (w->positions - 1) + w->taps + 3) / 4 * 4 : w->taps;
}

// MARK: Weights

// Bytes of weights for a channel of the result.
static ptrdiff_t channel_size(int form, const ck_grouped_windows *w) {
    const ptrdiff_t words = is_depthwise(w) ? ck_grouped_taps_read(w) / 4 * w->positions : w->taps * w->group_channels / 4;
    return w->rows * words * (form == CK_GROUPED_BYTES ? 4 : 8);
}

ptrdiff_t ck_grouped_weights_size(int form, const ck_grouped_windows *w) { return w->channels * channel_size(form, w); }

// Channels of a depthwise block that begins at `channel`: of a whole vector, or of 16.
static ptrdiff_t block_channels(int form, const ck_grouped_windows *w, ptrdiff_t channel) {
    const ptrdiff_t widest = form == CK_GROUPED_BYTES ? 64 : 32;
    return w->channels - channel >= widest ? widest : 16;
}

// Writes four weights for lane `lane` of `lanes`: as bytes, or as the pairs of the first and third, and of the second and fourth.
static void put_word(int form, const int16_t word[4], ptrdiff_t lanes, ptrdiff_t lane, uint8_t *vectors) {
    if (form == CK_GROUPED_BYTES) {
        for (int part = 0; part < 4; part++) vectors[4 * lane + part] = (uint8_t)word[part];
        return;
    }
    for (int part = 0; part < 4; part++) memcpy(vectors + 4 * (part % 2 * lanes + lane) + part / 2 * 2, &word[part], 2);
}

static void pack_depthwise_block(
    int form, const ck_grouped_windows *w, const int16_t *weights, ptrdiff_t count, ptrdiff_t base, ptrdiff_t block, uint8_t *packed) {
    const ptrdiff_t words = ck_grouped_taps_read(w) / 4, lanes = block / 4, vector_size = form == CK_GROUPED_BYTES ? block : 2 * block;
    for (ptrdiff_t row = 0; row < w->rows; row++)
        for (ptrdiff_t word = 0; word < words; word++)
            for (int j = 0; j < w->positions; j++)
                for (int i = 0; i < 4; i++, packed += vector_size)
                    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
                        const ptrdiff_t channel = base + lane / 4 * 16 + 4 * i + lane % 4;
                        int16_t values[4] = {0};
                        for (int part = 0; part < 4; part++) {
                            const ptrdiff_t tap = 4 * word + part - j * taps_between(w);
                            if (channel < count && tap >= 0 && tap < w->taps)
                                values[part] = weights[(channel * w->rows + row) * w->taps + tap];
                        }
                        put_word(form, values, lanes, lane, packed);
                    }
}

static void pack_grouped_block(
    int form, const ck_grouped_windows *w, const int16_t *weights, ptrdiff_t count, ptrdiff_t base, uint8_t *packed) {
    const ptrdiff_t lanes = lanes_of(form), places = w->rows * w->taps;
    for (ptrdiff_t place = 0; place < places; place++)
        for (ptrdiff_t group = 0; group < w->group_channels; group += 4, packed += form == CK_GROUPED_BYTES ? 4 * lanes : 8 * lanes)
            for (ptrdiff_t lane = 0; lane < lanes; lane++) {
                int16_t values[4] = {0};
                if (base + lane < count)
                    for (int part = 0; part < 4; part++)
                        values[part] = weights[((base + lane) * w->group_channels + group + part) * places + place];
                put_word(form, values, lanes, lane, packed);
            }
}

void ck_pack_grouped_weights(
    int form, const ck_grouped_windows *w, const int16_t *weights, ptrdiff_t count, uint8_t *packed) {
    for (ptrdiff_t base = 0, block; base < w->channels; base += block) {
        block = is_depthwise(w) ? block_channels(form, w, base) : lanes_of(form);
        if (is_depthwise(w))
            pack_depthwise_block(form, w, weights, count, base, block, packed);
        else
            pack_grouped_block(form, w, weights, count, base, packed);
        packed += block * channel_size(form, w);
    }
}

// MARK: Sums in plain C

VECTOR_INLINE int weight_of(const uint8_t *vectors, ptrdiff_t lanes, ptrdiff_t lane, int part) {
    int16_t weight;
    memcpy(&weight, vectors + 4 * (part % 2 * lanes + lane) + part / 2 * 2, sizeof weight);
    return weight;
}

static void depthwise_plain(
    const ck_grouped_windows *w, ptrdiff_t block, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    ptrdiff_t count, int32_t *sums, ptrdiff_t step) {
    const ptrdiff_t words = ck_grouped_taps_read(w) / 4, lanes = block / 4;
    for (ptrdiff_t position = 0; position < count; position++) {
        const int j = (int)(position % w->positions);
        const uint8_t *window = x + (position - j) * w->position_step;
        int32_t *result = sums + position * step;
        for (ptrdiff_t c = 0; c < block; c++) result[c] = 0;
        for (ptrdiff_t row = 0; row < w->rows; row++)
            for (ptrdiff_t word = 0; word < words; word++)
                for (int i = 0; i < 4; i++) {
                    const uint8_t *vectors = packed + (((row * words + word) * w->positions + j) * 4 + i) * 2 * block;
                    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
                        const ptrdiff_t channel = lane / 4 * 16 + 4 * i + lane % 4;
                        const uint8_t *taps = window + row_offsets[row] + 4 * word * w->tap_step + channel;
                        for (int part = 0; part < 4; part++)
                            result[channel] += taps[part * w->tap_step] * weight_of(vectors, lanes, lane, part);
                    }
                }
    }
}

static void grouped_plain(
    const ck_grouped_windows *w, ptrdiff_t first, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    ptrdiff_t count, int32_t *sums, ptrdiff_t step) {
    const ptrdiff_t lanes = lanes_of(CK_GROUPED_PAIRS);
    for (ptrdiff_t position = 0; position < count; position++, x += w->position_step) {
        int32_t *result = sums + position * step;
        const uint8_t *vectors = packed;
        for (ptrdiff_t lane = 0; lane < lanes; lane++) result[lane] = 0;
        for (ptrdiff_t row = 0; row < w->rows; row++)
            for (ptrdiff_t tap = 0; tap < w->taps; tap++)
                for (ptrdiff_t word = 0; word < w->group_channels; word += 4, vectors += 8 * lanes)
                    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
                        const ptrdiff_t group = (first + lane) / w->group_outputs;
                        const uint8_t *numbers = x + row_offsets[row] + tap * w->tap_step + group * w->group_channels + word;
                        for (int part = 0; part < 4; part++) result[lane] += numbers[part] * weight_of(vectors, lanes, lane, part);
                    }
    }
}

// MARK: Sums by vectors

#if defined(__x86_64__)
CK_TARGET_AVX512_VNNI VECTOR_INLINE void store_lanes_64(int32_t *place, __m512i v) {
    _mm_storeu_si128((__m128i *)place, _mm512_castsi512_si128(v));
    _mm_storeu_si128((__m128i *)(place + 16), _mm512_extracti32x4_epi32(v, 1));
    _mm_storeu_si128((__m128i *)(place + 32), _mm512_extracti32x4_epi32(v, 2));
    _mm_storeu_si128((__m128i *)(place + 48), _mm512_extracti32x4_epi32(v, 3));
}

CK_TARGET_AVX2 VECTOR_INLINE void store_lanes_32(int32_t *place, __m256i v) {
    _mm_storeu_si128((__m128i *)place, _mm256_castsi256_si128(v));
    _mm_storeu_si128((__m128i *)(place + 16), _mm256_extracti128_si256(v, 1));
}

CK_TARGET_AVX2 VECTOR_INLINE void store_lanes_16(int32_t *place, __m128i v) { _mm_storeu_si128((__m128i *)place, v); }

#define LOAD(place) OP(loadu_si512)(place)
#define OP(name) _mm512_##name
#define VECTOR __m512i
#define ZERO _mm512_setzero_si512()
#define BLOCK depthwise_bytes_64
#define BLOCK_TARGET CK_TARGET_AVX512_VNNI
#define LANES 4
#define IS_BYTES 1
#define STORE_LANES store_lanes_64
#include "depthwise_bytes_block.h"
#undef LOAD
#undef OP
#undef VECTOR
#undef ZERO
#undef BLOCK
#undef LANES
#undef STORE_LANES

#define LOAD(place) OP(loadu_si128)((const __m128i *)(place))
#define OP(name) _mm_##name
#define VECTOR __m128i
#define ZERO _mm_setzero_si128()
#define BLOCK depthwise_bytes_16
#define LANES 1
#define STORE_LANES store_lanes_16
#include "depthwise_bytes_block.h"
#undef BLOCK
#undef BLOCK_TARGET
#undef IS_BYTES

#define BLOCK depthwise_pairs_16
#define BLOCK_TARGET CK_TARGET_AVX2
#define IS_BYTES 0
#include "depthwise_bytes_block.h"
#undef LOAD
#undef OP
#undef VECTOR
#undef ZERO
#undef BLOCK
#undef LANES
#undef STORE_LANES

#define LOAD(place) OP(loadu_si256)((const __m256i *)(place))
#define OP(name) _mm256_##name
#define VECTOR __m256i
#define ZERO _mm256_setzero_si256()
#define BLOCK depthwise_pairs_32
#define LANES 2
#define STORE_LANES store_lanes_32
#include "depthwise_bytes_block.h"

#define BLOCK_PARAMETERS                                                                                                     \
    const ck_grouped_windows *w, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed, ptrdiff_t count,     \
        int32_t *sums, ptrdiff_t step
#define BLOCK_ARGUMENTS w, x, row_offsets, packed, count, sums, step

// Calls the copy of `block` for w->positions, so that their sums are registers.
#define UP_TO_4_POSITIONS(block)                                                                                             \
    switch (w->positions) {                                                                                                  \
    case 1: return block(1, BLOCK_ARGUMENTS);                                                                                \
    case 2: return block(2, BLOCK_ARGUMENTS);                                                                                \
    case 3: return block(3, BLOCK_ARGUMENTS);                                                                                \
    default: return block(4, BLOCK_ARGUMENTS);                                                                               \
    }

CK_TARGET_AVX512_VNNI static void depthwise_64(BLOCK_PARAMETERS) { UP_TO_4_POSITIONS(depthwise_bytes_64) }
CK_TARGET_AVX512_VNNI static void depthwise_16(BLOCK_PARAMETERS) { UP_TO_4_POSITIONS(depthwise_bytes_16) }
CK_TARGET_AVX2 static void pairs_32(BLOCK_PARAMETERS) { UP_TO_4_POSITIONS(depthwise_pairs_32) }
CK_TARGET_AVX2 static void pairs_16(BLOCK_PARAMETERS) { UP_TO_4_POSITIONS(depthwise_pairs_16) }

// The words that each lane of a block reads, the first of them at 0.
static void words_of_lanes(const ck_grouped_windows *w, ptrdiff_t first, int lanes, int32_t *words) {
    for (int lane = 0; lane < lanes; lane++) {
        // Channels that are there to fill the last block only read what the last group reads.
        const ptrdiff_t group = (first + lane) / w->group_outputs - first / w->group_outputs;
        const ptrdiff_t word = group * w->group_channels / 4, last = lanes - w->group_channels / 4;
        words[lane] = (int32_t)(word < last ? word : last);
    }
}

CK_TARGET_AVX512_VNNI VECTOR_INLINE void grouped_bytes(
    const int positions, const ck_grouped_windows *w, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    __m512i lanes, int32_t *sums, ptrdiff_t step) {
    __m512i sum[8];
#pragma clang loop unroll(full)
    for (int j = 0; j < positions; j++) sum[j] = _mm512_setzero_si512();
    const __m512i one = _mm512_set1_epi32(1);
    for (ptrdiff_t row = 0; row < w->rows; row++)
        for (ptrdiff_t tap = 0; tap < w->taps; tap++) {
            const uint8_t *place = x + row_offsets[row] + tap * w->tap_step;
            __m512i words = lanes;
            for (ptrdiff_t word = 0; word < w->group_channels; word += 4, packed += 64, words = _mm512_add_epi32(words, one)) {
                const __m512i weights = _mm512_loadu_si512(packed);
#pragma clang loop unroll(full)
                for (int j = 0; j < positions; j++) {
                    const __m512i numbers = _mm512_permutexvar_epi32(words, _mm512_loadu_si512(place + j * w->position_step));
                    sum[j] = _mm512_dpbusd_epi32(sum[j], numbers, weights);
                }
            }
        }
#pragma clang loop unroll(full)
    for (int j = 0; j < positions; j++) _mm512_storeu_si512(sums + j * step, sum[j]);
}

CK_TARGET_AVX512_VNNI static void grouped_16(ptrdiff_t first, BLOCK_PARAMETERS) {
    int32_t words[16];
    words_of_lanes(w, first, 16, words);
    const __m512i lanes = _mm512_loadu_si512(words);
    x += first / w->group_outputs * w->group_channels;
    ptrdiff_t i = 0;
    for (; i + 8 <= count; i += 8)
        grouped_bytes(8, w, x + i * w->position_step, row_offsets, packed, lanes, sums + i * step, step);
    for (; i + 4 <= count; i += 4)
        grouped_bytes(4, w, x + i * w->position_step, row_offsets, packed, lanes, sums + i * step, step);
    for (; i < count; i++) grouped_bytes(1, w, x + i * w->position_step, row_offsets, packed, lanes, sums + i * step, step);
}

CK_TARGET_AVX2 VECTOR_INLINE void grouped_pairs(
    const int positions, const ck_grouped_windows *w, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    __m256i lanes, int32_t *sums, ptrdiff_t step) {
    __m256i sum[4];
#pragma clang loop unroll(full)
    for (int j = 0; j < positions; j++) sum[j] = _mm256_setzero_si256();
    const __m256i one = _mm256_set1_epi32(1), low_bytes = _mm256_set1_epi16(0xFF);
    for (ptrdiff_t row = 0; row < w->rows; row++)
        for (ptrdiff_t tap = 0; tap < w->taps; tap++) {
            const uint8_t *place = x + row_offsets[row] + tap * w->tap_step;
            __m256i words = lanes;
            for (ptrdiff_t word = 0; word < w->group_channels; word += 4, packed += 64, words = _mm256_add_epi32(words, one)) {
                const __m256i even_weights = _mm256_loadu_si256((const __m256i *)packed);
                const __m256i odd_weights = _mm256_loadu_si256((const __m256i *)(packed + 32));
#pragma clang loop unroll(full)
                for (int j = 0; j < positions; j++) {
                    const __m256i pixel = _mm256_loadu_si256((const __m256i *)(place + j * w->position_step));
                    const __m256i numbers = _mm256_permutevar8x32_epi32(pixel, words);
                    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(numbers, low_bytes), even_weights);
                    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(numbers, 8), odd_weights);
                    sum[j] = _mm256_add_epi32(sum[j], _mm256_add_epi32(even, odd));
                }
            }
        }
#pragma clang loop unroll(full)
    for (int j = 0; j < positions; j++) _mm256_storeu_si256((__m256i *)(sums + j * step), sum[j]);
}

CK_TARGET_AVX2 static void grouped_8(ptrdiff_t first, BLOCK_PARAMETERS) {
    int32_t words[8];
    words_of_lanes(w, first, 8, words);
    const __m256i lanes = _mm256_loadu_si256((const __m256i *)words);
    x += first / w->group_outputs * w->group_channels;
    ptrdiff_t i = 0;
    for (; i + 4 <= count; i += 4)
        grouped_pairs(4, w, x + i * w->position_step, row_offsets, packed, lanes, sums + i * step, step);
    for (; i < count; i++) grouped_pairs(1, w, x + i * w->position_step, row_offsets, packed, lanes, sums + i * step, step);
}
#endif

void ck_grouped_sums(
    int form, const ck_grouped_windows *w, const uint8_t *x, const ptrdiff_t *row_offsets, const uint8_t *packed,
    ptrdiff_t first, ptrdiff_t channels, ptrdiff_t count, int32_t *sums, ptrdiff_t step) {
    packed += first * channel_size(form, w);
    for (ptrdiff_t base = first, block; base < first + channels; base += block, packed += block * channel_size(form, w)) {
        block = is_depthwise(w) ? block_channels(form, w, base) : lanes_of(form);
        int32_t *result = sums + base - first;
        if (is_depthwise(w)) {
            const uint8_t *place = x + base;
#if defined(__x86_64__)
            if (form == CK_GROUPED_BYTES) {
                (block == 64 ? depthwise_64 : depthwise_16)(w, place, row_offsets, packed, count, result, step);
                continue;
            }
            if (ck_level() != CK_LEVEL_PLAIN) {
                (block == 32 ? pairs_32 : pairs_16)(w, place, row_offsets, packed, count, result, step);
                continue;
            }
#endif
            depthwise_plain(w, block, place, row_offsets, packed, count, result, step);
        } else {
#if defined(__x86_64__)
            if (form == CK_GROUPED_BYTES) {
                grouped_16(base, w, x, row_offsets, packed, count, result, step);
                continue;
            }
            if (ck_level() != CK_LEVEL_PLAIN) {
                grouped_8(base, w, x, row_offsets, packed, count, result, step);
                continue;
            }
#endif
            grouped_plain(w, base, x, row_offsets, packed, count, result, step);
        }
    }
}
