/* Packing faces: from boxes to weights, and the loop over faces and output lines.
 *
 * Every output is the mean of an interval of pixels, per axis (fastfer/reference.py tells which and
 * why). Rows are summed first, on the interleaved bytes as they lie in the frame, because that
 * needs neither shuffling nor gray; each summed row then becomes one output line, the gray
 * coefficients being part of the column weights. Weights are made once and kept while boxes have
 * the same size and the same position within a pixel. */
#include "ff_internal.h"

#include <string.h>

enum { INVERSE_BITS = 46, SHARE_BITS = 16, MAX_ROW_BITS = 22 };
enum {
    ALIGNMENT = 64,
    BATCH = 4, /* lines that are summed before the first of them is read again: a load that spans
                * two stores must wait until they have left the store buffer */
};

/* BT.601 in FF_COLUMN_BITS bits. */
static const int32_t gray_bgr[3] = {1868, 9617, 4899};
static const int32_t gray_one[1] = {1 << FF_COLUMN_BITS};

/* ---- Geometry -------------------------------------------------------------------------------- */

/* The intervals of one axis. Positions are in units of 1 / (512 * size) px, in which all of them
 * are whole numbers, and count from the pixel number `base`, so that they are never negative.
 * Pixels outside [0, pixels) are outside the frame. */
struct axis {
    int64_t base;          /* of the frame's pixels */
    int64_t pixels;        /* that the frame has */
    uint64_t origin, step; /* interval j begins at origin + j * step, */
    uint64_t low, high;    /* kept within these, */
    uint64_t length;       /* and is so long */
    uint64_t pixel;        /* length of a pixel */
    uint64_t inverse;      /* 2^INVERSE_BITS / length */
    uint32_t size;
    uint32_t first, last;  /* pixels that any interval touches, counted from base */
};

static inline uint64_t interval(const struct axis *axis, size_t j)
{
    const uint64_t at = axis->origin + j * axis->step;
    return at < axis->low ? axis->low : at > axis->high ? axis->high : at;
}

/* Number of the pixel that holds a position, counted from base. Positions are below 2^34, so after
 * 512 is divided out, 32 bits are enough. */
static inline uint32_t pixel_at(const struct axis *axis, uint64_t position)
{
    return (uint32_t)(position / (2 * FF_SUBPIXEL)) / axis->size;
}

/* The frame's pixel nearest to pixel number c counted from base. */
static inline size_t in_frame(const struct axis *axis, uint32_t c)
{
    const int64_t pixel = axis->base + c;
    return pixel < 0 ? 0 : (size_t)(pixel < axis->pixels ? pixel : axis->pixels - 1);
}

static struct axis make_axis(int64_t start, int64_t side, size_t pixels, size_t size)
{
    struct axis axis;
    const uint64_t n = size, length = (uint64_t)side;
    const int64_t whole = start >= 0 ? start / FF_SUBPIXEL
                                     : -((-start + FF_SUBPIXEL - 1) / FF_SUBPIXEL);
    axis.base = whole - 1;
    axis.pixels = (int64_t)pixels;
    axis.size = (uint32_t)size;
    axis.pixel = 2 * FF_SUBPIXEL * n;
    axis.origin = 2 * n * (uint64_t)(start - axis.base * FF_SUBPIXEL);
    axis.step = 2 * length;
    if (length > FF_SUBPIXEL * n) { /* shrinking: the whole area */
        axis.low = 0;
        axis.high = UINT64_MAX;
        axis.length = 2 * length;
    } else { /* growing: one pixel around each centre, inside the box */
        axis.low = axis.origin;
        axis.high = axis.origin + 2 * n * length - axis.pixel;
        if (length < FF_SUBPIXEL) /* narrower than a pixel: its middle */
            axis.low = axis.high = axis.origin + n * length - axis.pixel / 2;
        axis.origin += length - axis.pixel / 2;
        axis.length = axis.pixel;
    }
    axis.inverse = ((uint64_t)1 << INVERSE_BITS) / axis.length;
    axis.first = pixel_at(&axis, interval(&axis, 0));
    axis.last = pixel_at(&axis, interval(&axis, size - 1) + axis.length - 1);
    return axis;
}

/* Whether two axes of one call have the same intervals, counted from base. */
static int same_intervals(const struct axis *a, const struct axis *b)
{
    return a->origin == b->origin && a->step == b->step;
}

/* Whether they also meet the frame's edges in the same way. */
static int same_columns(const struct axis *a, const struct axis *b)
{
    const int inside = a->base + a->first >= 0 && a->base + a->last < a->pixels
                       && b->base + b->first >= 0 && b->base + b->last < b->pixels;
    return same_intervals(a, b) && (inside || a->base == b->base);
}

/* ---- Workspace ------------------------------------------------------------------------------- */

struct line {
    uint32_t first, count; /* into the list of rows */
    struct ff_row_weights weights;
};

/* Where the parts of the workspace begin, in bytes from a multiple of ALIGNMENT, all cut for the
 * largest box. No sum can overflow: sides of boxes are at most FF_MAX_SIDE. */
