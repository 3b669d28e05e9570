/* Packing rotated faces: an upright tile around each, then bilinear samples of the tile on a
 * rotated grid.
 *
 * The tile has about the resolution of the output, so the kernels for upright boxes average the
 * frame's pixels, which is most of the work; only the part of the tile that the rotated square
 * covers is computed. */
#include "ff_internal.h"

enum {
    MARGIN = 3,            /* outputs of a tile beyond the largest extent of a rotated square */
    ONE = FF_ROTATION_ONE, /* positions in a tile have the unit of cosines: 1 << FF_POSITION_BITS */
};

static const int64_t MAX_NORM2 = (int64_t)(ONE + 1) * (ONE + 1); /* of a rounded cosine and sine */
static const double REACH = 1 + 1.0 / 64; /* of a bilinear sample: an output, and rounding */

static inline size_t tile_size(size_t size)
{
    return size * 1449 / 1024 + MARGIN; /* a little more than the square root of two */
}

static inline int64_t half_down(int64_t value)
{
    return value >= 0 ? value / 2 : -((1 - value) / 2);
}

static inline double magnitude(double value)
{
    return value < 0 ? -value : value;
}

/* The side of the square that stands for a rotated box; at least a pixel. */
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

/* Values in a line of a paired tile, and bytes of all its lines and the one above. */
static size_t paired_pitch(size_t size)
{
    return ff_round_up(tile_size(size), FF_GROUP);
}

static size_t paired_bytes(size_t size)
{
    return ff_round_up((tile_size(size) + 1) * paired_pitch(size) * sizeof(uint32_t), 64);
}

enum ff_status ff_rotate_workspace(const struct ff_frame *frame, const struct ff_box *boxes,
                                   size_t n, size_t size, size_t *bytes)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE)
        return FF_EINVAL;
    const int64_t side = largest_tile(boxes, n, size);
    *bytes = paired_bytes(size) + ff_packer_bytes(frame, side, side, tile_size(size));
    return FF_OK;
}

enum ff_status ff_rotate_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                               const struct ff_box *restrict boxes,
                               const int32_t *restrict rotations, size_t n, size_t size,
                               double scale, double bias, void *restrict workspace,
                               float *restrict out)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE || (frame->channels != 1 && frame->channels != 3))
        return FF_EINVAL;
    for (size_t i = 0; i < n; i++) {
        const int64_t c = rotations[2 * i], s = rotations[2 * i + 1];
        if (c < -ONE || c > ONE || s < -ONE || s > ONE || c * c + s * s > MAX_NORM2)
            return FF_EINVAL;
    }
    const size_t tile = tile_size(size);
    const int64_t largest = largest_tile(boxes, n, size);
    uint32_t *const paired = (uint32_t *)workspace + paired_pitch(size);
    struct ff_packer *const packer = ff_packer_open((char *)workspace + paired_bytes(size), kernels,
                                                    frame, largest, largest, tile, scale, bias);
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
        /* Half the step from output to output. */
        const int64_t cosine = rotations[2 * i] * side * t / per_step;
        const int64_t sine = rotations[2 * i + 1] * side * t / per_step;
        const int64_t first = 1 - (int64_t)size; /* output, in half steps from the centre */
        const struct ff_sample_grid grid = {
            (uint32_t)(x + first * (cosine - sine)), (uint32_t)(y + first * (sine + cosine)),
            (uint32_t)(2 * cosine), (uint32_t)(2 * sine),
        };
        /* Along each of its axes, times the length of half a step: the outermost sample is size - 1
         * half steps from the centre and reads pixels up to an output away across and down. */
        const double c = (double)cosine, s = (double)sine;
        const struct ff_rotated_square covered = {
            c, s, (double)x / ONE, (double)y / ONE,
            (double)(size - 1) * (c * c + s * s) / ONE + REACH * (magnitude(c) + magnitude(s)),
        };
        ff_packer_fill_paired(packer, &square, &covered, paired);
        kernels->sample_rotated(paired, paired_pitch(size), &grid, size, factor, offset,
                                out + i * size * size);
    }
    return FF_OK;
}
