/* Shared by the engine's own files; no other file includes it. */
#ifndef FF_INTERNAL_H
#define FF_INTERNAL_H

#include "ff.h"

#if defined(__x86_64__) || defined(_M_X64)
#define FF_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define FF_ARM 1
#endif

/* A product and a sum are two roundings. gcc and clang get -ffp-contract=off. */
#ifdef _MSC_VER
#pragma fp_contract(off)
#endif

/* For helpers that must be inlined, because some of their arguments are constants. */
#ifdef _MSC_VER
#define FF_INLINE static __forceinline
#else
#define FF_INLINE static inline __attribute__((always_inline))
#endif

#include "ff_flow.h"

/* ---- Processor ------------------------------------------------------------------------------- */

enum ff_cpu { FF_CPU_AVX2 = 1, FF_CPU_AVX512 = 2 };

/* The instruction sets that both processor and operating system support, as bits of enum ff_cpu. */
unsigned ff_cpu_probe(void);

/* ---- Kernels --------------------------------------------------------------------------------- */

enum {
    FF_ROW_BITS = 7,       /* fractional bits of a summed row: 255 becomes 32640 */
    FF_COLUMN_BITS = 14,   /* the column weights of an output add up to 2^14 */
    FF_BLOCK = 16,         /* column weights come in blocks of 16 values, */
    FF_GROUP = 16,         /* for outputs in groups of 16; both are padded with zeros */
    FF_OUTPUT_STEP = 8,    /* ranges of outputs are multiples of 8 */
    FF_INNER_MAX = 128,    /* 128 rows of bytes add up to less than 2^15 */
    FF_ROW_PADDING = 64,   /* values behind a summed row that a kernel may overwrite */
    FF_POSITION_BITS = 16, /* fractional bits of a position in a rotated tile */
    FF_LERP_BITS = 14,     /* fractional bits of an interpolation weight */
};

/* Weights of the rows of one output line: the first row, the last, and each one between. They add
 * up to 2^(shift + FF_ROW_BITS). */
struct ff_row_weights {
    int16_t first, inner, last;
    int shift;
};

/* Weights of the columns. weight(j, t), t < blocks * FF_BLOCK, is stored at
 * ((t / FF_BLOCK) * padded + j) * FF_BLOCK + t % FF_BLOCK, where padded is size rounded up to
 * FF_GROUP. Outputs past size have start 0 and zero weights. weights is aligned to 64 bytes. */
struct ff_columns {
    const int32_t *start;
    const int16_t *weights;
    size_t blocks, size;
    size_t begin, end; /* outputs to compute: begin is even; end is size, or a multiple of
                        * FF_OUTPUT_STEP beyond begin */
};

/* Sample positions of a rotated face in its tile, in 1/2^FF_POSITION_BITS px: output (i, j) samples
 * (x + i * cosine - j * sine, y + i * sine + j * cosine), modulo 2^32 because steps may be
 * negative. */
struct ff_sample_grid {
    uint32_t x, y, cosine, sine;
};

struct ff_kernels {
    const char *name;

    /* dst[i] = sum over r of weight(r) * rows[r][i], rounded and shifted, for n bytes of count
     * rows, count >= 1. A single row is both first and last. */
    void (*sum_rows)(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst);

    /* For each line l and output j, begin <= j < end:
     * dst[l * size + j] = (float)sum * scale + bias, where sum is that over t of
     * weight(j, t) * src[l * pitch + start[j] + t]. */
    void (*sum_columns)(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst);

    /* The same sums, rounded to grays of FF_ROW_BITS fractional bits, as a paired tile: each value
     * holds the gray of its pixel in the lower half and that of the pixel below in the upper half,
     * so that one load of two values yields the four pixels around a position. A line of dst has
     * size rounded up to FF_GROUP values; one more line lies above dst. Values outside begin .. end
     * may change. */
    void (*sum_columns_paired)(const int16_t *restrict src, size_t pitch, size_t lines,
                               const struct ff_columns *columns, uint32_t *dst);

    /* Samples a paired tile, with lines of side values, on a rotated grid. The four pixels around a
     * position are inside the tile; they are interpolated with weights of FF_LERP_BITS, down first,
     * rounded to FF_ROW_BITS again, then across. out, size x size, is (float)sum * scale + bias. */
    void (*sample_rotated)(const uint32_t *restrict tile, size_t side,
                           const struct ff_sample_grid *grid, size_t size, float scale, float bias,
                           float *restrict out);

    /* ff_flow_follow, compiled for the instruction set. */
    int (*follow)(const struct ff_flow_level *from, const struct ff_flow_level *to, double x,
                  double y, double *dx, double *dy);
};