struct layout {
    size_t rows;    /* pointers to the rows of a box, from top to bottom */
    size_t lines;   /* struct line, one for each output line */
    size_t start;   /* see struct ff_columns */
    size_t weights;
    size_t summed;  /* BATCH summed rows, */
    size_t pitch;   /* so many values apart */
    size_t bytes;   /* the whole */
};

static struct layout lay_out(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                             size_t size)
{
    int64_t w = 0, h = 0;
    for (size_t i = 0; i < n; i++) {
        w = boxes[i].w > w ? boxes[i].w : w;
        h = boxes[i].h > h ? boxes[i].h : h;
    }
    const size_t channels = (size_t)frame->channels, padded = ff_round_up(size, FF_GROUP);
    const size_t rows = (size_t)h / FF_SUBPIXEL + 3;
    const size_t wide = (size_t)w / FF_SUBPIXEL + 3;
    const size_t columns = wide < frame->width ? wide : frame->width;
    const size_t taps = (size_t)w / (FF_SUBPIXEL * size) + 3;
    const size_t window = ff_round_up(taps * channels, FF_BLOCK);

    struct layout at;
    at.rows = 0;
    at.lines = ff_round_up(at.rows + rows * sizeof(const uint8_t *), ALIGNMENT);
    at.start = ff_round_up(at.lines + size * sizeof(struct line), ALIGNMENT);
    at.weights = ff_round_up(at.start + padded * sizeof(int32_t), ALIGNMENT);
    at.summed = ff_round_up(at.weights + padded * window * sizeof(int16_t), ALIGNMENT);
    at.pitch = ff_round_up(columns * channels + window + FF_SLACK, ALIGNMENT / sizeof(int16_t));
    at.bytes = at.summed + BATCH * at.pitch * sizeof(int16_t);
    return at;
}

enum ff_status ff_pack_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes)
{
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE)
        return FF_EINVAL;
    *bytes = lay_out(frame, boxes, n, size).bytes + ALIGNMENT;
    return FF_OK;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* To the nearest 1/256 px, halves upwards. */
static int64_t to_subpixels(double value)
{
    const double scaled = value * FF_SUBPIXEL + 0.5;
    const int64_t truncated = (int64_t)scaled;
    return truncated - ((double)truncated > scaled);
}

