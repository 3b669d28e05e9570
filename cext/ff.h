/* fastfer's pixel engine: the contract between the kernels and whoever calls them.
 *
 * - Nothing here knows Python, allocates, prints or sets errno. The caller owns every buffer, also
 *   the workspace, and no buffer that is written may overlap another one.
 * - Sizes are counts of elements unless a name says bytes; strides are in bytes, of either sign.
 * - There is no mutable state: any number of threads may call at once.
 * - Every instruction set gives the same bytes, those of fastfer/reference.py, which defines what
 *   is computed. All arithmetic is integer up to one conversion, one product and one sum in float.
 */
#ifndef FF_H
#define FF_H

#include <stddef.h>
#include <stdint.h>

enum ff_status {
    FF_OK = 0,
    FF_EINVAL,  /* an argument outside the range stated with the function */
    FF_EBOX,    /* a box that cannot be packed; the function tells which one */
    FF_ENAME,   /* no instruction set of this name */
    FF_ENOTSUP,   /* an instruction set that this build or this processor does not have */
};

enum {
    FF_MIN_SIZE = 16,      /* of a tile's side */
    FF_MAX_SIZE = 256,
    FF_SUBPIXEL = 256,     /* boxes are rounded to this fraction of a pixel */
    FF_MAX_SIDE = 65535,   /* of a box, in pixels */
    FF_TURN = 1 << 16,     /* cosines and sines are in one over this */
    FF_ISA_COUNT = 4,      /* scalar, avx2, avx512, neon */
    FF_POINTS = 5,         /* of a face that a detector finds */
    FF_PLANES = 15,        /* of a detector's map: score, box, points */
};

/* ---- Instruction sets ------------------------------------------------------------------------ */

/* The kernels of one instruction set; what is inside is no business of the caller. */
struct ff_kernels;

/* Sets *kernels to the table called name, or to the fastest that runs here if name is NULL.
 * Returns FF_OK, FF_ENAME or FF_ENOTSUP; *kernels is untouched on failure. Asks the processor each
 * time: call it once and keep the answer. */
enum ff_status ff_kernels_get(const char *name, const struct ff_kernels **kernels);

/* The name of a table, or of the i-th instruction set that fastfer knows, best first; NULL past the
 * end. Static strings. */
const char *ff_kernels_name(const struct ff_kernels *kernels);
const char *ff_isa_name(size_t i);

/* ---- Packing faces --------------------------------------------------------------------------- */

/* Pixels in rows from top to bottom; channels is 1 (gray) or 3 (blue, green, red). The pixels of a
 * row lie side by side; row y begins at data + y * stride. */
struct ff_frame {
    const uint8_t *data;
    size_t height, width;
    ptrdiff_t stride;
    int channels;
};

/* In 1/256 px of the frame. */
struct ff_box {
    int64_t x, y, w, h;
};

/* Rounds n boxes (x, y, width, height in pixels) to 1/256 px.
 * Returns FF_OK; FF_EINVAL for an empty frame; or FF_EBOX with, in *bad, the index of the first box
 * that is not finite, has no area, lies wholly outside the frame or is longer than FF_MAX_SIDE. */
enum ff_status ff_boxes_round(const double *restrict xywh, size_t n, const struct ff_frame *frame,
                              struct ff_box *restrict boxes, size_t *restrict bad);

/* Sets *bytes to the workspace that ff_pack_faces needs for these boxes. FF_OK or FF_EINVAL. */
enum ff_status ff_pack_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes);

/* Cuts n boxes out of frame as gray tiles of size x size: out[i] = gray * scale + bias.
 *
 * boxes come from ff_boxes_round for this very frame. workspace holds what ff_pack_workspace asked
 * for, aligned as malloc does. out holds n * size * size floats. A box may reach outside the frame,
 * whose edge repeats there; no byte outside the frame is read.
 * Returns FF_OK, or FF_EINVAL with out untouched. */
enum ff_status ff_pack_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, size_t n, size_t size,
                             double scale, double bias, void *restrict workspace,
                             float *restrict out);

/* The same for ff_turn_faces. */
enum ff_status ff_turn_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes);

/* As ff_pack_faces, for turned faces: boxes[i] stands for the square around its middle whose side is
 * the mean of its own, turned by the angle whose cosine and sine, in 1/65536, are turns[2i] and
 * turns[2i + 1]; positive angles turn from x towards y. workspace is that of ff_turn_workspace.
 * Returns FF_OK; or FF_EINVAL with out untouched, also for a cosine and sine that are no angle's: they
 * are farther from 0 than 65536 and rounding. */
enum ff_status ff_turn_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, const int32_t *restrict turns,
                             size_t n, size_t size, double scale, double bias,
                             void *restrict workspace, float *restrict out);

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* out[i * m + j] = intersection over union of a[i] and b[j]; boxes are x, y, width, height in one
 * unit, finite, with sides that are not negative. a may be b. Returns FF_OK. */
enum ff_status ff_iou(const double *a, size_t n, const double *b, size_t m, double *restrict out);

/* Walks boxes[order[0 .. n-1]] and keeps those that overlap no kept one by more than threshold.
 * Writes their numbers to keep, which holds n, and how many there are to *kept.
 * Returns FF_OK, or FF_EINVAL if order names a box that is not one of the n. */
enum ff_status ff_nms(const double *restrict boxes, const int64_t *restrict order, size_t n,
                      double threshold, int64_t *restrict keep, size_t *restrict kept);

/* Sets *bytes to the workspace that ff_assign needs. FF_OK, or FF_EINVAL for
 * sizes beyond all reason. */
enum ff_status ff_assign_workspace(size_t n, size_t m, size_t *bytes);

/* Gives each of n rows a column of its own so that the sum of gain[i * m + column[i]] is the largest
 * there is. The time grows with n * n * m.
 *
 * workspace holds what ff_assign_workspace asked for, aligned as malloc does.
 * Returns FF_OK; or FF_EINVAL, with column untouched, if n > m or a gain is not finite. */
enum ff_status ff_assign(const double *restrict gain, size_t n, size_t m, void *restrict workspace,
                         int64_t *restrict column);

/* ---- Detections ------------------------------------------------------------------------------ */

/* Appends the faces of one of a detector's maps, FF_PLANES planes of rows x columns floats: for each
 * cell a score; the distances from its middle to the left, top, right and bottom of a box; and x and
 * y of FF_POINTS points from its middle. Distances count in cells, which are stride pixels wide and
 * high. Cells whose score is below least cost a comparison; boxes that are not finite or have no area
 * are left out.
 *
 * The face number *count goes to boxes (4 floats: x, y, width, height), scores (1) and points
 * (2 * FF_POINTS), in pixels; each holds capacity faces. *count grows by what was found.
 * Returns FF_OK; or FF_EINVAL, with *count untouched, if there are more faces than capacity. */
enum ff_status ff_decode(const float *restrict map, size_t rows, size_t columns, size_t stride,
                         float least, size_t capacity, float *restrict boxes,
                         float *restrict scores, float *restrict points, size_t *restrict count);

#endif
