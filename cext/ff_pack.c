/* Packing faces: from boxes to weights, and the loop over faces and output lines.
 *
 * Every output is the mean of an interval of pixels on each axis (fastfer/kernels/reference.py
 * defines the intervals). Rows are summed first, on the interleaved bytes of the frame, which needs
 * neither shuffles nor gray conversion; each summed row then becomes one output line, because the
 * column weights include the gray coefficients. Weights are reused while boxes have the same size
 * and the same position within a pixel. */
#include "ff_internal.h"

#include <string.h>

enum { INVERSE_BITS = 46, COVERAGE_BITS = 16, MAX_ROW_BITS = 22 };
enum {
    ALIGNMENT = 64,
    BATCH = 4, /* lines summed before the first of them is read: a load that spans two stores waits
                * until both have left the store buffer */
};

/* BT.601 in FF_COLUMN_BITS bits. */
static const int32_t bt601_bgr[3] = {1868, 9617, 4899};
static const int32_t gray_only[1] = {1 << FF_COLUMN_BITS};

/* ---- Geometry -------------------------------------------------------------------------------- */

/* The intervals of one axis. Positions are whole numbers in units of 1 / (512 * size) px and count
 * from pixel `base`, so that they are never negative. Pixels outside [0, pixels) are outside the
 * frame. */