enum ff_status ff_boxes_round(const double *restrict xywh, size_t n, const struct ff_frame *frame,
                              struct ff_box *restrict boxes, size_t *restrict bad)
{
    const double huge = 1099511627776.0; /* 2^40; refuses what is not finite, too */
    const int64_t longest = (int64_t)FF_MAX_SIDE * FF_SUBPIXEL;
    if (frame->width == 0 || frame->height == 0)
        return FF_EINVAL;
    const int64_t width = (int64_t)frame->width * FF_SUBPIXEL;
    const int64_t height = (int64_t)frame->height * FF_SUBPIXEL;
    for (size_t i = 0; i < n; i++) {
        int64_t v[4];
        for (size_t k = 0; k < 4; k++) {
            const double value = xywh[4 * i + k];
            if (!(value > -huge && value < huge)) {
                *bad = i;
                return FF_EBOX;
            }
            v[k] = to_subpixels(value);
        }
        const struct ff_box b = {v[0], v[1], v[2], v[3]};
        if (b.w <= 0 || b.w > longest || b.h <= 0 || b.h > longest || b.x <= -b.w || b.x >= width
            || b.y <= -b.h || b.y >= height) {
            *bad = i;
            return FF_EBOX;
        }
        boxes[i] = b;
    }
    return FF_OK;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* Fills lines. Rows inside an interval share one weight, the last takes what is left. */
static void make_lines(const struct axis *axis, struct line *restrict lines)
{
    int bits = FF_COLUMN_BITS;
    for (uint64_t n = axis->length / axis->pixel; n > 1 && bits < MAX_ROW_BITS; n /= 2)
        bits++;
    const int down = INVERSE_BITS - bits;
    const int32_t inside = (int32_t)(axis->pixel * axis->inverse >> down);
    for (size_t j = 0; j < axis->size; j++) {
        const uint64_t begin = interval(axis, j);
        const uint32_t first = pixel_at(axis, begin);
        const uint32_t last = pixel_at(axis, begin + axis->length - 1);
        struct line *const line = &lines[j];
        int32_t left = (int32_t)1 << bits;
        int32_t weight = left; /* of a single row */
        if (first < last) {
            weight = (int32_t)(((first + 1) * axis->pixel - begin) * axis->inverse >> down);
            left -= (int32_t)(last - first - 1) * inside;
        }
        left -= weight;
        line->first = first - axis->first;
        line->count = last - first + 1;
        line->weights.first = (int16_t)weight;
        line->weights.inside = (int16_t)inside;
        line->weights.last = (int16_t)left;
        line->weights.shift = bits - FF_ROW_BITS;
    }
}

/* Fills start and weights, and returns how many blocks of weights there are. The weights of an
 * output are differences of a rounded running sum, so that no rounding error adds up; the share of
 * columns outside the frame falls to the column at its edge. */
static inline size_t make_columns(const struct axis *axis, const size_t channels,
                                  const int32_t *gray, int32_t *restrict start,
                                  int16_t *restrict weights)
{
    const size_t padded = ff_round_up(axis->size, FF_GROUP);
    const size_t left = in_frame(axis, axis->first);
    size_t widest = 0;
    for (size_t j = 0; j < axis->size; j++) {
        const uint64_t begin = interval(axis, j);
        const size_t first = in_frame(axis, pixel_at(axis, begin));
        const size_t last = in_frame(axis, pixel_at(axis, begin + axis->length - 1));
        start[j] = (int32_t)((first - left) * channels);
        widest = last - first + 1 > widest ? last - first + 1 : widest;
    }
    memset(start + axis->size, 0, (padded - axis->size) * sizeof *start);

    const size_t blocks = (widest * channels + FF_BLOCK - 1) / FF_BLOCK;
    memset(weights, 0, padded * blocks * FF_BLOCK * sizeof *weights);
    for (size_t j = 0; j < axis->size; j++) {
        const uint64_t begin = interval(axis, j);
        int64_t column = axis->base + pixel_at(axis, begin);
        uint64_t reached = (uint64_t)(column + 1 - axis->base) * axis->pixel - begin;
        int16_t *at = weights + j * FF_BLOCK; /* weight of the column's first channel */
        size_t t = 0;                         /* and its place in the block */
        int32_t before[3] = {0};
        for (;; reached += axis->pixel, column++) {
            const uint64_t to = reached < axis->length ? reached : axis->length;
            const uint32_t share = (uint32_t)(to * axis->inverse >> (INVERSE_BITS - SHARE_BITS));
            int16_t *weight = at;
            size_t u = t;
            for (size_t k = 0; k < channels; k++) {
                const int32_t until = (int32_t)(((uint32_t)gray[k] * share
                                                 + (1u << (SHARE_BITS - 1))) >> SHARE_BITS);
                *weight = (int16_t)(*weight + until - before[k]);
                before[k] = until;
                weight += ++u % FF_BLOCK ? 1 : (padded - 1) * FF_BLOCK + 1;
            }
            if (to == axis->length)
                break;
            if (column >= 0 && column + 1 < axis->pixels) {
                at = weight;
                t = u;
            }
        }
    }
    return blocks;
}

/* ---- Packing --------------------------------------------------------------------------------- */

enum ff_status ff_pack_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, size_t n, size_t size,
                             double scale, double bias, void *restrict workspace,
                             float *restrict out)
{
    const size_t channels = (size_t)frame->channels;
    const float factor = (float)(scale / (1 << (FF_ROW_BITS + FF_COLUMN_BITS)));
    struct axis vertical = {0}, horizontal = {0};

    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE || (channels != 1 && channels != 3))
        return FF_EINVAL;
    const struct layout at = lay_out(frame, boxes, n, size);
    char *const base = (char *)workspace + (ALIGNMENT - (uintptr_t)workspace % ALIGNMENT);
    const uint8_t **const rows = (const uint8_t **)(base + at.rows);
    struct line *const lines = (struct line *)(base + at.lines);
    int32_t *const start = (int32_t *)(base + at.start);
    int16_t *const weights = (int16_t *)(base + at.weights);
    int16_t *const summed = (int16_t *)(base + at.summed);
    struct ff_columns columns = {start, weights, 0, size};
    /* Weights of zero meet what lies behind a summed row: let it be defined. */
    memset(summed, 0, BATCH * at.pitch * sizeof *summed);

    for (size_t i = 0; i < n; i++) {
        const struct axis y = make_axis(boxes[i].y, boxes[i].h, frame->height, size);
        const struct axis x = make_axis(boxes[i].x, boxes[i].w, frame->width, size);
        if (i == 0 || !same_intervals(&y, &vertical))
            make_lines(&y, lines);
        if (i == 0 || !same_columns(&x, &horizontal))
            columns.blocks = channels == 3 ? make_columns(&x, 3, gray_bgr, start, weights)
                                           : make_columns(&x, 1, gray_one, start, weights);
        vertical = y;
        horizontal = x;

        const size_t left = in_frame(&x, x.first), right = in_frame(&x, x.last);
        const size_t values = (right - left + 1) * channels;
        for (uint32_t r = y.first; r <= y.last; r++)
            rows[r - y.first] = frame->data + (ptrdiff_t)in_frame(&y, r) * frame->stride
                                + left * channels;
        for (size_t j = 0; j < size; j += BATCH) {
            const size_t count = size - j < BATCH ? size - j : BATCH;
            for (size_t k = 0; k < count; k++) {
                const struct line *const line = &lines[j + k];
                kernels->sum_rows(rows + line->first, line->count, line->weights, values,
                                  summed + k * at.pitch);
            }
            kernels->sum_columns(summed, at.pitch, count, &columns, factor, (float)bias,
                                 out + (i * size + j) * size);
        }
    }
    return FF_OK;
}
