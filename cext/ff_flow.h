/* One level of sparse optical flow, compiled for each instruction set. Included by ff_internal.h
 * alone. */
#ifndef FF_FLOW_H
#define FF_FLOW_H

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    FF_FLOW_WINDOW = 8,  /* side of the window around a point, in pixels: a vector */
    FF_FLOW_PADDING = 8, /* pixels by which each level repeats its border */
    FF_FLOW_ROUNDS = 8,  /* most steps per level */
};

/* Smallest eigenvalue of the mean gradient matrix that can be followed, in squared grays per pixel;
 * and the step, in squared pixels, after which a point has arrived. */
#define FF_FLOW_TEXTURE 0.1
#define FF_FLOW_ARRIVED 0.0009

/* A level of a pyramid: side x side grays. pixels[y * pitch + x] is valid up to FF_FLOW_PADDING
 * pixels outside. */
struct ff_flow_level {
    const float *pixels;
    size_t pitch, side;
};

/* Eight floats. Operations take pointers, because the baseline has no registers of this size. */
#if defined(__GNUC__)
typedef float ff_row __attribute__((vector_size(32)));
#define FF_ROW_EACH(expression_of_row, expression_of_k) expression_of_row
#else
typedef struct {
    float v[FF_FLOW_WINDOW];
} ff_row;
#define FF_ROW_EACH(expression_of_row, expression_of_k) \
    do                                                  \
        for (size_t k = 0; k < FF_FLOW_WINDOW; k++)     \
            expression_of_k;                            \
    while (0)
#endif

/* a * keep + b * next */
FF_INLINE void ff_row_lerp(ff_row *out, const ff_row *a, const ff_row *b, float keep, float next)
{
    FF_ROW_EACH(*out = *a * keep + *b * next, out->v[k] = a->v[k] * keep + b->v[k] * next);
}

/* (a - b) / 2 */
FF_INLINE void ff_row_slope(ff_row *out, const ff_row *a, const ff_row *b)
{
    FF_ROW_EACH(*out = (*a - *b) * 0.5f, out->v[k] = (a->v[k] - b->v[k]) * 0.5f);
}

/* a - b */
FF_INLINE void ff_row_subtract(ff_row *out, const ff_row *a, const ff_row *b)
{
    FF_ROW_EACH(*out = *a - *b, out->v[k] = a->v[k] - b->v[k]);
}

/* sum += a * b */
FF_INLINE void ff_row_add_product(ff_row *sum, const ff_row *a, const ff_row *b)
{
    FF_ROW_EACH(*sum += *a * *b, sum->v[k] += a->v[k] * b->v[k]);
}

/* Interpolates eight pixels from p on with their right neighbours. */
FF_INLINE void ff_row_sample(ff_row *out, const float *p, float keep, float next)
{
    ff_row here, right;
    memcpy(&here, p, sizeof here);
    memcpy(&right, p + 1, sizeof right);
    ff_row_lerp(out, &here, &right, keep, next);
}

/* The sum, in a fixed order: halves, quarters, pairs. */
FF_INLINE double ff_row_sum(const ff_row *row)
{
    float v[FF_FLOW_WINDOW];
    memcpy(v, row, sizeof v);
    return (double)(((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])));
}

/* The pixel left of or above the first sample of a window around centre, and the weight of the next
 * pixel. Returns 0 if the window, its gradient and their interpolation do not fit into the padding,
 * and for NaN. */
FF_INLINE int ff_flow_corner(double centre, size_t side, ptrdiff_t *first, float *next)
{
    const double at = centre - (FF_FLOW_WINDOW - 1) / 2.0;
    const double limit = (double)side + (FF_FLOW_PADDING - FF_FLOW_WINDOW - 1);
    if (!(at >= 1 - FF_FLOW_PADDING && at < limit))
        return 0;
    *first = (ptrdiff_t)(at + FF_FLOW_PADDING) - FF_FLOW_PADDING;
    *next = (float)(at - (double)*first);
    return 1;
}

/* Follows the point (x, y) of a level to that of another picture, from the motion (*dx, *dy), by the
 * steps of Lucas and Kanade with the gradient of the first picture. Returns 0, with the motion
 * unchanged, if its window has no texture or leaves a picture. */
