/* What the engine's own files share; nobody else includes this. */
#ifndef FF_INTERNAL_H
#define FF_INTERNAL_H

#include "ff.h"

#if defined(__x86_64__) || defined(_M_X64)
#define FF_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define FF_ARM 1
#endif

/* A product and a sum are two roundings. Other compilers are told so by -ffp-contract=off. */
#ifdef _MSC_VER
#pragma fp_contract(off)
#endif

/* For helpers that must melt into their caller, where some arguments are constants. */
#ifdef _MSC_VER
#define FF_INLINE static __forceinline
#else
#define FF_INLINE static inline __attribute__((always_inline))
#endif

/* ---- Processor ------------------------------------------------------------------------------- */

enum ff_cpu { FF_CPU_AVX2 = 1, FF_CPU_AVX512 = 2 };

/* The instruction sets that processor and operating system both support, as bits of enum ff_cpu. */
unsigned ff_cpu_probe(void);

/* ---- Kernels --------------------------------------------------------------------------------- */

enum {
    FF_ROW_BITS = 7,     /* fractional bits of a summed row: 255 becomes 32640 */
    FF_COLUMN_BITS = 14, /* the column weights of an output add up to 2^14 */
    FF_BLOCK = 16,       /* column weights come in blocks of so many values, */
    FF_GROUP = 16,       /* for outputs in groups of so many; both are padded with zeros */
    FF_STEP = 8,         /* outputs are left out in groups of so many */
    FF_INSIDE_MAX = 128, /* so many rows of bytes add up to less than 2^15 */
    FF_SLACK = 64,       /* values behind a summed row that a kernel may overwrite */
};

/* Weights of the rows of one output line: the first, the last, and each of those between. They add
 * up to 2^(shift + FF_ROW_BITS). */
struct ff_row_weights {
    int16_t first, inside, last;
    int shift;
};

/* The weights of the columns. weight(j, t), t < blocks * FF_BLOCK, stands at
 * ((t / FF_BLOCK) * padded + j) * FF_BLOCK + t % FF_BLOCK, where padded is size rounded up to
 * FF_GROUP. Padded outputs have start 0 and no weight. weights is aligned to 64 bytes. */
struct ff_columns {
    const int32_t *start;
    const int16_t *weights;
    size_t blocks, size;
    size_t begin, end; /* the outputs wanted: begin is even, and end is either size or whole groups
                        * of FF_STEP further */
};

/* Where the outputs of a turned face lie in a tile: output (i, j) at x + i * cosine - j * sine,
 * y + i * sine + j * cosine, in 1/65536; all of it modulo 2^32, as steps may be negative. */
struct ff_view {
    uint32_t x, y, cosine, sine;
};

enum {
    FF_POSITION_BITS = 16, /* of the fraction of a position, */
    FF_LOOK_BITS = 14,     /* and of the weights that are made of it */
};

struct ff_kernels {
    const char *name;

    /* dst[i] = sum over r of weight(r) * rows[r][i], rounded and shifted, for n bytes of count
     * rows. count is 1 or more; a single row is both first and last. */
    void (*sum_rows)(const uint8_t *const *restrict rows, size_t count,
                     struct ff_row_weights weights, size_t n, int16_t *restrict dst);

    /* For each line l and output j, begin <= j < end: dst[l * size + j] = (float)sum * scale + bias,
     * where sum is that over t of weight(j, t) * src[l * pitch + start[j] + t]. */
    void (*sum_columns)(const int16_t *restrict src, size_t pitch, size_t lines,
                        const struct ff_columns *columns, float scale, float bias,
                        float *restrict dst);

    /* The same sums as grays of FF_ROW_BITS fractional bits, rounded, in a tile of pairs: a gray is
     * the lower half of its own value and the upper half of that above it, so that a load of two
     * values gets all four pixels around a position. The line of dst is of size rounded up to
     * FF_GROUP; there is one above dst, and what is not wanted of a line may change. */
    void (*sum_pairs)(const int16_t *restrict src, size_t pitch, size_t lines,
                      const struct ff_columns *columns, uint32_t *dst);

    /* Looks at such a tile, with lines of side values, under an angle. Between the four pixels
     * around a position, none of which is outside the tile, weights have FF_LOOK_BITS: down first,
     * rounded to FF_ROW_BITS again, then across; out, size x size, is (float)sum * scale + bias. */
    void (*look)(const uint32_t *restrict tile, size_t side, const struct ff_view *view, size_t size,
                 float scale, float bias, float *restrict out);
};

