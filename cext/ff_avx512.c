/* Kernels for AVX-512 F, BW, DQ, VL and VNNI (Ice Lake, Zen 4 and later). */
#include "ff_internal.h"

#ifdef FF_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#define ALL_COLUMNS 0xffffffffu

struct constants {
    __m512i ends, between, half;
    __m128i shift;
};

/* Adds 32 columns of a and b, 16 to each of the 32-bit sums. Unpacking here and packing at the end
 * both work within 128-bit lanes, so the columns end up in order. */
FF_INLINE void add_weighted(__m512i *low, __m512i *high, __m512i a, __m512i b, __m512i weights)
{
    *low = _mm512_dpwssd_epi32(*low, _mm512_unpacklo_epi16(a, b), weights);
    *high = _mm512_dpwssd_epi32(*high, _mm512_unpackhi_epi16(a, b), weights);
}

/* Up to 32 columns; the mask ALL_COLUMNS is known at compile time and costs nothing. */
FF_INLINE __m512i widen(const uint8_t *p, const __mmask32 mask)
{
    return _mm512_cvtepu8_epi16(mask == ALL_COLUMNS ? _mm256_loadu_si256((const void *)p)
                                            : _mm256_maskz_loadu_epi8(mask, p));
}

/* sum_rows for the columns in mask from i. */
FF_INLINE void sum_32(const uint8_t *const *restrict rows, size_t count, size_t i,
                      const __mmask32 mask, const struct constants *c, int16_t *restrict dst)
{
    __m512i low = c->half, high = c->half;
    add_weighted(&low, &high, widen(rows[0] + i, mask), widen(rows[count - 1] + i, mask), c->ends);
    for (size_t r = 1; r + 1 < count;) {
        const size_t stop = count - 1 - r > FF_INNER_MAX ? r + FF_INNER_MAX : count - 1;
        __m512i inner = widen(rows[r] + i, mask);
        for (r++; r < stop; r++)
            inner = _mm512_add_epi16(inner, widen(rows[r] + i, mask));
        add_weighted(&low, &high, inner, _mm512_setzero_si512(), c->between);
    }
    _mm512_storeu_si512(dst + i, _mm512_packs_epi32(_mm512_sra_epi32(low, c->shift),
                                                    _mm512_sra_epi32(high, c->shift)));
}

static void sum_rows(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst)
{
    const uint32_t ends = (uint32_t)weights.last << 16 | (uint16_t)weights.first;
    const struct constants c = {
        _mm512_set1_epi32((int32_t)ends),
        _mm512_set1_epi32(weights.inner),
        _mm512_set1_epi32((int32_t)1 << weights.shift >> 1),
        _mm_cvtsi32_si128(weights.shift),
    };
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        sum_32(rows, count, i, ALL_COLUMNS, &c, dst);
    if (i < n)
        sum_32(rows, count, i, ((__mmask32)1 << (n - i)) - 1, &c, dst);
}

/* 8 partial sums of each of two outputs of one line. */
FF_INLINE __m512i partial_sums_2(const int16_t *restrict src, const int32_t *restrict start,
                              const int16_t *restrict weights, const size_t blocks,
                              size_t stride)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t k = 0; k < blocks; k++) {
        const __m256i low = _mm256_loadu_si256((const void *)(src + start[0] + k * FF_BLOCK));
        const __m256i high = _mm256_loadu_si256((const void *)(src + start[1] + k * FF_BLOCK));
        const __m512i values = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        const __m512i factors = _mm512_load_si512(weights + k * stride);
        sum = k ? _mm512_dpwssd_epi32(sum, values, factors) : _mm512_madd_epi16(values, factors);
    }
    return sum;
}

