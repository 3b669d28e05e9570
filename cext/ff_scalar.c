/* Kernels in plain C, for every processor; written so that compilers vectorise them with the
 * baseline instruction set. */
#include "ff_internal.h"

#ifdef FF_X86
#include <emmintrin.h>
#endif

static void sum_rows(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst)
{
    enum { STEP = 32 };
    const uint8_t *const first = rows[0], *const last = rows[count - 1];
    const int32_t half = (int32_t)1 << weights.shift >> 1;
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        int32_t sum[STEP];
        for (size_t k = 0; k < STEP; k++)
            sum[k] = (int16_t)first[i + k] * weights.first + (int16_t)last[i + k] * weights.last
                     + half;
        for (size_t r = 1; r + 1 < count;) {
            const size_t stop = count - 1 - r > FF_INNER_MAX ? r + FF_INNER_MAX : count - 1;
            int16_t inner[STEP] = {0};
            for (; r < stop; r++)
                for (size_t k = 0; k < STEP; k++)
                    inner[k] = (int16_t)(inner[k] + rows[r][i + k]);
            for (size_t k = 0; k < STEP; k++)
                sum[k] += inner[k] * weights.inner;
        }
        for (size_t k = 0; k < STEP; k++)
            dst[i + k] = (int16_t)(sum[k] >> weights.shift);
    }
    ff_sum_rows_scalar(rows, count, weights, i, n, dst);
}

/* The weighted sum of output j of line src. */
static inline int32_t weighted_sum(const int16_t *restrict src, const struct ff_columns *columns,
                                   size_t j)
{
    const size_t stride = ff_round_up(columns->size, FF_GROUP) * FF_BLOCK;
    const int16_t *values = src + columns->start[j], *weights = columns->weights + j * FF_BLOCK;
    int32_t sum = 0;
    for (size_t b = 0; b < columns->blocks; b++) {
        for (size_t t = 0; t < FF_BLOCK; t++)
            sum += values[t] * weights[t];
        values += FF_BLOCK;
        weights += stride;
    }
    return sum;
}

static void sum_columns(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst)
{
    for (size_t l = 0; l < lines; l++)
        for (size_t j = columns->begin; j < columns->end; j++)
            dst[l * columns->size + j] =
                (float)weighted_sum(src + l * pitch, columns, j) * scale + bias;
}

static void sum_columns_paired(const int16_t *restrict src, size_t pitch, size_t lines,
                               const struct ff_columns *columns, uint32_t *dst)
{
    const size_t side = ff_round_up(columns->size, FF_GROUP);
    const int32_t half = 1 << (FF_COLUMN_BITS - 1);
    for (size_t l = 0; l < lines; l++, dst += side)
        for (size_t j = columns->begin; j < columns->end; j++) {
            const int32_t sum = weighted_sum(src + l * pitch, columns, j);
            const uint32_t gray = (uint32_t)((sum + half) >> FF_COLUMN_BITS);
            uint32_t *const above = dst + j - side;
            *above = (*above & 0xffff) | gray << 16;
            dst[j] = gray;
        }
}

#ifdef FF_X86

/* The 2x2 pixels at each of two offsets of a paired tile, 64 bits each. */
FF_INLINE __m128i load_2x2(const uint32_t *restrict tile, uint32_t a, uint32_t b)
{
    const __m128 first = _mm_castsi128_ps(_mm_loadl_epi64((const void *)(tile + a)));
    return _mm_castps_si128(_mm_loadh_pi(first, (const void *)(tile + b)));
}

/* Weights 1 - f and f, of FF_LERP_BITS, for the fractions f of positions. */
FF_INLINE __m128i lerp_weights(__m128i positions)
{
    const __m128i fraction = _mm_set1_epi32((1 << FF_POSITION_BITS) - 1);
    const __m128i f = _mm_srli_epi32(_mm_and_si128(positions, fraction),
                                     FF_POSITION_BITS - FF_LERP_BITS);
    const __m128i one = _mm_set1_epi32(1 << FF_LERP_BITS);
    return _mm_add_epi32(_mm_slli_epi32(f, 16), _mm_sub_epi32(one, f));
}

/* Four outputs per step, with the SSE2 that every x86-64 processor has; compilers do not vectorise
 * the plain loop. */
static void sample_rotated(const uint32_t *restrict tile, size_t side,
                           const struct ff_sample_grid *grid, size_t size, float scale, float bias,
                           float *restrict out)
{
    const int32_t c = (int32_t)grid->cosine, s = (int32_t)grid->sine;
    const __m128i right = _mm_setr_epi32(0, c, 2 * c, 3 * c);
    const __m128i down = _mm_setr_epi32(0, s, 2 * s, 3 * s);
    const __m128i step_x = _mm_set1_epi32(4 * c), step_y = _mm_set1_epi32(4 * s);
    const __m128i half = _mm_set1_epi32(1 << (FF_LERP_BITS - 1));
    const __m128i line = _mm_set1_epi32((int32_t)side);
    const __m128 factor = _mm_set1_ps(scale), offset = _mm_set1_ps(bias);
    for (size_t j = 0; j < size; j++, out += size) {
        const uint32_t x = grid->x - (uint32_t)j * grid->sine;
        const uint32_t y = grid->y + (uint32_t)j * grid->cosine;
        __m128i xs = _mm_add_epi32(_mm_set1_epi32((int32_t)x), right);
        __m128i ys = _mm_add_epi32(_mm_set1_epi32((int32_t)y), down);
        size_t i = 0;
        for (; i + 4 <= size; i += 4) {
            /* Rows and the side are below 2^15. */
            const __m128i row = _mm_madd_epi16(_mm_srli_epi32(ys, FF_POSITION_BITS), line);
            uint32_t at[4];
            _mm_storeu_si128((void *)at, _mm_add_epi32(row, _mm_srli_epi32(xs, FF_POSITION_BITS)));
            const __m128i below = lerp_weights(ys);
            const __m128i low = load_2x2(tile, at[0], at[1]), high = load_2x2(tile, at[2], at[3]);
            const __m128i a = _mm_add_epi32(
                _mm_madd_epi16(low, _mm_unpacklo_epi32(below, below)), half);
            const __m128i b = _mm_add_epi32(
                _mm_madd_epi16(high, _mm_unpackhi_epi32(below, below)), half);
            const __m128i columns = _mm_packs_epi32(_mm_srai_epi32(a, FF_LERP_BITS),
                                                    _mm_srai_epi32(b, FF_LERP_BITS));
            const __m128 real = _mm_cvtepi32_ps(_mm_madd_epi16(columns, lerp_weights(xs)));
            _mm_storeu_ps(out + i, _mm_add_ps(_mm_mul_ps(real, factor), offset));
            xs = _mm_add_epi32(xs, step_x);
            ys = _mm_add_epi32(ys, step_y);
        }
        ff_sample_line_scalar(tile, side, grid, x, y, i, size, scale, bias, out);
    }
}

#else
#define sample_rotated ff_sample_rotated_scalar
#endif

static int follow(const struct ff_flow_level *from, const struct ff_flow_level *to, double x,
                  double y, double *dx, double *dy)
{
    return ff_flow_follow(from, to, x, y, dx, dy);
}

const struct ff_kernels ff_scalar_kernels = {
    "scalar", sum_rows, sum_columns, sum_columns_paired, sample_rotated, follow,
};