extern const struct ff_kernels ff_scalar_kernels;
#ifdef FF_X86
extern const struct ff_kernels ff_avx2_kernels, ff_avx512_kernels;
#endif
#ifdef FF_ARM
extern const struct ff_kernels ff_neon_kernels;
#endif

/* ---- Packing one tile ------------------------------------------------------------------------ */

/* The part of a tile that a rotated square covers: the square around (centre_x, centre_y), in
 * outputs, whose edges follow (cosine, sine); half is half its side times the length of that
 * vector. */
struct ff_rotated_square {
    double cosine, sine, centre_x, centre_y, half;
};

/* The parts of a workspace, and the weights computed last. */
struct ff_packer;

/* Size of the workspace for boxes of up to w x h (in 1/FF_SUBPIXEL px) and tiles of size x size. */
size_t ff_packer_bytes(const struct ff_frame *frame, int64_t w, int64_t h, size_t size);

/* Makes a packer in workspace, which has ff_packer_bytes for the same arguments. */
struct ff_packer *ff_packer_open(void *workspace, const struct ff_kernels *kernels,
                                 const struct ff_frame *frame, int64_t w, int64_t h, size_t size,
                                 double scale, double bias);

/* Fills out, size x size, from one box. */
void ff_packer_fill(struct ff_packer *packer, const struct ff_box *box, float *restrict out);

/* Fills at least the covered part of a paired tile, see ff_kernels.sum_columns_paired. */
void ff_packer_fill_paired(struct ff_packer *packer, const struct ff_box *box,
                           const struct ff_rotated_square *covered, uint32_t *out);

/* scale and bias of ff_packer_open, as float factors of weighted sums. */
void ff_packer_scale(const struct ff_packer *packer, float *factor, float *bias);

/* ---- Helpers --------------------------------------------------------------------------------- */

static inline size_t ff_round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* sample_rotated for outputs begin to end of the line that starts at (x, y). Defines the result,
 * and finishes lines whose length is no multiple of a vector. */
static inline void ff_sample_line_scalar(const uint32_t *restrict tile, size_t side,
                                         const struct ff_sample_grid *grid, uint32_t x, uint32_t y,
                                         size_t begin, size_t end, float scale, float bias,
                                         float *restrict out)
{
    enum { ONE = 1 << FF_LERP_BITS, DOWN = FF_POSITION_BITS - FF_LERP_BITS };
    const uint32_t fraction = ((uint32_t)1 << FF_POSITION_BITS) - 1;
    for (size_t i = begin; i < end; i++) {
        const uint32_t at_x = x + (uint32_t)i * grid->cosine, at_y = y + (uint32_t)i * grid->sine;
        const int32_t right = (int32_t)((at_x & fraction) >> DOWN);
        const int32_t below = (int32_t)((at_y & fraction) >> DOWN);
        const uint32_t *const at = tile + (at_y >> FF_POSITION_BITS) * side
                                   + (at_x >> FF_POSITION_BITS);
        int32_t down[2];
        for (size_t k = 0; k < 2; k++) {
            const int32_t first = (int32_t)(at[k] & 0xffff), second = (int32_t)(at[k] >> 16);
            /* first * (ONE - below) + second * below, with one product. */
            down[k] = (first * ONE + (second - first) * below + ONE / 2) >> FF_LERP_BITS;
        }
        out[i] = (float)(down[0] * ONE + (down[1] - down[0]) * right) * scale + bias;
    }
}

/* sample_rotated without vectors. */
static inline void ff_sample_rotated_scalar(const uint32_t *restrict tile, size_t side,
                                            const struct ff_sample_grid *grid, size_t size,
                                            float scale, float bias, float *restrict out)
{
    for (size_t j = 0; j < size; j++)
        ff_sample_line_scalar(tile, side, grid, grid->x - (uint32_t)j * grid->sine,
                              grid->y + (uint32_t)j * grid->cosine, 0, size, scale, bias,
                              out + j * size);
}

/* sum_rows for columns begin to end. Defines the result, and finishes rows shorter than a
 * vector. */
static inline void ff_sum_rows_scalar(const uint8_t *const *restrict rows, size_t count,
                                      struct ff_row_weights weights, size_t begin, size_t end,
                                      int16_t *restrict dst)
{
    const int32_t half = (int32_t)1 << weights.shift >> 1;
    for (size_t i = begin; i < end; i++) {
        int32_t inner = 0;
        for (size_t r = 1; r + 1 < count; r++)
            inner += rows[r][i];
        const int32_t sum = rows[0][i] * weights.first + inner * weights.inner
                            + rows[count - 1][i] * weights.last + half;
        dst[i] = (int16_t)(sum >> weights.shift);
    }
}

#endif
