/* The kernels for processors with AVX-512 F, BW, DQ, VL and VNNI (Ice Lake, Zen 4 and later). */
#include "ff_internal.h"

#ifdef FF_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#define ALL 0xffffffffu

struct constants {
    __m512i ends, between, half;
    __m128i shift;
};

/* Adds 32 columns of a and b, 16 of them to each of the 32-bit sums. Unpacking, and packing in the
 * end, both work within 128 bits, so the order is restored. */
FF_INLINE void add_weighted(__m512i *low, __m512i *high, __m512i a, __m512i b, __m512i weights)
{
    *low = _mm512_dpwssd_epi32(*low, _mm512_unpacklo_epi16(a, b), weights);
    *high = _mm512_dpwssd_epi32(*high, _mm512_unpackhi_epi16(a, b), weights);
}

/* Up to 32 columns; all of them where the mask is a constant. */
FF_INLINE __m512i widen(const uint8_t *p, const __mmask32 mask)
{
    return _mm512_cvtepu8_epi16(mask == ALL ? _mm256_loadu_si256((const void *)p)
                                            : _mm256_maskz_loadu_epi8(mask, p));
}

/* The columns in mask from i on, see ff_kernels.sum_rows. */
FF_INLINE void sum_32(const uint8_t *const *restrict rows, size_t count, size_t i,
                      const __mmask32 mask, const struct constants *c, int16_t *restrict dst)
{
    __m512i low = c->half, high = c->half;
    add_weighted(&low, &high, widen(rows[0] + i, mask), widen(rows[count - 1] + i, mask), c->ends);
    for (size_t r = 1; r + 1 < count;) {
        const size_t stop = count - 1 - r > FF_INSIDE_MAX ? r + FF_INSIDE_MAX : count - 1;
        __m512i inside = widen(rows[r] + i, mask);
        for (r++; r < stop; r++)
            inside = _mm512_add_epi16(inside, widen(rows[r] + i, mask));
        add_weighted(&low, &high, inside, _mm512_setzero_si512(), c->between);
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
        _mm512_set1_epi32(weights.inside),
        _mm512_set1_epi32((int32_t)1 << weights.shift >> 1),
        _mm_cvtsi32_si128(weights.shift),
    };
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        sum_32(rows, count, i, ALL, &c, dst);
    if (i < n)
        sum_32(rows, count, i, ((__mmask32)1 << (n - i)) - 1, &c, dst);
}

/* Two outputs of one line, 8 partial sums each. */
FF_INLINE __m512i two_outputs(const int16_t *restrict src, const int32_t *restrict start,
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

/* Adds neighbours: of each output's partial sums in a and b, half as many are left. */
FF_INLINE __m512i halve_32(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

FF_INLINE __m512i halve_64(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Sixteen outputs of one line, in lanes of 128 bits: 0 2 4 6, 1 3 5 7, 8 10 12 14, 9 11 13 15; or
 * eight, with anything in place of the others. */
FF_INLINE __m512i group(const int16_t *restrict src, const int32_t *restrict start,
                        const int16_t *restrict weights, const size_t blocks, size_t stride,
                        const int half)
{
#define TWO(k) two_outputs(src, start + (k), weights + (k) * FF_BLOCK, blocks, stride)
    const __m512i a = halve_64(halve_32(TWO(0), TWO(2)), halve_32(TWO(4), TWO(6)));
    const __m512i b = half ? a
                           : halve_64(halve_32(TWO(8), TWO(10)), halve_32(TWO(12), TWO(14)));
#undef TWO
    return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/* What group gave, in order. */
FF_INLINE __m512i in_order(__m512i sums)
{
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15), sums);
}

FF_INLINE void columns_in(const size_t blocks, const int16_t *restrict src, size_t pitch,
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
            const __m512i sums = group(src + l * pitch, start, weights, blocks, stride, 0);
            const __m512 real = _mm512_cvtepi32_ps(in_order(sums));
            _mm512_mask_storeu_ps(dst + l * size + j, mask,
                                  _mm512_add_ps(_mm512_mul_ps(real, factor), offset));
        }
    }
}

static void sum_columns(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst)
{
    /* Most faces need one or two blocks: spare them the loop. */
    switch (columns->blocks) {
    case 1:
        columns_in(1, src, pitch, lines, columns, scale, bias, dst);
        break;
    case 2:
        columns_in(2, src, pitch, lines, columns, scale, bias, dst);
        break;
    default:
        columns_in(columns->blocks, src, pitch, lines, columns, scale, bias, dst);
    }
}

/* Of lines, sixteen outputs from j on, or eight. */
FF_INLINE void pairs_at(const size_t blocks, const int half, const int16_t *restrict src,
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
        const __m512i sums = group(src + l * pitch, start, weights, blocks, stride, half);
        const __m512i grays = in_order(_mm512_srai_epi32(_mm512_add_epi32(sums, rounding),
                                                         FF_COLUMN_BITS));
        _mm512_storeu_si512(at, _mm512_or_si512(above, _mm512_slli_epi32(grays, 16)));
        above = grays;
    }
    _mm512_storeu_si512(at, above);
}

