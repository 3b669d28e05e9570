/* Kernels for 64-bit ARM, where every processor has NEON. */
#include "ff_internal.h"

#ifdef FF_ARM

#include <arm_neon.h>

/* Adds weight times 8 columns to two 32-bit sums. */
FF_INLINE void add_weighted(int32x4_t *low, int32x4_t *high, uint16x8_t columns, int16_t weight)
{
    const int16x8_t values = vreinterpretq_s16_u16(columns);
    *low = vmlal_n_s16(*low, vget_low_s16(values), weight);
    *high = vmlal_n_s16(*high, vget_high_s16(values), weight);
}

/* sum_rows for the 8 columns from i. */
FF_INLINE void sum_8(const uint8_t *const *restrict rows, size_t count, size_t i,
                     struct ff_row_weights weights, int16_t *restrict dst)
{
    int32x4_t low = vdupq_n_s32((int32_t)1 << weights.shift >> 1), high = low;
    const int32x4_t shift = vdupq_n_s32(-weights.shift);
    add_weighted(&low, &high, vmovl_u8(vld1_u8(rows[0] + i)), weights.first);
    add_weighted(&low, &high, vmovl_u8(vld1_u8(rows[count - 1] + i)), weights.last);
    for (size_t r = 1; r + 1 < count;) {
        const size_t stop = count - 1 - r > FF_INNER_MAX ? r + FF_INNER_MAX : count - 1;
        uint16x8_t inner = vmovl_u8(vld1_u8(rows[r] + i));
        for (r++; r < stop; r++)
            inner = vaddw_u8(inner, vld1_u8(rows[r] + i));
        add_weighted(&low, &high, inner, weights.inner);
    }
    vst1q_s16(dst + i, vcombine_s16(vmovn_s32(vshlq_s32(low, shift)),
                                    vmovn_s32(vshlq_s32(high, shift))));
}

static void sum_rows(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst)
{
    if (n < 8) {
        ff_sum_rows_scalar(rows, count, weights, 0, n, dst);
        return;
    }
    for (size_t i = 0; i + 8 <= n; i += 8)
        sum_8(rows, count, i, weights, dst);
    if (n % 8)
        sum_8(rows, count, n - 8, weights, dst);
}

/* 4 partial sums of one output. */
FF_INLINE int32x4_t partial_sums(const int16_t *restrict src, const int16_t *restrict weights,
                               size_t blocks, size_t stride)
{
    int32x4_t sum = vdupq_n_s32(0);
    for (size_t k = 0; k < blocks; k++, src += FF_BLOCK, weights += stride)
        for (size_t t = 0; t < FF_BLOCK; t += 8) {
            const int16x8_t values = vld1q_s16(src + t), factors = vld1q_s16(weights + t);
            sum = vmlal_s16(sum, vget_low_s16(values), vget_low_s16(factors));
            sum = vmlal_s16(sum, vget_high_s16(values), vget_high_s16(factors));
        }
    return sum;
}

/* The sums of 4 outputs of one line. */
FF_INLINE int32x4_t sum_4_outputs(const int16_t *restrict src, const struct ff_columns *columns,
                                 size_t j)
{
    const size_t stride = ff_round_up(columns->size, FF_GROUP) * FF_BLOCK;
    const int16_t *const weights = columns->weights + j * FF_BLOCK;
    int32x4_t part[4];
    for (size_t k = 0; k < 4; k++)
        part[k] = partial_sums(src + columns->start[j + k], weights + k * FF_BLOCK, columns->blocks,
                             stride);
    return vpaddq_s32(vpaddq_s32(part[0], part[1]), vpaddq_s32(part[2], part[3]));
}

static void sum_columns(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst)
{
    const size_t size = columns->size;
    const float32x4_t factor = vdupq_n_f32(scale), offset = vdupq_n_f32(bias);
    for (size_t j = columns->begin; j < columns->end; j += 4)
        for (size_t l = 0; l < lines; l++) {
            const int32x4_t sums = sum_4_outputs(src + l * pitch, columns, j);
            const float32x4_t products = vmulq_f32(vcvtq_f32_s32(sums), factor);
            const float32x4_t values = vaddq_f32(products, offset);
            float last[4], *const to = dst + l * size + j;
            if (size - j >= 4) {
                vst1q_f32(to, values);
            } else {
                vst1q_f32(last, values);
                for (size_t k = 0; k < size - j; k++)
                    to[k] = last[k];
            }
        }
}

static void sum_columns_paired(const int16_t *restrict src, size_t pitch, size_t lines,
                               const struct ff_columns *columns, uint32_t *dst)
{
    const size_t side = ff_round_up(columns->size, FF_GROUP);
    for (size_t j = columns->begin; j < columns->end; j += 4) {
        uint32_t *at = dst + j - side;
        uint32x4_t above = vandq_u32(vld1q_u32(at), vdupq_n_u32(0xffff));
        for (size_t l = 0; l < lines; l++, at += side) {
            const int32x4_t sums = sum_4_outputs(src + l * pitch, columns, j);
            const uint32x4_t grays = vreinterpretq_u32_s32(vrshrq_n_s32(sums, FF_COLUMN_BITS));
            vst1q_u32(at, vorrq_u32(above, vshlq_n_u32(grays, 16)));
            above = grays;
        }
        vst1q_u32(at, above);
    }
}

static int follow(const struct ff_flow_level *from, const struct ff_flow_level *to, double x,
                  double y, double *dx, double *dy)
{
    return ff_flow_follow(from, to, x, y, dx, dy);
}

const struct ff_kernels ff_neon_kernels = {
    "neon", sum_rows, sum_columns, sum_columns_paired, ff_sample_rotated_scalar, follow,
};

#endif