struct axis {
    int64_t base;          /* frame pixel that positions count from */
    int64_t pixels;        /* of the frame */
    uint64_t origin, step; /* interval j begins at origin + j * step, */
    uint64_t low, high;    /* clamped to this range, */
    uint64_t length;       /* and has this length */
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

/* The pixel that contains a position, counted from base. Positions are below 2^41, so 32 bits hold
 * them after the division by 512. */
static inline uint32_t pixel_at(const struct axis *axis, uint64_t position)
{
    return (uint32_t)(position / (2 * FF_SUBPIXEL)) / axis->size;
}

/* The frame pixel nearest to pixel c counted from base. */
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
    if (length > FF_SUBPIXEL * n) { /* shrinking: the area */
        axis.low = 0;
        axis.high = UINT64_MAX;
        axis.length = 2 * length;
    } else { /* growing: one pixel around each centre, inside the box */
        axis.low = axis.origin;
        axis.high = axis.origin + 2 * n * length - axis.pixel;
        if (length < FF_SUBPIXEL) /* less than a pixel: its centre */
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

/* Whether their intervals also clamp to the frame's edges in the same way. */
static int same_columns(const struct axis *a, const struct axis *b)
{
    const int inside = a->base + a->first >= 0 && a->base + a->last < a->pixels
                       && b->base + b->first >= 0 && b->base + b->last < b->pixels;
    return same_intervals(a, b) && (inside || a->base == b->base);
}

/* ---- Workspace ------------------------------------------------------------------------------- */

struct output_line {
    uint32_t first, count; /* into the list of rows */
    struct ff_row_weights weights;
};

struct ff_packer {
    const struct ff_kernels *kernels;
    const struct ff_frame *frame;
    float factor, bias;
    const uint8_t **rows;
    struct output_line *lines;
    int32_t *start;
    int16_t *weights, *summed;
    size_t pitch, taps; /* taps: weights per output at most */
    struct ff_columns columns;
    struct axis vertical, horizontal; /* of lines and columns, */
    int ready;                        /* once they are computed */
};

/* Offsets of the parts of the workspace, in bytes from a multiple of ALIGNMENT, for the largest
 * box. No sum overflows: sides of boxes are at most FF_MAX_SIDE. */
struct layout {
    size_t rows;    /* after the packer: pointers to the rows of a box, from top to bottom */
    size_t lines;   /* struct output_line, one for each output line */
    size_t start;   /* see struct ff_columns */
    size_t weights;
    size_t summed;  /* BATCH summed rows, */
    size_t pitch;   /* each this many values long */
    size_t bytes;   /* the whole */
};

static struct layout make_layout(const struct ff_frame *frame, int64_t w, int64_t h, size_t size)
{
    const size_t channels = (size_t)frame->channels, padded = ff_round_up(size, FF_GROUP);
    const size_t rows = (size_t)h / FF_SUBPIXEL + 3;
    const size_t wide = (size_t)w / FF_SUBPIXEL + 3;
    const size_t columns = wide < frame->width ? wide : frame->width;
    const size_t taps = (size_t)w / (FF_SUBPIXEL * size) + 3;
    const size_t window = ff_round_up(taps * channels, FF_BLOCK);

    struct layout at;
    at.rows = ff_round_up(sizeof(struct ff_packer), ALIGNMENT);
    at.lines = ff_round_up(at.rows + rows * sizeof(const uint8_t *), ALIGNMENT);
    at.start = ff_round_up(at.lines + size * sizeof(struct output_line), ALIGNMENT);
    at.weights = ff_round_up(at.start + padded * sizeof(int32_t), ALIGNMENT);
    at.summed = ff_round_up(at.weights + padded * window * sizeof(int16_t), ALIGNMENT);
    at.pitch = ff_round_up(columns * channels + window + FF_ROW_PADDING,
                           ALIGNMENT / sizeof(int16_t));
    at.bytes = at.summed + BATCH * at.pitch * sizeof(int16_t);
    return at;
}

size_t ff_packer_bytes(const struct ff_frame *frame, int64_t w, int64_t h, size_t size)
{
    return make_layout(frame, w, h, size).bytes + ALIGNMENT;
}

struct ff_packer *ff_packer_open(void *workspace, const struct ff_kernels *kernels,
                                 const struct ff_frame *frame, int64_t w, int64_t h, size_t size,
                                 double scale, double bias)
{
    const struct layout at = make_layout(frame, w, h, size);
    char *const base = (char *)workspace + (ALIGNMENT - (uintptr_t)workspace % ALIGNMENT);
    struct ff_packer *const p = (struct ff_packer *)base;
    p->kernels = kernels;
    p->frame = frame;
    p->factor = (float)(scale / (1 << (FF_ROW_BITS + FF_COLUMN_BITS)));
    p->bias = (float)bias;
    p->rows = (const uint8_t **)(base + at.rows);
    p->lines = (struct output_line *)(base + at.lines);
    p->start = (int32_t *)(base + at.start);
    p->weights = (int16_t *)(base + at.weights);
    p->summed = (int16_t *)(base + at.summed);
    p->pitch = at.pitch;
    p->columns = (struct ff_columns){p->start, p->weights, 0, size, 0, size};
    p->ready = 0;
    /* Zero weights multiply the values behind a summed row, which must be defined. */
    memset(p->summed, 0, BATCH * at.pitch * sizeof *p->summed);
    return p;
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* To the nearest 1/256 px, halves upwards. */
static int64_t to_subpixels(double value)
{
    const double scaled = value * FF_SUBPIXEL + 0.5;
    const int64_t truncated = (int64_t)scaled;
    return truncated - ((double)truncated > scaled);
}

/* A frame's side in 1/FF_SUBPIXEL px; clamped beyond the coordinates of any box, so that it does
 * not overflow. */
static int64_t side_in_subpixels(size_t pixels)
{
    const uint64_t most = (uint64_t)1 << 41;
    return (int64_t)(pixels < most ? pixels : most) * FF_SUBPIXEL;
}

enum ff_status ff_boxes_round(const double *restrict xywh, size_t n, const struct ff_frame *frame,
                              struct ff_box *restrict boxes, size_t *restrict bad)
{
    const double huge = 1099511627776.0; /* 2^40; also rejects values that are not finite */
    const int64_t longest = (int64_t)FF_MAX_SIDE * FF_SUBPIXEL;
    if (frame->width == 0 || frame->height == 0)
        return FF_EINVAL;
    const int64_t width = side_in_subpixels(frame->width);
    const int64_t height = side_in_subpixels(frame->height);
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

/* Fills lines. The inner rows of an interval share one weight, the last row takes the remainder. */
static void make_row_weights(const struct axis *axis, struct output_line *restrict lines)
{
    int bits = FF_COLUMN_BITS;
    for (uint64_t n = axis->length / axis->pixel; n > 1 && bits < MAX_ROW_BITS; n /= 2)
        bits++;
    const int down = INVERSE_BITS - bits;
    const int32_t inner = (int32_t)(axis->pixel * axis->inverse >> down);
    for (size_t j = 0; j < axis->size; j++) {
        const uint64_t begin = interval(axis, j);
        const uint32_t first = pixel_at(axis, begin);
        const uint32_t last = pixel_at(axis, begin + axis->length - 1);
        struct output_line *const line = &lines[j];
        int32_t left = (int32_t)1 << bits;
        int32_t weight = left; /* of a single row */
        if (first < last) {
            weight = (int32_t)(((first + 1) * axis->pixel - begin) * axis->inverse >> down);
            left -= (int32_t)(last - first - 1) * inner;
        }
        left -= weight;
        line->first = first - axis->first;
        line->count = last - first + 1;
        line->weights.first = (int16_t)weight;
        line->weights.inner = (int16_t)inner;
        line->weights.last = (int16_t)left;
        line->weights.shift = bits - FF_ROW_BITS;
    }
}

/* Fills start and weights; returns the largest number of weights of an output. The weights of an
 * output are differences of a rounded running sum, so that rounding errors do not accumulate; the
 * weight of columns outside the frame goes to the column at its edge. */
static inline size_t make_column_weights(const struct axis *axis, const size_t channels,
                                  const int32_t *gray, int32_t *restrict start,
                                  int16_t *restrict weights)
{
    const size_t padded = ff_round_up(axis->size, FF_GROUP);
    const size_t left = in_frame(axis, axis->first);
    const size_t most = ((size_t)((axis->length - 1) / axis->pixel) + 2) * channels;
    size_t max_taps = 0;
    memset(start + axis->size, 0, (padded - axis->size) * sizeof *start);
    memset(weights, 0, padded * ff_round_up(most, FF_BLOCK) * sizeof *weights);
    for (size_t j = 0; j < axis->size; j++) {
        const uint64_t begin = interval(axis, j);
        const uint32_t first = pixel_at(axis, begin);
        int64_t column = axis->base + first;
        uint64_t reached = (first + (uint64_t)1) * axis->pixel - begin;
        int16_t *at = weights + j * FF_BLOCK; /* weight of the column's first channel, */
        size_t t = 0;                         /* and its number within this output */
        int32_t before[3] = {0};
        start[j] = (int32_t)((in_frame(axis, first) - left) * channels);
        for (;; reached += axis->pixel, column++) {
            const uint64_t to = reached < axis->length ? reached : axis->length;
            const uint32_t coverage =
                (uint32_t)(to * axis->inverse >> (INVERSE_BITS - COVERAGE_BITS));
            int16_t *weight = at;
            size_t u = t;
            for (size_t k = 0; k < channels; k++) {
                const int32_t until = (int32_t)(((uint32_t)gray[k] * coverage
                                                 + (1u << (COVERAGE_BITS - 1))) >> COVERAGE_BITS);
                *weight = (int16_t)(*weight + until - before[k]);
                before[k] = until;
                weight += ++u % FF_BLOCK ? 1 : (padded - 1) * FF_BLOCK + 1;
            }
            max_taps = u > max_taps ? u : max_taps;
            if (to == axis->length)
                break;
            if (column >= 0 && column + 1 < axis->pixels) {
                at = weight;
                t = u;
            }
        }
    }
    return max_taps;
}

/* ---- Packing --------------------------------------------------------------------------------- */

/* Points rows[r], from <= r < to, to byte skip of those rows of the box. */
static void set_row_pointers(const struct ff_packer *p, size_t left, size_t skip, size_t from,
                             size_t to)
{
    const struct axis *const y = &p->vertical;
    const size_t at = left * (size_t)p->frame->channels + skip;
    for (size_t r = from; r < to; r++)
        p->rows[r] = p->frame->data
                     + (ptrdiff_t)in_frame(y, y->first + (uint32_t)r) * p->frame->stride + at;
}

/* The strip between two parallel edges of the square: |x + slope * y| <= half. */
struct strip {
    double slope, half;
};

/* The strip |a * x + b * y| <= half. */
static struct strip make_strip(double a, double b, double half)
{
    const double size = a < 0 ? -a : a, divisor = size > 1e-9 ? size : 1e-9;
    return (struct strip){(a < 0 ? -b : b) / divisor, half / divisor};
}

/* Clips [*low, *high] to the strip's x for any y between from and to. */
static void clip(struct strip strip, double from, double to, double *low, double *high)
{
    const double one = strip.slope * from, two = strip.slope * to;
    const double left = -strip.half - (one > two ? one : two);
    const double right = strip.half - (one < two ? one : two);
    *low = left > *low ? left : *low;
    *high = right < *high ? right : *high;
}

/* Sets begin and end of the outputs covered in lines j to j + count - 1; the range may be empty. */
static void find_covered(const struct ff_rotated_square *covered, const struct strip strips[2],
                        size_t j, size_t count, size_t size, struct ff_columns *columns)
{
    const double from = (double)j - covered->centre_y, to = from + (double)(count - 1);
    double low = -covered->centre_x, high = (double)(size - 1) - covered->centre_x;
    clip(strips[0], from, to, &low, &high);
    clip(strips[1], from, to, &low, &high);
    columns->begin = columns->end = 0;
    if (low <= high) {
        const size_t padded = ff_round_up(size, FF_GROUP);
        size_t begin = (size_t)(low + covered->centre_x) & ~(size_t)1;
        const size_t end = (size_t)(high + covered->centre_x) + 1;
        const size_t whole = ff_round_up(end - begin, FF_OUTPUT_STEP);
        if (begin + whole > padded)
            begin = padded - whole;
        columns->begin = begin;
        columns->end = begin + whole < size ? begin + whole : size;
    }
}

/* Computes the intervals of a box and, unless they are those of the last box, its weights. */
static void prepare(struct ff_packer *p, const struct ff_box *box)
{
    struct ff_columns *const columns = &p->columns;
    const struct axis y = make_axis(box->y, box->h, p->frame->height, columns->size);
    const struct axis x = make_axis(box->x, box->w, p->frame->width, columns->size);
    if (!p->ready || !same_intervals(&y, &p->vertical))
        make_row_weights(&y, p->lines);
    if (!p->ready || !same_columns(&x, &p->horizontal)) {
        p->taps = p->frame->channels == 3
                      ? make_column_weights(&x, 3, bt601_bgr, p->start, p->weights)
                      : make_column_weights(&x, 1, gray_only, p->start, p->weights);
        columns->blocks = (p->taps + FF_BLOCK - 1) / FF_BLOCK;
    }
    p->vertical = y;
    p->horizontal = x;
    p->ready = 1;
}

/* Sums the rows of count lines, values skip to stop of each. */
static void sum_lines(struct ff_packer *p, const struct output_line *lines, size_t count,
                      size_t skip, size_t stop)
{
    for (size_t k = 0; k < count; k++)
        p->kernels->sum_rows(p->rows + lines[k].first, lines[k].count, lines[k].weights,
                             stop - skip, p->summed + k * p->pitch + skip);
}

void ff_packer_fill(struct ff_packer *p, const struct ff_box *box, float *restrict out)
{
    prepare(p, box);
    const struct axis *const x = &p->horizontal, *const y = &p->vertical;
    const size_t left = in_frame(x, x->first), right = in_frame(x, x->last);
    const size_t values = (right - left + 1) * (size_t)p->frame->channels, size = p->columns.size;
    set_row_pointers(p, left, 0, 0, y->last - y->first + 1);
    for (size_t j = 0; j < size; j += BATCH) {
        const size_t count = size - j < BATCH ? size - j : BATCH;
        sum_lines(p, p->lines + j, count, 0, values);
        p->kernels->sum_columns(p->summed, p->pitch, count, &p->columns, p->factor, p->bias,
                                out + j * size);
    }
}

void ff_packer_fill_paired(struct ff_packer *p, const struct ff_box *box,
                          const struct ff_rotated_square *covered, uint32_t *out)
{
    prepare(p, box);
    const struct axis *const x = &p->horizontal;
    const size_t left = in_frame(x, x->first), right = in_frame(x, x->last);
    const size_t values = (right - left + 1) * (size_t)p->frame->channels, size = p->columns.size;
    const struct strip strips[2] = {make_strip(covered->cosine, covered->sine, covered->half),
                                    make_strip(covered->sine, -covered->cosine, covered->half)};
    struct ff_columns columns = p->columns;
    for (size_t j = 0; j < size; j += BATCH) {
        const size_t count = size - j < BATCH ? size - j : BATCH;
        const struct output_line *const lines = p->lines + j;
        find_covered(covered, strips, j, count, size, &columns);
        if (columns.begin == columns.end)
            continue;
        const size_t skip = (size_t)p->start[columns.begin];
        const size_t stop = (size_t)p->start[columns.end - 1] + p->taps;
        set_row_pointers(p, left, skip, lines->first,
                         lines[count - 1].first + lines[count - 1].count);
        sum_lines(p, lines, count, skip, stop < values ? stop : values);
        p->kernels->sum_columns_paired(p->summed, p->pitch, count, &columns,
                              out + j * ff_round_up(size, FF_GROUP));
    }
}

void ff_packer_scale(const struct ff_packer *p, float *factor, float *bias)
{
    *factor = p->factor;
    *bias = p->bias;
}

/* The largest width and the largest height of any box. */
static void max_box_size(const struct ff_box *boxes, size_t n, int64_t *w, int64_t *h)
{
    *w = *h = 0;
    for (size_t i = 0; i < n; i++) {
        *w = boxes[i].w > *w ? boxes[i].w : *w;
        *h = boxes[i].h > *h ? boxes[i].h : *h;
    }
}

enum ff_status ff_pack_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes)
{
    int64_t w, h;
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE)
        return FF_EINVAL;
    max_box_size(boxes, n, &w, &h);
    *bytes = ff_packer_bytes(frame, w, h, size);
    return FF_OK;
}

enum ff_status ff_pack_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, size_t n, size_t size,
                             double scale, double bias, void *restrict workspace,
                             float *restrict out)
{
    int64_t w, h;
    if (size < FF_MIN_SIZE || size > FF_MAX_SIZE || (frame->channels != 1 && frame->channels != 3))
        return FF_EINVAL;
    max_box_size(boxes, n, &w, &h);
    struct ff_packer *const packer = ff_packer_open(workspace, kernels, frame, w, h, size, scale,
                                                    bias);
    for (size_t i = 0; i < n; i++)
        ff_packer_fill(packer, &boxes[i], out + i * size * size);
    return FF_OK;
}
