/* Overlap and assignment of boxes, in double and in the order of fastfer/kernels/reference.py, so
 * that the bytes agree. */
#include <math.h>

#include "ff.h"

static double overlap(const double *a, const double *b)
{
    const double right = a[0] + a[2] < b[0] + b[2] ? a[0] + a[2] : b[0] + b[2];
    const double bottom = a[1] + a[3] < b[1] + b[3] ? a[1] + a[3] : b[1] + b[3];
    const double wide = right - (a[0] > b[0] ? a[0] : b[0]);
    const double high = bottom - (a[1] > b[1] ? a[1] : b[1]);
    if (!(wide > 0 && high > 0))
        return 0;
    const double both = wide * high;
    const double either = a[2] * a[3] + b[2] * b[3] - both;
    /* Rounding can make the intersection of tiny boxes far from the origin larger than they are. */
    return both < either ? both / either : either > 0 ? 1 : 0;
}

enum ff_status ff_iou(const double *a, size_t n, const double *b, size_t m, double *restrict out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            out[i * m + j] = overlap(a + 4 * i, b + 4 * j);
    return FF_OK;
}

enum ff_status ff_nms(const double *boxes, const int64_t *order, size_t n, double threshold,
                      int64_t *keep, size_t *kept)
{
    for (size_t i = 0; i < n; i++)
        if (order[i] < 0 || (uint64_t)order[i] >= n)
            return FF_EINVAL;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t box = order[i];
        size_t k = 0;
        while (k < count && !(overlap(boxes + 4 * keep[k], boxes + 4 * box) > threshold))
            k++;
        if (k == count)
            keep[count++] = box; /* count <= i: if keep is order, box i has been read */
    }
    *kept = count;
    return FF_OK;
}

/* A price is a sum of less than 2^61 gains, so none overflows. */
static const double MAX_GAIN = 0x1p960;

/* The arrays of ff_assign, in the order of its workspace. Index 0 is a sentinel. */
struct assignment {
    double *price_row, *price_column, *slack;
    size_t *owner, *came_from;
    uint8_t *seen;
};

enum ff_status ff_assign_workspace(size_t n, size_t m, size_t *bytes)
{
    const size_t limit = SIZE_MAX / 64;
    if (n >= limit || m >= limit)
        return FF_EINVAL;
    *bytes = (n + 1 + 2 * (m + 1)) * sizeof(double) + 2 * (m + 1) * sizeof(size_t) + (m + 1);
    return FF_OK;
}

/* Walks from the free row `row` along the cheapest path to a free column; returns that column, or 0
 * if the costs that are left are not finite, as when another thread writes to gain. */
static size_t find_path(const struct assignment *a, const double *gain, size_t m, size_t row)
{
    size_t column = 0;
    for (size_t j = 0; j <= m; j++) {
        a->slack[j] = HUGE_VAL;
        a->seen[j] = 0;
    }
    a->owner[0] = row;
    while (a->owner[column] != 0) {
        const size_t here = a->owner[column];
        double smallest = HUGE_VAL;
        size_t next = 0;
        a->seen[column] = 1;
        for (size_t j = 1; j <= m; j++) {
            if (a->seen[j])
                continue;
            const double reduced =
                -gain[(here - 1) * m + j - 1] - a->price_row[here] - a->price_column[j];
            if (reduced < a->slack[j]) {
                a->slack[j] = reduced;
                a->came_from[j] = column;
            }
            if (a->slack[j] < smallest) {
                smallest = a->slack[j];
                next = j;
            }
        }
        for (size_t j = 0; j <= m; j++) {
            if (a->seen[j]) {
                a->price_row[a->owner[j]] += smallest;
                a->price_column[j] -= smallest;
            } else {
                a->slack[j] -= smallest;
            }
        }
        column = next;
        if (column == 0)
            break;
    }
    return column;
}

enum ff_status ff_assign(const double *restrict gain, size_t n, size_t m, void *restrict workspace,
                         int64_t *restrict column)
{
    if (n > m)
        return FF_EINVAL;
    for (size_t i = 0; i < n * m; i++)
        if (!(fabs(gain[i]) < MAX_GAIN)) /* Also rejects values that are not numbers. */
            return FF_EINVAL;
    struct assignment a;
    a.price_row = workspace;
    a.price_column = a.price_row + n + 1;
    a.slack = a.price_column + m + 1;
    a.owner = (size_t *)(a.slack + m + 1);
    a.came_from = a.owner + m + 1;
    a.seen = (uint8_t *)(a.came_from + m + 1);
    for (size_t i = 0; i <= n; i++)
        a.price_row[i] = 0;
    for (size_t j = 0; j <= m; j++) {
        a.price_column[j] = 0;
        a.owner[j] = a.came_from[j] = 0;
    }
    for (size_t row = 1; row <= n; row++) {
        size_t j = find_path(&a, gain, m, row);
        if (j == 0)
            return FF_EINVAL;
        while (j != 0) {
            const size_t before = a.came_from[j];
            a.owner[j] = a.owner[before];
            j = before;
        }
    }
    for (size_t j = 1; j <= m; j++)
        if (a.owner[j] != 0)
            column[a.owner[j] - 1] = (int64_t)j - 1;
    return FF_OK;
}
