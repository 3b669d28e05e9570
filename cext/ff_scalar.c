/* The kernels in plain C: what runs where nothing better does, written so that a compiler can use
 * the vectors of the baseline. */
#include "ff_internal.h"

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
            const size_t stop = count - 1 - r > FF_INSIDE_MAX ? r + FF_INSIDE_MAX : count - 1;
            int16_t inside[STEP] = {0};
            for (; r < stop; r++)
                for (size_t k = 0; k < STEP; k++)
                    inside[k] = (int16_t)(inside[k] + rows[r][i + k]);
            for (size_t k = 0; k < STEP; k++)
                sum[k] += inside[k] * weights.inside;
        }
        for (size_t k = 0; k < STEP; k++)
            dst[i + k] = (int16_t)(sum[k] >> weights.shift);
    }
    ff_sum_rows_plain(rows, count, weights, i, n, dst);
}

/* The sum for output j of the line src. */
static inline int32_t sum_of(const int16_t *restrict src, const struct ff_columns *columns, size_t j)
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
            dst[l * columns->size + j] = (float)sum_of(src + l * pitch, columns, j) * scale + bias;
}

static void sum_pairs(const int16_t *restrict src, size_t pitch, size_t lines,
                      const struct ff_columns *columns, uint32_t *dst)
{
    const size_t side = ff_round_up(columns->size, FF_GROUP);
    const int32_t half = 1 << (FF_COLUMN_BITS - 1);
    for (size_t l = 0; l < lines; l++, dst += side)
        for (size_t j = columns->begin; j < columns->end; j++) {
            const int32_t sum = sum_of(src + l * pitch, columns, j);
            const uint32_t gray = (uint32_t)((sum + half) >> FF_COLUMN_BITS);
            uint32_t *const above = dst + j - side;
            *above = (*above & 0xffff) | gray << 16;
            dst[j] = gray;
        }
}

const struct ff_kernels ff_scalar_kernels = {"scalar", sum_rows, sum_columns, sum_pairs,
                                             ff_look_each};