FF_INLINE void pairs_in(const size_t blocks, const int16_t *restrict src, size_t pitch,
                        size_t lines, const struct ff_columns *columns, uint32_t *dst)
{
    size_t j = columns->begin;
    for (; j + FF_STEP < columns->end; j += FF_GROUP)
        pairs_at(blocks, 0, src, pitch, lines, columns, j, dst);
    if (j < columns->end)
        pairs_at(blocks, 1, src, pitch, lines, columns, j, dst);
}

static void sum_pairs(const int16_t *restrict src, size_t pitch, size_t lines,
                      const struct ff_columns *columns, uint32_t *dst)
{
    switch (columns->blocks) {
    case 1:
        pairs_in(1, src, pitch, lines, columns, dst);
        break;
    case 2:
        pairs_in(2, src, pitch, lines, columns, dst);
        break;
    default:
        pairs_in(columns->blocks, src, pitch, lines, columns, dst);
    }
}

/* Weights 1 - f and f, in FF_LOOK_BITS, for fractions f of FF_POSITION_BITS twice each. */
FF_INLINE __m512i shares(__m512i twice)
{
    const __m512i f = _mm512_srli_epi16(twice, FF_POSITION_BITS - FF_LOOK_BITS);
    return _mm512_mask_sub_epi16(f, 0x55555555, _mm512_set1_epi16(1 << FF_LOOK_BITS), f);
}

/* Sixteen outputs a step. Four neighbours are 64 bits of a tile of pairs; two vectors of eight take
 * the outputs 0 1 4 5 8 9 12 13 and 2 3 6 7 10 11 14 15, so that packing puts them in order. */
static void look(const uint32_t *restrict tile, size_t side, const struct ff_view *view, size_t size,
                 float scale, float bias, float *restrict out)
{
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i order = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    /* Fractions: of each of the four positions in 128 bits twice; of the first two, and of the last
     * two, four times. */
    const __m512i twice = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const __m512i first = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 4, 5, 4, 5, 4, 5, 4, 5));
    const __m512i second = _mm512_broadcast_i32x4(
        _mm_setr_epi8(8, 9, 8, 9, 8, 9, 8, 9, 12, 13, 12, 13, 12, 13, 12, 13));
    const __m512i half = _mm512_set1_epi32(1 << (FF_LOOK_BITS - 1));
    const __m512i line = _mm512_set1_epi32((int32_t)side);
    const __m512 factor = _mm512_set1_ps(scale), offset = _mm512_set1_ps(bias);
    const __m512i right = _mm512_mullo_epi32(count, _mm512_set1_epi32((int32_t)view->cosine));
    const __m512i down = _mm512_mullo_epi32(count, _mm512_set1_epi32((int32_t)view->sine));
    const __m512i step_x = _mm512_set1_epi32((int32_t)(16 * view->cosine));
    const __m512i step_y = _mm512_set1_epi32((int32_t)(16 * view->sine));
    for (size_t j = 0; j < size; j++, out += size) {
        const uint32_t x = view->x - (uint32_t)j * view->sine;
        const uint32_t y = view->y + (uint32_t)j * view->cosine;
        __m512i xs = _mm512_add_epi32(_mm512_set1_epi32((int32_t)x), right);
        __m512i ys = _mm512_add_epi32(_mm512_set1_epi32((int32_t)y), down);
        for (size_t i = 0; i < size; i += 16) {
            const __mmask16 mask = (__mmask16)(size - i >= 16 ? 0xffff : (1u << (size - i)) - 1);
            /* Rows and the side are below 2^15. What is not wanted may lie outside: it reads the
             * first pixel. */
            const __m512i row = _mm512_madd_epi16(_mm512_srli_epi32(ys, FF_POSITION_BITS), line);
            const __m512i at = _mm512_maskz_add_epi32(mask, row,
                                                      _mm512_srli_epi32(xs, FF_POSITION_BITS));
            const __m512i sorted = _mm512_permutexvar_epi32(order, at);
            const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(sorted), tile, 4);
            const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(sorted, 1),
                                                        tile, 4);
            const __m512i a = _mm512_dpwssd_epi32(half, low,
                                                  shares(_mm512_shuffle_epi8(ys, first)));
            const __m512i b = _mm512_dpwssd_epi32(half, high,
                                                  shares(_mm512_shuffle_epi8(ys, second)));
            const __m512i columns = _mm512_packs_epi32(_mm512_srai_epi32(a, FF_LOOK_BITS),
                                                       _mm512_srai_epi32(b, FF_LOOK_BITS));
            const __m512i sums = _mm512_madd_epi16(columns,
                                                   shares(_mm512_shuffle_epi8(xs, twice)));
            const __m512 real = _mm512_cvtepi32_ps(sums);
            _mm512_mask_storeu_ps(out + i, mask,
                                  _mm512_add_ps(_mm512_mul_ps(real, factor), offset));
            xs = _mm512_add_epi32(xs, step_x);
            ys = _mm512_add_epi32(ys, step_y);
        }
    }
}

const struct ff_kernels ff_avx512_kernels = {"avx512", sum_rows, sum_columns, sum_pairs, look};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
