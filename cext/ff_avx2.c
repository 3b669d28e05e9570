/* The kernels for processors with AVX2. */
#include "ff_internal.h"

#ifdef FF_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2")
#endif

static inline __m256i widen(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}

/* 16 columns of a summed row, see ff_kernels.sum_rows. */
static inline __m256i sum_16(const uint8_t *const *restrict rows, size_t count, size_t i,
                             __m256i ends, __m256i between, __m256i half, __m128i shift)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i first = widen(rows[0] + i), last = widen(rows[count - 1] + i);
    /* 8 columns of 32 bits each: unpacking and packing both work within 128 bits, so the order is
     * restored in the end. */
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(first, last), ends);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(first, last), ends);
    low = _mm256_add_epi32(low, half);
    high = _mm256_add_epi32(high, half);
    for (size_t r = 1; r + 1 < count;) {
        const size_t stop = count - 1 - r > FF_INSIDE_MAX ? r + FF_INSIDE_MAX : count - 1;
        __m256i inside = widen(rows[r] + i);
        for (r++; r < stop; r++)
            inside = _mm256_add_epi16(inside, widen(rows[r] + i));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(inside, zero), between));
        high = _mm256_add_epi32(high,
                                _mm256_madd_epi16(_mm256_unpackhi_epi16(inside, zero), between));
    }
    return _mm256_packs_epi32(_mm256_sra_epi32(low, shift), _mm256_sra_epi32(high, shift));
}

static void sum_rows(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst)
{
    const __m256i ends = _mm256_set1_epi32((int32_t)((uint32_t)weights.last << 16
                                                     | (uint16_t)weights.first));
    const __m256i between = _mm256_set1_epi32(weights.inside);
    const __m256i half = _mm256_set1_epi32((int32_t)1 << weights.shift >> 1);
    const __m128i shift = _mm_cvtsi32_si128(weights.shift);
    if (n < 16) {
        ff_sum_rows_plain(rows, count, weights, 0, n, dst);
        return;
    }
    for (size_t i = 0;; i = i + 32 <= n ? i + 16 : n - 16) {
        const __m256i sums = sum_16(rows, count, i, ends, between, half, shift);
        _mm256_storeu_si256((__m256i *)(dst + i), sums);
        if (i + 16 == n)
            break;
    }
}

/* One output, as 8 partial sums. */
static inline __m256i one_output(const int16_t *restrict src, const int16_t *restrict weights,
                                 size_t blocks, size_t stride)
{
    __m256i sum = _mm256_setzero_si256();
    for (size_t k = 0; k < blocks; k++) {
        const __m256i values = _mm256_loadu_si256((const __m256i *)(src + k * FF_BLOCK));
        const __m256i factors = _mm256_loadu_si256((const __m256i *)(weights + k * stride));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(values, factors));
    }
    return sum;
}

static void sum_columns(const int16_t *restrict src, const int32_t *restrict start,
                        const int16_t *restrict weights, size_t blocks, size_t size, float scale,
                        float bias, float *restrict dst)
{
    const size_t stride = ff_round_up(size, FF_GROUP) * FF_BLOCK;
    const __m256 factor = _mm256_set1_ps(scale), offset = _mm256_set1_ps(bias);
    for (size_t j = 0; j < size; j += 8) {
        __m256i part[8];
        for (size_t k = 0; k < 8; k++)
            part[k] = one_output(src + start[j + k], weights + (j + k) * FF_BLOCK, blocks, stride);
        /* Each lane of 128 bits: four outputs in order, half of each. */
        const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(part[0], part[1]),
                                            _mm256_hadd_epi32(part[2], part[3]));
        const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(part[4], part[5]),
                                            _mm256_hadd_epi32(part[6], part[7]));
        const __m256i sums = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                              _mm256_permute2x128_si256(a, b, 0x31));
        const __m256 real = _mm256_cvtepi32_ps(sums);
        const __m256 result = _mm256_add_ps(_mm256_mul_ps(real, factor), offset);
        if (size - j >= 8) {
            _mm256_storeu_ps(dst + j, result);
        } else {
            float last[8];
            _mm256_storeu_ps(last, result);
            for (size_t k = 0; k < size - j; k++)
                dst[j + k] = last[k];
        }
    }
}

const struct ff_kernels ff_avx2_kernels = {"avx2", sum_rows, sum_columns};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
