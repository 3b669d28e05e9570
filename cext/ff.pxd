# The declarations of ff.h, which documents them.
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "ff.h" nogil:
    enum ff_status:
        FF_OK
        FF_EINVAL
        FF_EBOX
        FF_ENAME
        FF_ENOTSUP

    enum:
        FF_MIN_SIZE
        FF_MAX_SIZE
        FF_SUBPIXEL
        FF_MAX_SIDE
        FF_ROTATION_ONE
        FF_ISA_COUNT
        FF_LANDMARKS
        FF_FLOW_SIDE
        FF_FLOW_POINTS
        FF_PLANES

    struct ff_kernels:
        pass

    ff_status ff_kernels_get(const char *name, const ff_kernels **kernels)
    const char *ff_kernels_name(const ff_kernels *kernels)
    const char *ff_isa_name(size_t i)

    struct ff_frame:
        const uint8_t *data
        size_t height
        size_t width
        ptrdiff_t stride
        int channels

    struct ff_box:
        int64_t x
        int64_t y
        int64_t w
        int64_t h

    ff_status ff_boxes_round(const double *xywh, size_t n, const ff_frame *frame, ff_box *boxes,
                             size_t *bad)
    ff_status ff_pack_workspace(const ff_frame *frame, const ff_box *boxes, size_t n, size_t size,
                                size_t *bytes)
    ff_status ff_pack_faces(const ff_kernels *kernels, const ff_frame *frame, const ff_box *boxes,
                            size_t n, size_t size, double scale, double bias, void *workspace,
                            float *out)

    ff_status ff_rotate_workspace(const ff_frame *frame, const ff_box *boxes, size_t n, size_t size,
                                  size_t *bytes)
    ff_status ff_rotate_faces(const ff_kernels *kernels, const ff_frame *frame, const ff_box *boxes,
                              const int32_t *rotations, size_t n, size_t size, double scale,
                              double bias, void *workspace, float *out)

    ff_status ff_assign_workspace(size_t n, size_t m, size_t *bytes)
    ff_status ff_assign(const double *gain, size_t n, size_t m, void *workspace, int64_t *column)
    ff_status ff_iou(const double *a, size_t n, const double *b, size_t m, double *out)
    ff_status ff_nms(const double *boxes, const int64_t *order, size_t n, double threshold,
                     int64_t *keep, size_t *kept)

    struct ff_motion:
        double matrix[6]
        double inliers
        double still

    ff_status ff_flow_workspace(size_t *bytes)
    ff_status ff_flow(const ff_kernels *kernels, const float *before, const float *after,
                      const double *boxes, size_t n, const double *points, size_t n_points,
                      double surround, void *workspace, ff_motion *motions)

    ff_status ff_decode(const float *map, size_t rows, size_t columns, size_t stride,
                        float min_score, size_t capacity, float *boxes, float *scores,
                        float *landmarks, size_t *count)
