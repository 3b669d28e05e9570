/* Overlap of boxes, in double and in the order of fastfer/reference.py, so that the bytes agree. */
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
    /* Rounding can make the overlap of tiny boxes far from the origin larger than they are. */
    return both < either ? both / either : either > 0 ? 1 : 0;
}

enum ff_status ff_iou(const double *a, size_t n, const double *b, size_t m, double *restrict out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            out[i * m + j] = overlap(a + 4 * i, b + 4 * j);
    return FF_OK;
}

enum ff_status ff_nms(const double *restrict boxes, const int64_t *restrict order, size_t n,
                      double threshold, int64_t *restrict keep, size_t *restrict kept)
{
    for (size_t i = 0; i < n; i++)
        if (order[i] < 0 || (uint64_t)order[i] >= n)
            return FF_EINVAL;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < count && !(overlap(boxes + 4 * keep[k], boxes + 4 * order[i]) > threshold))
            k++;
        if (k == count)
            keep[count++] = order[i];
    }
    *kept = count;
    return FF_OK;
}
