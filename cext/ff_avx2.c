/* Kernels for AVX2. */
#include "ff_internal.h"

#ifdef FF_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2")
#endif

FF_INLINE __m256i widen(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)p));
}

struct constants {
    __m256i ends, between, half;
    __m128i shift;
};

/* Adds 16 columns of a and b, 8 to each of the 32-bit sums. Unpacking here and packing at the end
 * both work within 128-bit lanes, so the columns end up in order. */
FF_INLINE void add_weighted(__m256i *low, __m256i *high, __m256i a, __m256i b, __m256i weights)
{
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), weights));
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), weights));
}

/* sum_rows for the 32 columns from i. */
FF_INLINE void sum_32(const uint8_t *const *restrict rows, size_t count, size_t i,
                      const struct constants *c, int16_t *restrict dst)
{
    const __m256i zero = _mm256_setzero_si256();
    const uint8_t *const first = rows[0] + i, *const last = rows[count - 1] + i;
    __m256i low0 = c->half, high0 = c->half, low1 = c->half, high1 = c->half;
    add_weighted(&low0, &high0, widen(first), widen(last), c->ends);
    add_weighted(&low1, &high1, widen(first + 16), widen(last + 16), c->ends);
    for (size_t r = 1; r + 1 < count;) {
        const size_t stop = count - 1 - r > FF_INNER_MAX ? r + FF_INNER_MAX : count - 1;
        __m256i inner0 = widen(rows[r] + i), inner1 = widen(rows[r] + i + 16);
        for (r++; r < stop; r++) {
            inner0 = _mm256_add_epi16(inner0, widen(rows[r] + i));
            inner1 = _mm256_add_epi16(inner1, widen(rows[r] + i + 16));
        }
        add_weighted(&low0, &high0, inner0, zero, c->between);
        add_weighted(&low1, &high1, inner1, zero, c->between);
    }
    _mm256_storeu_si256((void *)(dst + i),
                        _mm256_packs_epi32(_mm256_sra_epi32(low0, c->shift),
                                           _mm256_sra_epi32(high0, c->shift)));
    _mm256_storeu_si256((void *)(dst + i + 16),
                        _mm256_packs_epi32(_mm256_sra_epi32(low1, c->shift),
                                           _mm256_sra_epi32(high1, c->shift)));
}

static void sum_rows(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst)
{
    const uint32_t ends = (uint32_t)weights.last << 16 | (uint16_t)weights.first;
    const struct constants c = {
        _mm256_set1_epi32((int32_t)ends),
        _mm256_set1_epi32(weights.inner),
        _mm256_set1_epi32((int32_t)1 << weights.shift >> 1),
        _mm_cvtsi32_si128(weights.shift),
    };
    if (n < 32) {
        ff_sum_rows_scalar(rows, count, weights, 0, n, dst);
        return;
    }
    for (size_t i = 0; i + 32 <= n; i += 32)
        sum_32(rows, count, i, &c, dst);
    if (n % 32)
        sum_32(rows, count, n - 32, &c, dst);
}

/* 8 partial sums of one output. */
FF_INLINE __m256i partial_sums(const int16_t *restrict src, const int16_t *restrict weights,
                             const size_t blocks, size_t stride)
{
    __m256i sum = _mm256_setzero_si256();
    for (size_t k = 0; k < blocks; k++) {
        const __m256i values = _mm256_loadu_si256((const void *)(src + k * FF_BLOCK));
        const __m256i factors = _mm256_load_si256((const void *)(weights + k * stride));
        const __m256i products = _mm256_madd_epi16(values, factors);
        sum = k ? _mm256_add_epi32(sum, products) : products;
    }
    return sum;
}

