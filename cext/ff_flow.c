/* Sparse optical flow between patches of faces, and the similarity that it describes.
 *
 * Points are followed from a patch to the next one and back, coarse to fine (Lucas and Kanade, 1981;
 * Bouguet, 2000). Those that return where they began agree with a similarity, whose outliers count
 * little. All sums have a fixed order. */
#include "ff_internal.h"

#include <math.h>
#include <string.h>

enum {
    SIDE = FF_FLOW_SIDE,
    LEVELS = 3,
    PADDING = FF_FLOW_PADDING,
    MIN_POINTS = 8, /* that can be followed, and that agree */
    FIT_ROUNDS = 3, /* of weighing points by their errors */
};

static const double MAX_ERROR = 1;       /* of a point that returns, in pixels of the patch */
static const double NOISE = 1;           /* mean difference of patches in which nothing moves */
static const double OUTLIER = 2;         /* error, in medians, that quarters a weight */
static const double MIN_SPREAD = 1e-9;   /* of the errors */

struct pyramid {
    float *pixels[LEVELS]; /* level l is padded and has a side of SIDE >> l */
};

static size_t pitch_of(size_t level)
{
    return ((size_t)SIDE >> level) + 2 * PADDING;
}

static size_t values_of(size_t level)
{
    return ff_round_up(pitch_of(level) * pitch_of(level), 16);
}

static size_t pyramid_values(void)
{
    size_t values = 0;
    for (size_t level = 0; level < LEVELS; level++)
        values += values_of(level);
    return values;
}

enum ff_status ff_flow_workspace(size_t *bytes)
{
    *bytes = 2 * pyramid_values() * sizeof(float);
    return FF_OK;
}

/* The first pixel of a level, inside its padding. */
static float *origin(const struct pyramid *pyramid, size_t level)
{
    return pyramid->pixels[level] + PADDING * pitch_of(level) + PADDING;
}

/* Repeats the border of a level. */
static void pad(const struct pyramid *pyramid, size_t level)
{
    const size_t side = (size_t)SIDE >> level, pitch = pitch_of(level);
    float *const first = pyramid->pixels[level] + PADDING * pitch;
    float *const last = first + (side - 1) * pitch;
    for (size_t y = 0; y < side; y++) {
        float *const row = first + y * pitch;
        for (size_t k = 0; k < PADDING; k++) {
            row[k] = row[PADDING];
            row[PADDING + side + k] = row[PADDING + side - 1];
        }
    }
    for (size_t k = 0; k < PADDING; k++) {
        memcpy(pyramid->pixels[level] + k * pitch, first, pitch * sizeof(float));
        memcpy(last + (k + 1) * pitch, last, pitch * sizeof(float));
    }
}

/* Makes a level from the one above it, which is twice as large, with the weights 1, 3, 3, 1 along
 * each axis. */
static void halve(const struct pyramid *pyramid, size_t level)
{
    const size_t side = (size_t)SIDE >> level, pitch = pitch_of(level - 1);
    const float *const from = pyramid->pixels[level - 1] + (PADDING - 1) * pitch + PADDING - 1;
    for (size_t y = 0; y < side; y++) {
        const float *const a = from + 2 * y * pitch;
        const float *const b = a + pitch, *const c = b + pitch, *const d = c + pitch;
        float line[SIDE + 2], *const out = origin(pyramid, level) + y * pitch_of(level);
        for (size_t x = 0; x < 2 * side + 2; x++)
            line[x] = (a[x] + d[x]) + 3 * (b[x] + c[x]);
        for (size_t x = 0; x < side; x++) {
            const float *const at = line + 2 * x;
            out[x] = ((at[0] + at[3]) + 3 * (at[1] + at[2])) * (1 / 64.0f);
        }
    }
}

static void build(const struct pyramid *pyramid, const float *patch)
{
    for (size_t y = 0; y < SIDE; y++)
        memcpy(origin(pyramid, 0) + y * pitch_of(0), patch + y * SIDE, SIDE * sizeof(float));
    pad(pyramid, 0);
    for (size_t level = 1; level < LEVELS; level++) {
        halve(pyramid, level);
        pad(pyramid, level);
    }
}

/* Whether nothing has moved between two patches. */
static int is_still(const float *before, const float *after)
{
    enum { N = FF_FLOW_WINDOW };
    float sum[N] = {0};
    ff_row total;
    for (size_t i = 0; i < SIDE * SIDE; i += N)
        for (size_t k = 0; k < N; k++)
            sum[k] += fabsf(before[i + k] - after[i + k]);
    memcpy(&total, sum, sizeof total);
    return ff_row_sum(&total) <= NOISE * SIDE * SIDE;
}

/* Follows a point from one patch to another; 0 if it is lost. A level on which it cannot be followed
 * leaves the motion as it was on the coarser one. */
static int follow(const struct ff_kernels *kernels, const struct pyramid *from,
                  const struct pyramid *to, double x, double y, double *to_x, double *to_y)
{
    double dx = 0, dy = 0;
    int found = 0;
    for (size_t level = LEVELS; level-- > 0;) {
        const struct ff_flow_level first = {origin(from, level), pitch_of(level), SIDE >> level};
        const struct ff_flow_level second = {origin(to, level), pitch_of(level), SIDE >> level};
        const double unit = 1.0 / (double)(1 << level);
        dx *= 2;
        dy *= 2;
        found = kernels->follow(&first, &second, (x + 0.5) * unit - 0.5, (y + 0.5) * unit - 0.5,
                                &dx, &dy);
    }
    *to_x = x + dx;
    *to_y = y + dy;
    return found;
}

