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

/* Sixteen outputs of one line. */
FF_INLINE __m512i group(const int16_t *restrict src, const int32_t *restrict start,
                        const int16_t *restrict weights, const size_t blocks, size_t stride)
{
#define TWO(k) two_outputs(src, start + (k), weights + (k) * FF_BLOCK, blocks, stride)
    const __m512i a = halve_64(halve_32(TWO(0), TWO(2)), halve_32(TWO(4), TWO(6)));
    const __m512i b = halve_64(halve_32(TWO(8), TWO(10)), halve_32(TWO(12), TWO(14)));
#undef TWO
    /* Lanes of 128 bits: outputs 0 2 4 6, 1 3 5 7, 8 10 12 14, 9 11 13 15. */
    const __m512i sums = _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88),
                                          _mm512_shuffle_i64x2(a, b, 0xdd));
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
        const __mmask16 mask = left >= FF_GROUP ? 0xffff : (__mmask16)((1u << left) - 1);
        for (size_t l = 0; l < lines; l++) {
            const __m512i sums = group(src + l * pitch, start, weights, blocks, stride);
            const __m512 real = _mm512_cvtepi32_ps(sums);
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

const struct ff_kernels ff_avx512_kernels = {"avx512", sum_rows, sum_columns};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