/* The sums of 8 outputs of one line. */
FF_INLINE __m256i sum_8_outputs(const int16_t *restrict src, const int32_t *restrict start,
                        const int16_t *restrict weights, const size_t blocks, size_t stride)
{
#define PARTIAL(k) partial_sums(src + start[k], weights + (k) * FF_BLOCK, blocks, stride)
    /* Each 128-bit lane: four outputs in order, half of each. */
    const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(PARTIAL(0), PARTIAL(1)),
                                        _mm256_hadd_epi32(PARTIAL(2), PARTIAL(3)));
    const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(PARTIAL(4), PARTIAL(5)),
                                        _mm256_hadd_epi32(PARTIAL(6), PARTIAL(7)));
#undef PARTIAL
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

FF_INLINE void columns_blocks(const size_t blocks, const int16_t *restrict src, size_t pitch,
                          size_t lines, const struct ff_columns *columns, float scale,
                          float bias, float *restrict dst)
{
    const size_t size = columns->size, stride = ff_round_up(size, FF_GROUP) * FF_BLOCK;
    const __m256 factor = _mm256_set1_ps(scale), offset = _mm256_set1_ps(bias);
    for (size_t j = columns->begin; j < columns->end; j += 8)
        for (size_t l = 0; l < lines; l++) {
            const __m256i sums = sum_8_outputs(src + l * pitch, columns->start + j,
                                       columns->weights + j * FF_BLOCK, blocks, stride);
            const __m256 values = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), factor),
                                                offset);
            float *const to = dst + l * size + j;
            if (size - j >= 8) {
                _mm256_storeu_ps(to, values);
            } else {
                float last[8];
                _mm256_storeu_ps(last, values);
                for (size_t k = 0; k < size - j; k++)
                    to[k] = last[k];
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

FF_INLINE void paired_blocks(const size_t blocks, const int16_t *restrict src, size_t pitch,
                        size_t lines, const struct ff_columns *columns, uint32_t *dst)
{
    const size_t side = ff_round_up(columns->size, FF_GROUP), stride = side * FF_BLOCK;
    const __m256i rounding = _mm256_set1_epi32(1 << (FF_COLUMN_BITS - 1));
    for (size_t j = columns->begin; j < columns->end; j += 8) {
        uint32_t *at = dst + j - side;
        __m256i above = _mm256_and_si256(_mm256_loadu_si256((const void *)at),
                                         _mm256_set1_epi32(0xffff));
        for (size_t l = 0; l < lines; l++, at += side) {
            const __m256i sums = sum_8_outputs(src + l * pitch, columns->start + j,
                                       columns->weights + j * FF_BLOCK, blocks, stride);
            const __m256i grays = _mm256_srai_epi32(_mm256_add_epi32(sums, rounding),
                                                    FF_COLUMN_BITS);
            _mm256_storeu_si256((void *)at, _mm256_or_si256(above, _mm256_slli_epi32(grays, 16)));
            above = grays;
        }
        _mm256_storeu_si256((void *)at, above);
    }
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
FF_INLINE __m256i lerp_weights(__m256i twice)
{
    const __m256i f = _mm256_srli_epi16(twice, FF_POSITION_BITS - FF_LERP_BITS);
    const __m256i other = _mm256_xor_si256(f, _mm256_set1_epi32(0xffff)); /* -1 - f */
    return _mm256_add_epi16(other, _mm256_set1_epi32((1 << FF_LERP_BITS) + 1));
}

/* The 2x2 pixels at each of four offsets of a paired tile, 64 bits each. Plain loads: a gather is
 * slower on many processors. Each load is broadcast, which costs no shuffle. */
FF_INLINE __m256i load_2x2(const uint32_t *restrict tile, uint32_t a, uint32_t b, uint32_t c,
                         uint32_t d)
{
#define LOAD(k) _mm256_broadcastq_epi64(_mm_loadl_epi64((const void *)(tile + (k))))
    const __m256i low = _mm256_blend_epi32(LOAD(a), LOAD(b), 0x0c);
    const __m256i high = _mm256_blend_epi32(LOAD(c), LOAD(d), 0xc0);
    return _mm256_blend_epi32(low, high, 0xf0);
#undef LOAD
}

/* Eight outputs per step. Two vectors of four take outputs 0 1 4 5 and 2 3 6 7, so that packing
 * restores the order. */
static void sample_rotated(const uint32_t *restrict tile, size_t side,
                           const struct ff_sample_grid *grid, size_t size, float scale, float bias,
                           float *restrict out)
{
    const __m256i count = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    /* Shuffles that repeat fractions: of the four positions in 128 bits twice each; of the first
     * two, or of the last two, four times each. */
    const __m256i twice = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 4, 5, 4, 5, 4, 5, 4, 5));
    const __m256i second = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(8, 9, 8, 9, 8, 9, 8, 9, 12, 13, 12, 13, 12, 13, 12, 13));
    const __m256i half = _mm256_set1_epi32(1 << (FF_LERP_BITS - 1));
    const __m256i line = _mm256_set1_epi32((int32_t)side);
    const __m256 factor = _mm256_set1_ps(scale), offset = _mm256_set1_ps(bias);
    const __m256i right = _mm256_mullo_epi32(count, _mm256_set1_epi32((int32_t)grid->cosine));
    const __m256i down = _mm256_mullo_epi32(count, _mm256_set1_epi32((int32_t)grid->sine));
    const __m256i step_x = _mm256_set1_epi32((int32_t)(8 * grid->cosine));
    const __m256i step_y = _mm256_set1_epi32((int32_t)(8 * grid->sine));
    for (size_t j = 0; j < size; j++, out += size) {
        const uint32_t x = grid->x - (uint32_t)j * grid->sine;
        const uint32_t y = grid->y + (uint32_t)j * grid->cosine;
        __m256i xs = _mm256_add_epi32(_mm256_set1_epi32((int32_t)x), right);
        __m256i ys = _mm256_add_epi32(_mm256_set1_epi32((int32_t)y), down);
        size_t i = 0;
        for (; i + 8 <= size; i += 8) {
            /* Rows and the side are below 2^15. */
            const __m256i row = _mm256_madd_epi16(_mm256_srli_epi32(ys, FF_POSITION_BITS), line);
            uint32_t at[8];
            _mm256_storeu_si256((void *)at,
                                _mm256_add_epi32(row, _mm256_srli_epi32(xs, FF_POSITION_BITS)));
            const __m256i low = load_2x2(tile, at[0], at[1], at[4], at[5]);
            const __m256i high = load_2x2(tile, at[2], at[3], at[6], at[7]);
            const __m256i a = _mm256_add_epi32(
                _mm256_madd_epi16(low, lerp_weights(_mm256_shuffle_epi8(ys, first))), half);
            const __m256i b = _mm256_add_epi32(
                _mm256_madd_epi16(high, lerp_weights(_mm256_shuffle_epi8(ys, second))), half);
            const __m256i columns = _mm256_packs_epi32(_mm256_srai_epi32(a, FF_LERP_BITS),
                                                       _mm256_srai_epi32(b, FF_LERP_BITS));
            const __m256i sums = _mm256_madd_epi16(columns,
                                                   lerp_weights(_mm256_shuffle_epi8(xs, twice)));
            const __m256 real = _mm256_cvtepi32_ps(sums);
            _mm256_storeu_ps(out + i, _mm256_add_ps(_mm256_mul_ps(real, factor), offset));
            xs = _mm256_add_epi32(xs, step_x);
            ys = _mm256_add_epi32(ys, step_y);
        }
        ff_sample_line_scalar(tile, side, grid, x, y, i, size, scale, bias, out);
    }
}

static int follow(const struct ff_flow_level *from, const struct ff_flow_level *to, double x,
                  double y, double *dx, double *dy)
{
    return ff_flow_follow(from, to, x, y, dx, dy);
}

const struct ff_kernels ff_avx2_kernels = {
    "avx2", sum_rows, sum_columns, sum_columns_paired, sample_rotated, follow,
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
