/* Packing turned faces: an upright tile around each, then a turned look at the tile.
 *
 * The tile has about the resolution of the output, so averaging the frame's pixels, which is nearly
 * all of the work, is done by the kernels for upright boxes; only what the turned square covers of
 * the tile is computed. The look is bilinear. */
#include "ff_internal.h"

#ifdef FF_X86
#include <emmintrin.h>
#endif

enum {
    MARGIN = 3,    /* outputs by which a tile is larger than what a turned square can cover */
    ONE = 1 << 16, /* positions in a tile, and cosines, are in 1/65536 */
};

static inline size_t tile_size(size_t size)
{
    return size * 1449 / 1024 + MARGIN; /* a little more than the square root of two */
}

static inline int64_t half_down(int64_t value)
{
    return value >= 0 ? value / 2 : -((1 - value) / 2);
}

/* The side of the square that stands for a turned box; at least a pixel. */
static inline int64_t square_side(const struct ff_box *box)
{
    const int64_t side = (box->w + box->h) / 2;
    return side > FF_SUBPIXEL ? side : FF_SUBPIXEL;
}

/* The side of its tile. */
static inline int64_t tile_side(int64_t side, size_t size)
{
    const int64_t n = (int64_t)size, tile = (int64_t)tile_size(size);
    return (2 * side * tile + n) / (2 * n);
}

/* Where the outputs lie in the tile: output (i, j) at x + (2i + 1 - size) * cosine
 * - (2j + 1 - size) * sine, and so on. */
struct view {
    int32_t x, y, cosine, sine;
};

/* One output, at (x, y) in the tile: first down, then across. */
static inline float look_at(const float *restrict tile, size_t pitch, uint32_t x, uint32_t y)
{
    const float *const at = tile + (size_t)(y / ONE) * pitch + x / ONE;
    const float right = (float)(int32_t)(x % ONE) * (1.0f / ONE);
    const float below = (float)(int32_t)(y % ONE) * (1.0f / ONE);
    const float first = at[0] + below * (at[pitch] - at[0]);
    const float second = at[1] + below * (at[pitch + 1] - at[1]);
    return first + right * (second - first);
}

#ifdef FF_X86

/* Two neighbours at each of two places. */
FF_INLINE __m128 pairs(const float *one, const float *two)
{
    return _mm_loadh_pi(_mm_loadl_pi(_mm_setzero_ps(), (const void *)one), (const void *)two);
}

FF_INLINE __m128 between(__m128 a, __m128 b, __m128 share)
{
    return _mm_add_ps(a, _mm_mul_ps(share, _mm_sub_ps(b, a)));
}

/* The positions from here on, four at a time; returns how many outputs were written. SSE2, which
 * every x86-64 processor has. */
static size_t look_vector(const float *restrict tile, size_t pitch, uint32_t x, uint32_t y,
                          const struct view *view, size_t size, float *restrict out)
{
    const __m128i fraction = _mm_set1_epi32(ONE - 1), wide = _mm_set1_epi32((int32_t)pitch);
    const __m128 unit = _mm_set1_ps(1.0f / ONE);
    const int32_t c = 2 * view->cosine, s = 2 * view->sine;
    __m128i xs = _mm_add_epi32(_mm_set1_epi32((int32_t)x), _mm_setr_epi32(0, c, 2 * c, 3 * c));
    __m128i ys = _mm_add_epi32(_mm_set1_epi32((int32_t)y), _mm_setr_epi32(0, s, 2 * s, 3 * s));
    const __m128i step_x = _mm_set1_epi32(4 * c), step_y = _mm_set1_epi32(4 * s);
    size_t i = 0;
    for (; i + 4 <= size; i += 4) {
        int32_t at[4];
        /* Rows and the pitch are below 2^15. */
        const __m128i row = _mm_madd_epi16(_mm_srli_epi32(ys, 16), wide);
        _mm_storeu_si128((void *)at, _mm_add_epi32(row, _mm_srli_epi32(xs, 16)));
        const __m128 right = _mm_mul_ps(_mm_cvtepi32_ps(_mm_and_si128(xs, fraction)), unit);
        const __m128 below = _mm_mul_ps(_mm_cvtepi32_ps(_mm_and_si128(ys, fraction)), unit);
        const float *const p = tile + at[0], *const q = tile + at[1];
        const float *const r = tile + at[2], *const t = tile + at[3];
        const __m128 one = between(pairs(p, q), pairs(p + pitch, q + pitch),
                                   _mm_unpacklo_ps(below, below));
        const __m128 two = between(pairs(r, t), pairs(r + pitch, t + pitch),
                                   _mm_unpackhi_ps(below, below));
        const __m128 first = _mm_shuffle_ps(one, two, _MM_SHUFFLE(2, 0, 2, 0));
        const __m128 second = _mm_shuffle_ps(one, two, _MM_SHUFFLE(3, 1, 3, 1));
        _mm_storeu_ps(out + i, between(first, second, right));
        xs = _mm_add_epi32(xs, step_x);
        ys = _mm_add_epi32(ys, step_y);
    }
    return i;
}