FF_INLINE int ff_flow_follow(const struct ff_flow_level *from, const struct ff_flow_level *to,
                             double x, double y, double *dx, double *dy)
{
    enum { N = FF_FLOW_WINDOW };
    ptrdiff_t left, top;
    float next_x, next_y;
    if (!ff_flow_corner(x, from->side, &left, &next_x)
        || !ff_flow_corner(y, from->side, &top, &next_y))
        return 0;
    ff_row window[N], across[N], down[N];
    ff_row xx, xy, yy;
    memset(&xx, 0, sizeof xx);
    xy = yy = xx;
    {
        const ptrdiff_t pitch = (ptrdiff_t)from->pitch;
        const float *const corner = from->pixels + top * pitch + left;
        const float keep_x = 1 - next_x, keep_y = 1 - next_y;
        ff_row middle[N + 2], sampled, below;
        ff_row_sample(&sampled, corner - pitch, keep_x, next_x);
        for (ptrdiff_t r = 0; r < N + 2; r++) {
            ff_row_sample(&below, corner + r * pitch, keep_x, next_x);
            ff_row_lerp(&middle[r], &sampled, &below, keep_y, next_y);
            sampled = below;
        }
        ff_row left_side, right_side, left_below, right_below, a, b;
        ff_row_sample(&left_side, corner - 1, keep_x, next_x);
        ff_row_sample(&right_side, corner + 1, keep_x, next_x);
        for (ptrdiff_t r = 0; r < N; r++) {
            ff_row_sample(&left_below, corner + (r + 1) * pitch - 1, keep_x, next_x);
            ff_row_sample(&right_below, corner + (r + 1) * pitch + 1, keep_x, next_x);
            ff_row_lerp(&a, &right_side, &right_below, keep_y, next_y);
            ff_row_lerp(&b, &left_side, &left_below, keep_y, next_y);
            ff_row_slope(&across[r], &a, &b);
            ff_row_slope(&down[r], &middle[r + 2], &middle[r]);
            window[r] = middle[r + 1];
            left_side = left_below;
            right_side = right_below;
            ff_row_add_product(&xx, &across[r], &across[r]);
            ff_row_add_product(&xy, &across[r], &down[r]);
            ff_row_add_product(&yy, &down[r], &down[r]);
        }
    }
    const double a = ff_row_sum(&xx), b = ff_row_sum(&xy), c = ff_row_sum(&yy);
    const double smallest = (a + c - sqrt((a - c) * (a - c) + 4 * b * b)) / 2;
    if (!(smallest >= FF_FLOW_TEXTURE * N * N))
        return 0;
    const double scale = 1 / (a * c - b * b);
    double at_x = x + *dx, at_y = y + *dy;
    for (int round = 0; round < FF_FLOW_ROUNDS; round++) {
        if (!ff_flow_corner(at_x, to->side, &left, &next_x)
            || !ff_flow_corner(at_y, to->side, &top, &next_y))
            return 0;
        const ptrdiff_t pitch = (ptrdiff_t)to->pitch;
        const float *const corner = to->pixels + top * pitch + left;
        const float keep_x = 1 - next_x, keep_y = 1 - next_y;
        ff_row sampled, below, error, sum_x, sum_y;
        memset(&sum_x, 0, sizeof sum_x);
        sum_y = sum_x;
        ff_row_sample(&sampled, corner, keep_x, next_x);
        for (ptrdiff_t r = 0; r < N; r++) {
            ff_row_sample(&below, corner + (r + 1) * pitch, keep_x, next_x);
            ff_row_lerp(&error, &sampled, &below, keep_y, next_y);
            ff_row_subtract(&error, &window[r], &error);
            sampled = below;
            ff_row_add_product(&sum_x, &error, &across[r]);
            ff_row_add_product(&sum_y, &error, &down[r]);
        }
        const double e = ff_row_sum(&sum_x), f = ff_row_sum(&sum_y);
        const double step_x = (c * e - b * f) * scale, step_y = (a * f - b * e) * scale;
        at_x += step_x;
        at_y += step_y;
        if (step_x * step_x + step_y * step_y <= FF_FLOW_ARRIVED)
            break;
    }
    *dx = at_x - x;
    *dy = at_y - y;
    return 1;
}

#endif
