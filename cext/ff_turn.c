/* Packing turned faces: an upright tile around each, then a turned look at the tile.
 *
 * The tile has about the resolution of the output, so averaging the frame's pixels, which is nearly
 * all of the work, is done by the kernels for upright boxes; only what the turned square covers of
 * the tile is computed. The look is bilinear. */
#include "ff_internal.h"

enum {
    MARGIN = 3,    /* outputs by which a tile is larger than what a turned square can cover */
    ONE = FF_TURN, /* positions in a tile are in the unit of cosines: 1 << FF_POSITION_BITS */
};

static inline size_t tile_size(size_t size)
{
    return size * 1449 / 1024 + MARGIN; /* a little more than the square root of two */
}

static inline int64_t half_down(int64_t value)
{
    return value >= 0 ? value / 2 : -((1 - value) / 2);
}

static inline double magnitude(int32_t value)
{
    return value < 0 ? -(double)value : value;
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

static int64_t largest_tile(const struct ff_box *boxes, size_t n, size_t size)
{
    int64_t side = FF_SUBPIXEL;
    for (size_t i = 0; i < n; i++)
        side = square_side(&boxes[i]) > side ? square_side(&boxes[i]) : side;
    return tile_side(side, size);
}

/* Values in a line of a tile of pairs, and bytes of all its lines and the one above. */
static size_t pair_pitch(size_t size)
{
    return ff_round_up(tile_size(size), FF_GROUP);
}

static size_t pair_bytes(size_t size)
{
    return ff_round_up((tile_size(size) + 1) * pair_pitch(size) * sizeof(uint32_t), 64);
}

enum ff_status ff_turn_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE)
        return FF_EINVAL;
    const int64_t side = largest_tile(boxes, n, size);
    *bytes = pair_bytes(size) + ff_packer_bytes(frame, side, side, tile_size(size));
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
    uint32_t *const pairs = (uint32_t *)workspace + pair_pitch(size);
    struct ff_packer *const packer = ff_packer_open((char *)workspace + pair_bytes(size), kernels,
                                                    frame, most, most, tile, scale, bias);
    float factor, offset;
    ff_packer_scale(packer, &factor, &offset);
    for (size_t i = 0; i < n; i++) {
        const struct ff_box *const box = &boxes[i];
        const int64_t side = square_side(box), wide = tile_side(side, size);
        const struct ff_box square = {half_down(2 * box->x + box->w - wide),
                                      half_down(2 * box->y + box->h - wide), wide, wide};
        const int64_t per_step = 2 * (int64_t)size * wide, t = (int64_t)tile;
        const int64_t x = (2 * (box->x - square.x) + box->w) * t * (ONE / 2) / wide - ONE / 2;
        const int64_t y = (2 * (box->y - square.y) + box->h) * t * (ONE / 2) / wide - ONE / 2;
        /* Half a step from output to output. */
        const int64_t cosine = turns[2 * i] * side * t / per_step;
        const int64_t sine = turns[2 * i + 1] * side * t / per_step;
        const int64_t first = 1 - (int64_t)size; /* output, in half steps from the middle */
        const struct ff_view view = {
            (uint32_t)(x + first * (cosine - sine)), (uint32_t)(y + first * (sine + cosine)),
            (uint32_t)(2 * cosine), (uint32_t)(2 * sine),
        };
        const struct ff_turned_square wanted = {
            turns[2 * i], turns[2 * i + 1], (double)x / ONE, (double)y / ONE,
            /* As the cosine and sine are, in 1/ONE. The outermost look is half an output inside the
             * square and reads what is less than an output away on both axes; the rest is for
             * rounding. */
            ((double)size - 1) / 2 * ONE + magnitude(turns[2 * i]) + magnitude(turns[2 * i + 1])
                + ONE / 16.0,
        };
        ff_packer_fill_pairs(packer, &square, &wanted, pairs);
        kernels->look(pairs, pair_pitch(size), &view, size, factor, offset, out + i * size * size);
    }
    return FF_OK;
}
