/* Decodes the feature maps of a face detector into boxes and landmarks: float32, one rounding per
 * operation, as in fastfer/kernels/reference.py. */
#include "ff.h"

#include <math.h>

enum ff_status ff_decode(const float *restrict map, size_t rows, size_t columns, size_t stride,
                         float min_score, size_t capacity, float *restrict boxes,
                         float *restrict scores, float *restrict landmarks, size_t *restrict count)
{
    const size_t cells = rows * columns;
    const float cell = (float)stride;
    size_t n = *count;
    for (size_t i = 0; i < cells; i++) {
        if (!(map[i] >= min_score)) /* Also rejects values that are not numbers. */
            continue;
        const float x = (float)(i % columns) + 0.5f, y = (float)(i / columns) + 0.5f;
        const float *const value = map + i;
        const float left = value[1 * cells], top = value[2 * cells];
        const float right = value[3 * cells], bottom = value[4 * cells];
        const float box[4] = {
            (x - left) * cell, (y - top) * cell, (left + right) * cell, (top + bottom) * cell,
        };
        if (!(box[2] > 0 && box[3] > 0 && isfinite(box[0]) && isfinite(box[1]) &&
              isfinite(box[2]) && isfinite(box[3])))
            continue;
        if (n >= capacity)
            return FF_EINVAL;
        for (size_t k = 0; k < 4; k++)
            boxes[4 * n + k] = box[k];
        scores[n] = map[i];
        for (size_t k = 0; k < FF_LANDMARKS; k++) {
            landmarks[2 * (FF_LANDMARKS * n + k)] = (x + value[(5 + 2 * k) * cells]) * cell;
            landmarks[2 * (FF_LANDMARKS * n + k) + 1] = (y + value[(6 + 2 * k) * cells]) * cell;
        }
        n++;
    }
    *count = n;
    return FF_OK;
}