/* Adds adjacent partial sums of the outputs in a and b: half as many remain. */
FF_INLINE __m512i add_adjacent_32(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

FF_INLINE __m512i add_adjacent_64(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* The sums of 16 outputs of one line, in 128-bit lanes: 0 2 4 6, 1 3 5 7, 8 10 12 14, 9 11 13 15;
 * or of 8, and undefined values for the rest. */
FF_INLINE __m512i sum_16_outputs(const int16_t *restrict src, const int32_t *restrict start,
                        const int16_t *restrict weights, const size_t blocks, size_t stride,
                        const int half)
{
#define PARTIAL(k) partial_sums_2(src, start + (k), weights + (k) * FF_BLOCK, blocks, stride)
    const __m512i a = add_adjacent_64(add_adjacent_32(PARTIAL(0), PARTIAL(2)),
                                      add_adjacent_32(PARTIAL(4), PARTIAL(6)));
    const __m512i b = half ? a
                           : add_adjacent_64(add_adjacent_32(PARTIAL(8), PARTIAL(10)),
                                             add_adjacent_32(PARTIAL(12), PARTIAL(14)));
#undef PARTIAL
    return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/* The outputs of sum_16_outputs in ascending order. */
FF_INLINE __m512i to_output_order(__m512i sums)
{
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15), sums);
}

FF_INLINE void columns_blocks(const size_t blocks, const int16_t *restrict src, size_t pitch,
                          size_t lines, const struct ff_columns *columns, float scale,
                          float bias, float *restrict dst)
{
    const size_t size = columns->size, stride = ff_round_up(size, FF_GROUP) * FF_BLOCK;
    const __m512 factor = _mm512_set1_ps(scale), offset = _mm512_set1_ps(bias);
    for (size_t j = columns->begin; j < columns->end; j += FF_GROUP) {
        const int32_t *const start = columns->start + j;
        const int16_t *const weights = columns->weights + j * FF_BLOCK;
        const size_t left = size - j;
        const __mmask16 mask = (__mmask16)(left >= FF_GROUP ? 0xffff : (1u << left) - 1);
        for (size_t l = 0; l < lines; l++) {
            const __m512i sums = sum_16_outputs(src + l * pitch, start, weights, blocks, stride, 0);
            const __m512 real = _mm512_cvtepi32_ps(to_output_order(sums));
            _mm512_mask_storeu_ps(dst + l * size + j, mask,
                                  _mm512_add_ps(_mm512_mul_ps(real, factor), offset));
        }
    }
}

static void sum_columns(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst)
{
    /* Most faces need one or two blocks: these cases have no loop. */
    switch (columns->blocks) {
    case 1:
        columns_blocks(1, src, pitch, lines, columns, scale, bias, dst);
        break;
    case 2:
        columns_blocks(2, src, pitch, lines, columns, scale, bias, dst);
        break;
    default:
        columns_blocks(columns->blocks, src, pitch, lines, columns, scale, bias, dst);
    }
}

/* The 16 outputs from j, or 8, of several lines. */
FF_INLINE void paired_at(const size_t blocks, const int half, const int16_t *restrict src,
                        size_t pitch, size_t lines, const struct ff_columns *columns, size_t j,
                        uint32_t *dst)
{
    const size_t side = ff_round_up(columns->size, FF_GROUP), stride = side * FF_BLOCK;
    const int32_t *const start = columns->start + j;
    const int16_t *const weights = columns->weights + j * FF_BLOCK;
    const __m512i rounding = _mm512_set1_epi32(1 << (FF_COLUMN_BITS - 1));
    uint32_t *at = dst + j - side;
    __m512i above = _mm512_and_si512(_mm512_loadu_si512(at), _mm512_set1_epi32(0xffff));
    for (size_t l = 0; l < lines; l++, at += side) {
        const __m512i sums = sum_16_outputs(src + l * pitch, start, weights, blocks, stride, half);
        const __m512i grays = to_output_order(_mm512_srai_epi32(_mm512_add_epi32(sums, rounding),
                                                         FF_COLUMN_BITS));
        _mm512_storeu_si512(at, _mm512_or_si512(above, _mm512_slli_epi32(grays, 16)));
        above = grays;
    }
    _mm512_storeu_si512(at, above);
}

FF_INLINE void paired_blocks(const size_t blocks, const int16_t *restrict src, size_t pitch,
                        size_t lines, const struct ff_columns *columns, uint32_t *dst)
{
    size_t j = columns->begin;
    for (; j + FF_OUTPUT_STEP < columns->end; j += FF_GROUP)
        paired_at(blocks, 0, src, pitch, lines, columns, j, dst);
    if (j < columns->end)
        paired_at(blocks, 1, src, pitch, lines, columns, j, dst);
}

static void sum_columns_paired(const int16_t *restrict src, size_t pitch, size_t lines,
                               const struct ff_columns *columns, uint32_t *dst)
{
    switch (columns->blocks) {
    case 1:
        paired_blocks(1, src, pitch, lines, columns, dst);
        break;
    case 2:
        paired_blocks(2, src, pitch, lines, columns, dst);
        break;
    default:
        paired_blocks(columns->blocks, src, pitch, lines, columns, dst);
    }
}

/* Weights 1 - f and f, of FF_LERP_BITS, for fractions f of FF_POSITION_BITS, each given twice. */
FF_INLINE __m512i lerp_weights(__m512i twice)
{
    const __m512i f = _mm512_srli_epi16(twice, FF_POSITION_BITS - FF_LERP_BITS);
    return _mm512_mask_sub_epi16(f, 0x55555555, _mm512_set1_epi16(1 << FF_LERP_BITS), f);
}

/* Sixteen outputs per step. 2x2 pixels are 64 bits of a paired tile; two vectors of eight take
 * outputs 0 1 4 5 8 9 12 13 and 2 3 6 7 10 11 14 15, so that packing restores the order. */
static void sample_rotated(const uint32_t *restrict tile, size_t side,
                           const struct ff_sample_grid *grid, size_t size, float scale, float bias,
                           float *restrict out)
{
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i order = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    /* Shuffles that repeat fractions: of the four positions in 128 bits twice each; of the first
     * two, or of the last two, four times each. */
    const __m512i twice = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const __m512i first = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 4, 5, 4, 5, 4, 5, 4, 5));
    const __m512i second = _mm512_broadcast_i32x4(
        _mm_setr_epi8(8, 9, 8, 9, 8, 9, 8, 9, 12, 13, 12, 13, 12, 13, 12, 13));
    const __m512i half = _mm512_set1_epi32(1 << (FF_LERP_BITS - 1));
    const __m512i line = _mm512_set1_epi32((int32_t)side);
    const __m512 factor = _mm512_set1_ps(scale), offset = _mm512_set1_ps(bias);
    const __m512i right = _mm512_mullo_epi32(count, _mm512_set1_epi32((int32_t)grid->cosine));
    const __m512i down = _mm512_mullo_epi32(count, _mm512_set1_epi32((int32_t)grid->sine));
    const __m512i step_x = _mm512_set1_epi32((int32_t)(16 * grid->cosine));
    const __m512i step_y = _mm512_set1_epi32((int32_t)(16 * grid->sine));
    for (size_t j = 0; j < size; j++, out += size) {
        const uint32_t x = grid->x - (uint32_t)j * grid->sine;
        const uint32_t y = grid->y + (uint32_t)j * grid->cosine;
        __m512i xs = _mm512_add_epi32(_mm512_set1_epi32((int32_t)x), right);
        __m512i ys = _mm512_add_epi32(_mm512_set1_epi32((int32_t)y), down);
        for (size_t i = 0; i < size; i += 16) {
            const __mmask16 mask = (__mmask16)(size - i >= 16 ? 0xffff : (1u << (size - i)) - 1);
            /* Rows and the side are below 2^15. Positions past the end of the line may lie outside
             * the tile: they read its first pixel. */
            const __m512i row = _mm512_madd_epi16(_mm512_srli_epi32(ys, FF_POSITION_BITS), line);
            const __m512i at = _mm512_maskz_add_epi32(mask, row,
                                                      _mm512_srli_epi32(xs, FF_POSITION_BITS));
            const __m512i sorted = _mm512_permutexvar_epi32(order, at);
            const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(sorted), tile, 4);
            const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(sorted, 1),
                                                        tile, 4);
            const __m512i a = _mm512_dpwssd_epi32(half, low,
                                                  lerp_weights(_mm512_shuffle_epi8(ys, first)));
            const __m512i b = _mm512_dpwssd_epi32(half, high,
                                                  lerp_weights(_mm512_shuffle_epi8(ys, second)));
            const __m512i columns = _mm512_packs_epi32(_mm512_srai_epi32(a, FF_LERP_BITS),
                                                       _mm512_srai_epi32(b, FF_LERP_BITS));
            const __m512i sums = _mm512_madd_epi16(columns,
                                                   lerp_weights(_mm512_shuffle_epi8(xs, twice)));
            const __m512 real = _mm512_cvtepi32_ps(sums);
            _mm512_mask_storeu_ps(out + i, mask,
                                  _mm512_add_ps(_mm512_mul_ps(real, factor), offset));
            xs = _mm512_add_epi32(xs, step_x);
            ys = _mm512_add_epi32(ys, step_y);
        }
    }
}

static int follow(const struct ff_flow_level *from, const struct ff_flow_level *to, double x,
                  double y, double *dx, double *dy)
{
    return ff_flow_follow(from, to, x, y, dx, dy);
}

const struct ff_kernels ff_avx512_kernels = {
    "avx512", sum_rows, sum_columns, sum_columns_paired, sample_rotated, follow,
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