extern const struct ff_kernels ff_scalar_kernels;
#ifdef FF_X86
extern const struct ff_kernels ff_avx2_kernels, ff_avx512_kernels;
#endif
#ifdef FF_ARM
extern const struct ff_kernels ff_neon_kernels;
#endif

/* ---- Packing one tile ------------------------------------------------------------------------ */

/* Which outputs of a tile are wanted: those within a square turned around the middle of the tile,
 * whose cosine and sine are in the unit of half. All else in outputs. */
struct ff_turned_square {
    double cosine, sine, middle_x, middle_y, half;
};

/* The parts of the workspace, and the weights made last. */
struct ff_packer;

/* What a packer needs for boxes of up to w x h (in 1/256 px) and tiles of size x size. */
size_t ff_packer_bytes(const struct ff_frame *frame, int64_t w, int64_t h, size_t size);

/* Makes a packer in workspace, which holds ff_packer_bytes for the same arguments. */
struct ff_packer *ff_packer_open(void *workspace, const struct ff_kernels *kernels,
                                 const struct ff_frame *frame, int64_t w, int64_t h, size_t size,
                                 double scale, double bias);

/* Fills out, size x size, from one box. */
void ff_packer_fill(struct ff_packer *packer, const struct ff_box *box, float *restrict out);

/* The same as a tile of pairs, see ff_kernels.sum_pairs, and at least the outputs wanted. */
void ff_packer_fill_pairs(struct ff_packer *packer, const struct ff_box *box,
                          const struct ff_turned_square *wanted, uint32_t *out);

/* What float makes of sums of weights: scale and bias of ff_packer_open. */
void ff_packer_scale(const struct ff_packer *packer, float *factor, float *bias);

/* ---- Helpers --------------------------------------------------------------------------------- */

static inline size_t ff_round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* look for the outputs from begin to end of the line that starts at (x, y): the definition, and what
 * is left over at the end of a line. */
static inline void ff_look_plain(const uint32_t *restrict tile, size_t side,
                                 const struct ff_view *view, uint32_t x, uint32_t y, size_t begin,
                                 size_t end, float scale, float bias, float *restrict out)
{
    enum { ONE = 1 << FF_LOOK_BITS, DOWN = FF_POSITION_BITS - FF_LOOK_BITS };
    const uint32_t fraction = ((uint32_t)1 << FF_POSITION_BITS) - 1;
    for (size_t i = begin; i < end; i++) {
        const uint32_t at_x = x + (uint32_t)i * view->cosine, at_y = y + (uint32_t)i * view->sine;
        const int32_t right = (int32_t)((at_x & fraction) >> DOWN);
        const int32_t below = (int32_t)((at_y & fraction) >> DOWN);
        const uint32_t *const at = tile + (at_y >> FF_POSITION_BITS) * side
                                   + (at_x >> FF_POSITION_BITS);
        int32_t down[2];
        for (size_t k = 0; k < 2; k++) {
            const int32_t first = (int32_t)(at[k] & 0xffff), second = (int32_t)(at[k] >> 16);
            /* first * (ONE - below) + second * below, with one product. */
            down[k] = (first * ONE + (second - first) * below + ONE / 2) >> FF_LOOK_BITS;
        }
        out[i] = (float)(down[0] * ONE + (down[1] - down[0]) * right) * scale + bias;
    }
}

/* look without vectors. */
static inline void ff_look_each(const uint32_t *restrict tile, size_t side,
                                const struct ff_view *view, size_t size, float scale, float bias,
                                float *restrict out)
{
    for (size_t j = 0; j < size; j++)
        ff_look_plain(tile, side, view, view->x - (uint32_t)j * view->sine,
                      view->y + (uint32_t)j * view->cosine, 0, size, scale, bias, out + j * size);
}

/* sum_rows for the columns from begin to end: the definition, and what is left over at the end of a
 * row that is shorter than a vector. */
static inline void ff_sum_rows_plain(const uint8_t *const *restrict rows, size_t count,
                                     struct ff_row_weights weights, size_t begin, size_t end,
                                     int16_t *restrict dst)
{
    const int32_t half = (int32_t)1 << weights.shift >> 1;
    for (size_t i = begin; i < end; i++) {
        int32_t inside = 0;
        for (size_t r = 1; r + 1 < count; r++)
            inside += rows[r][i];
        const int32_t sum = rows[0][i] * weights.first + inside * weights.inside
                            + rows[count - 1][i] * weights.last + half;
        dst[i] = (int16_t)(sum >> weights.shift);
    }
}

#endif