#else

static size_t look_vector(const float *restrict tile, size_t pitch, uint32_t x, uint32_t y,
                          const struct view *view, size_t size, float *restrict out)
{
    (void)tile, (void)pitch, (void)x, (void)y, (void)view, (void)size, (void)out;
    return 0;
}

#endif

/* Every position is at least one pixel inside the tile, for its MARGIN. */
static void look(const float *restrict tile, size_t pitch, const struct view *view, size_t size,
                 float *restrict out)
{
    for (size_t j = 0; j < size; j++, out += size) {
        const int32_t down = 2 * (int32_t)j + 1 - (int32_t)size, across = 1 - (int32_t)size;
        const uint32_t x = (uint32_t)(view->x + across * view->cosine - down * view->sine);
        const uint32_t y = (uint32_t)(view->y + across * view->sine + down * view->cosine);
        for (size_t i = look_vector(tile, pitch, x, y, view, size, out); i < size; i++)
            out[i] = look_at(tile, pitch, x + 2 * (uint32_t)i * (uint32_t)view->cosine,
                             y + 2 * (uint32_t)i * (uint32_t)view->sine);
    }
}

static int64_t largest_tile(const struct ff_box *boxes, size_t n, size_t size)
{
    int64_t side = FF_SUBPIXEL;
    for (size_t i = 0; i < n; i++)
        side = square_side(&boxes[i]) > side ? square_side(&boxes[i]) : side;
    return tile_side(side, size);
}

static size_t tile_bytes(size_t size)
{
    return ff_round_up(tile_size(size) * tile_size(size) * sizeof(float), 64);
}

enum ff_status ff_turn_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE)
        return FF_EINVAL;
    const int64_t side = largest_tile(boxes, n, size);
    *bytes = tile_bytes(size) + ff_packer_bytes(frame, side, side, tile_size(size));
    return FF_OK;
}

enum ff_status ff_turn_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, const int32_t *restrict turns,
                             size_t n, size_t size, double scale, double bias,
                             void *restrict workspace, float *restrict out)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE || (frame->channels != 1 && frame->channels != 3))
        return FF_EINVAL;
    for (size_t i = 0; i < 2 * n; i++)
        if (turns[i] < -ONE || turns[i] > ONE)
            return FF_EINVAL;
    const size_t tile = tile_size(size);
    const int64_t most = largest_tile(boxes, n, size);
    float *const pixels = workspace;
    struct ff_packer *const packer = ff_packer_open((char *)workspace + tile_bytes(size), kernels,
                                                    frame, most, most, tile, scale, bias);
    for (size_t i = 0; i < n; i++) {
        const struct ff_box *const box = &boxes[i];
        const int64_t side = square_side(box), wide = tile_side(side, size);
        const struct ff_box square = {half_down(2 * box->x + box->w - wide),
                                      half_down(2 * box->y + box->h - wide), wide, wide};
        const int64_t per_step = 2 * (int64_t)size * wide, t = (int64_t)tile;
        const struct view view = {
            (int32_t)((2 * (box->x - square.x) + box->w) * t * (ONE / 2) / wide - ONE / 2),
            (int32_t)((2 * (box->y - square.y) + box->h) * t * (ONE / 2) / wide - ONE / 2),
            (int32_t)(turns[2 * i] * side * t / per_step),
            (int32_t)(turns[2 * i + 1] * side * t / per_step),
        };
        const struct ff_turned_square wanted = {
            turns[2 * i], turns[2 * i + 1], (double)view.x / ONE, (double)view.y / ONE,
            /* As the cosine and sine are, in 1/ONE. The outermost look is half an output inside the
             * square and reads up to the square root of two further; the rest is for rounding. */
            ((double)size / 2 + 1.25) * ONE,
        };
        ff_packer_fill(packer, &square, &wanted, pixels);
        look(pixels, tile, &view, size, out + i * size * size);
    }
    return FF_OK;
}