/* The value in the middle of n, the upper one of two. */
static double median(const double *values, size_t n)
{
    double sorted[FF_FLOW_POINTS];
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        for (; k > 0 && sorted[k - 1] > values[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = values[i];
    }
    return sorted[n / 2];
}

/* The similarity that takes n points of before to those of after: fit holds the cosine and sine of
 * its rotation, times its scale, and the shift. Least squares, in which a point counts less the
 * farther it is from where the others take it. */
static void fit_similarity(const double (*before)[2], const double (*after)[2], size_t n,
                           double fit[4])
{
    double error[FF_FLOW_POINTS], weight[FF_FLOW_POINTS];
    fit[0] = 1;
    fit[1] = 0;
    for (size_t axis = 0; axis < 2; axis++) {
        for (size_t i = 0; i < n; i++)
            error[i] = after[i][axis] - before[i][axis];
        fit[2 + axis] = median(error, n);
    }
    for (int round = 0; round < FIT_ROUNDS; round++) {
        for (size_t i = 0; i < n; i++) {
            const double *const p = before[i];
            const double x = after[i][0] - (fit[0] * p[0] - fit[1] * p[1]) - fit[2];
            const double y = after[i][1] - (fit[1] * p[0] + fit[0] * p[1]) - fit[3];
            error[i] = sqrt(x * x + y * y);
        }
        const double middle = OUTLIER * median(error, n);
        const double spread = middle > MIN_SPREAD ? middle : MIN_SPREAD;
        double total = 0, mean[4] = {0}, cosine = 0, sine = 0, norm = 0;
        for (size_t i = 0; i < n; i++) {
            const double far = error[i] / spread, share = 1 + far * far;
            weight[i] = 1 / (share * share);
            total += weight[i];
            mean[0] += weight[i] * before[i][0];
            mean[1] += weight[i] * before[i][1];
            mean[2] += weight[i] * after[i][0];
            mean[3] += weight[i] * after[i][1];
        }
        for (size_t k = 0; k < 4; k++)
            mean[k] /= total;
        for (size_t i = 0; i < n; i++) {
            const double x = before[i][0] - mean[0], y = before[i][1] - mean[1];
            const double u = after[i][0] - mean[2], v = after[i][1] - mean[3];
            cosine += weight[i] * (x * u + y * v);
            sine += weight[i] * (x * v - y * u);
            norm += weight[i] * (x * x + y * y);
        }
        fit[0] = cosine / norm;
        fit[1] = sine / norm;
        fit[2] = mean[2] - (fit[0] * mean[0] - fit[1] * mean[1]);
        fit[3] = mean[3] - (fit[1] * mean[0] + fit[0] * mean[1]);
    }
}

/* The motion of one box between two patches that show its surroundings. */
static void carry(const struct ff_kernels *kernels, const struct pyramid *before,
                  const struct pyramid *after, const double *box, const double *points, size_t n,
                  double surround, struct ff_motion *motion)
{
    const double unit[2] = {box[2] * (surround / SIDE), box[3] * (surround / SIDE)};
    const double middle = (SIDE - 1) / 2.0;
    double old[FF_FLOW_POINTS][2], new[FF_FLOW_POINTS][2];
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = points[2 * i], y = points[2 * i + 1];
        double there[2], back[2];
        if (!follow(kernels, before, after, x, y, &there[0], &there[1]))
            continue;
        found++;
        if (!follow(kernels, after, before, there[0], there[1], &back[0], &back[1]))
            continue;
        if (!(fabs(back[0] - x) < MAX_ERROR && fabs(back[1] - y) < MAX_ERROR))
            continue;
        old[kept][0] = (x - middle) * unit[0];
        old[kept][1] = (y - middle) * unit[1];
        new[kept][0] = (there[0] - middle) * unit[0];
        new[kept][1] = (there[1] - middle) * unit[1];
        kept++;
    }
    if (kept < MIN_POINTS)
        return;
    double fit[4];
    fit_similarity(old, new, kept, fit);
    const double x = box[0] + box[2] / 2, y = box[1] + box[3] / 2;
    const double matrix[6] = {
        fit[0], -fit[1], x + fit[2] - (fit[0] * x - fit[1] * y),
        fit[1], fit[0],  y + fit[3] - (fit[1] * x + fit[0] * y),
    };
    memcpy(motion->matrix, matrix, sizeof matrix);
    motion->inliers = (double)kept / (double)found;
}

enum ff_status ff_flow(const struct ff_kernels *kernels, const float *before, const float *after,
                       const double *boxes, size_t n, const double *points, size_t n_points,
                       double surround, void *restrict workspace, struct ff_motion *restrict motions)
{
    if (n_points > FF_FLOW_POINTS)
        return FF_EINVAL;
    struct pyramid first, second;
    float *values = workspace;
    for (size_t level = 0; level < LEVELS; level++) {
        first.pixels[level] = values;
        second.pixels[level] = values + values_of(level);
        values += 2 * values_of(level);
    }
    for (size_t i = 0; i < n; i++, before += SIDE * SIDE, after += SIDE * SIDE) {
        motions[i] = (struct ff_motion){{1, 0, 0, 0, 1, 0}, 0, 0};
        if (is_still(before, after)) {
            motions[i].inliers = motions[i].still = 1;
            continue;
        }
        build(&first, before);
        build(&second, after);
        carry(kernels, &first, &second, boxes + 4 * i, points, n_points, surround, &motions[i]);
    }
    return FF_OK;
}
