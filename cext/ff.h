/* ff.h: fastfer's pixel engine.
 *
 * Cuts faces out of 8-bit frames as gray, resized, normalised float tiles; measures the overlap of
 * boxes; matches boxes; decodes the feature maps of a face detector. C11, no dependency but libc
 * and libm, no knowledge of Python.
 *
 * QUICK START
 *
 *     const struct ff_kernels *kernels;
 *     struct ff_frame frame = {pixels, height, width, stride_in_bytes, 3};
 *     struct ff_box box;
 *     size_t bad, bytes;
 *     if (ff_kernels_get(NULL, &kernels) != FF_OK) ...
 *     if (ff_boxes_round((double[4]){x, y, w, h}, 1, &frame, &box, &bad) != FF_OK) ...
 *     if (ff_pack_workspace(&frame, &box, 1, 48, &bytes) != FF_OK) ...
 *     void *workspace = malloc(bytes);
 *     float tile[48 * 48];
 *     ff_pack_faces(kernels, &frame, &box, 1, 48, 1 / 255.0, 0, workspace, tile);
 *
 * MEMORY. The caller allocates everything: outputs, and a workspace whose size a function
 * ff_*_workspace computes from the same arguments. A workspace is aligned as malloc aligns, holds
 * nothing between calls and may be reused. No function allocates, prints or sets errno. A buffer
 * that is written must not overlap another buffer, unless the function says that it may.
 *
 * STRIDES. Sizes count elements unless the name ends in bytes. A frame's stride is the distance in
 * bytes from a row to the next; it may be larger than a row, zero or negative. Every other array is
 * contiguous.
 *
 * UNITS. Pixels of the frame, with the origin at the outer corner of the first pixel. A struct
 * ff_box counts in 1/FF_SUBPIXEL px; cosines and sines count in 1/FF_ROTATION_ONE.
 *
 * THREADS. There is no mutable state: any number of threads may call any function at once, with
 * separate workspaces and outputs. No function starts a thread.
 *
 * DETERMINISM. Every instruction set and compiler writes the same bytes, those of
 * fastfer/kernels/reference.py, which defines what is computed. The arithmetic is integer up to one
 * conversion, one product and one sum in float (ff_pack_faces, ff_rotate_faces), or float and
 * double in a fixed order (the rest). Compile without contraction: -ffp-contract=off, /fp:precise.
 *
 * STATUS. Every function that can fail returns an ff_status; its outputs are unchanged unless the
 * status is FF_OK or the function says otherwise. Pointers are not checked.
 */
#ifndef FF_H
#define FF_H

#include <stddef.h>
#include <stdint.h>

enum ff_status {
    FF_OK = 0,
    FF_EINVAL,  /* an argument is outside the range documented with the function */
    FF_EBOX,    /* a box cannot be packed; the function sets its index */
    FF_ENAME,   /* no instruction set has this name */
    FF_ENOTSUP, /* this build or this processor lacks the instruction set */
};

enum {
    FF_MIN_SIZE = 16,          /* smallest side of a tile, in pixels */
    FF_MAX_SIZE = 256,         /* largest side of a tile */
    FF_SUBPIXEL = 256,         /* boxes are rounded to 1/FF_SUBPIXEL px */
    FF_MAX_SIDE = 65535,       /* longest side of a box, in pixels; weights stay exact up to here */
    FF_ROTATION_ONE = 1 << 16, /* 1.0 of a cosine or sine */
    FF_ISA_COUNT = 4,          /* scalar, avx2, avx512, neon */
    FF_LANDMARKS = 5,          /* points of a detected face: eyes, nose, corners of the mouth */
    FF_FLOW_SIDE = 64,         /* side of a patch for ff_flow, in pixels */
    FF_FLOW_POINTS = 64,       /* most points that ff_flow follows */
    FF_PLANES = 15,            /* of a feature map: score, 4 distances, FF_LANDMARKS points */
};

/* ---- Instruction sets ------------------------------------------------------------------------ */

/* The kernels of one instruction set. Opaque. */
struct ff_kernels;

/* Sets *kernels to the table called name, or to the fastest one that runs here if name is NULL.
 * Runs cpuid on every call: call it once and keep the pointer, which is valid forever.
 * Returns FF_OK, FF_ENAME or FF_ENOTSUP. */
enum ff_status ff_kernels_get(const char *name, const struct ff_kernels **kernels);

/* Name of a table. A static string. */
const char *ff_kernels_name(const struct ff_kernels *kernels);

/* Name of instruction set i, fastest first, whether or not it runs here; NULL past the end. A
 * static string. */
const char *ff_isa_name(size_t i);

/* ---- Packing faces --------------------------------------------------------------------------- */

/* 8-bit pixels, rows from top to bottom. The pixels of a row are contiguous; row y begins at
 * data + y * stride. The functions below read the pixels inside the boxes, and no byte outside the
 * frame. */
struct ff_frame {
    const uint8_t *data;
    size_t height, width; /* at least 1 */
    ptrdiff_t stride;
    int channels; /* 1 (gray) or 3 (blue, green, red) */
};

/* A box in 1/FF_SUBPIXEL px of its frame; made by ff_boxes_round. */
struct ff_box {
    int64_t x, y, w, h;
};

/* Rounds n boxes (x, y, width, height in pixels; xywh holds 4 * n) to 1/FF_SUBPIXEL px.
 *
 * Returns FF_OK; FF_EINVAL for an empty frame; or FF_EBOX with the index of the first bad box in
 * *bad: one that is not finite, has no area, lies wholly outside the frame or is longer than
 * FF_MAX_SIDE. After FF_EBOX, boxes holds the good boxes before it. */
enum ff_status ff_boxes_round(const double *restrict xywh, size_t n, const struct ff_frame *frame,
                              struct ff_box *restrict boxes, size_t *restrict bad);

/* Sets *bytes to the size of the workspace for ff_pack_faces with the same arguments.
 * Returns FF_OK, or FF_EINVAL for a size out of range. */
enum ff_status ff_pack_workspace(const struct ff_frame *frame, const struct ff_box *boxes, size_t n,
                                 size_t size, size_t *bytes);

/* Cuts n boxes out of frame as gray tiles of size x size: out = gray * scale + bias, gray 0 to 255.
 *
 * Shrinking averages the area under each output pixel, growing interpolates bilinearly; the axes
 * are independent. Outside the frame its edge pixels repeat. out holds n * size * size floats.
 *
 * boxes must come from ff_boxes_round for this frame.
 * Returns FF_OK, or FF_EINVAL for a size or number of channels out of range. */
enum ff_status ff_pack_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                             const struct ff_box *restrict boxes, size_t n, size_t size,
                             double scale, double bias, void *restrict workspace,
                             float *restrict out);

/* As ff_pack_workspace, for ff_rotate_faces. */
enum ff_status ff_rotate_workspace(const struct ff_frame *frame, const struct ff_box *boxes,
                                   size_t n, size_t size, size_t *bytes);

/* As ff_pack_faces, for rotated faces, which become upright tiles.
 *
 * boxes[i] stands for the square with the same centre whose side is the mean of the box's sides,
 * rotated by the angle with cosine rotations[2 * i] and sine rotations[2 * i + 1], in
 * 1/FF_ROTATION_ONE. Positive angles rotate x towards y: clockwise on screen.
 *
 * Returns FF_OK; or FF_EINVAL as ff_pack_faces does, and for a cosine and sine that are not those
 * of an angle (their vector is longer than FF_ROTATION_ONE plus rounding). */
enum ff_status ff_rotate_faces(const struct ff_kernels *kernels, const struct ff_frame *frame,
                               const struct ff_box *restrict boxes,
                               const int32_t *restrict rotations, size_t n, size_t size,
                               double scale, double bias, void *restrict workspace,
                               float *restrict out);

/* ---- Boxes ----------------------------------------------------------------------------------- */

/* Boxes are x, y, width, height in any one unit, finite, with sides of 0 or more. */

/* Intersection over union: out[i * m + j] = iou(a[i], b[j]), 0 to 1; 0 for boxes that only touch or
 * have no area. a and b hold 4 * n and 4 * m doubles and may be the same array. Returns FF_OK. */
enum ff_status ff_iou(const double *a, size_t n, const double *b, size_t m, double *restrict out);

/* Non-maximum suppression: walks boxes[order[0 .. n-1]] and keeps those that overlap no box kept
 * before by more than threshold. Writes the kept indices to keep, which holds n, and their number
 * to *kept. keep may be order itself. Time grows with n * *kept.
 * Returns FF_OK, or FF_EINVAL if order holds anything but 0 .. n-1. */
enum ff_status ff_nms(const double *boxes, const int64_t *order, size_t n, double threshold,
                      int64_t *keep, size_t *kept);

/* Sets *bytes to the size of the workspace for ff_assign. Returns FF_OK, or FF_EINVAL for sizes
 * that no memory holds. */
enum ff_status ff_assign_workspace(size_t n, size_t m, size_t *bytes);

/* The assignment problem: chooses a different column for each of n rows so that the sum of
 * gain[i * m + column[i]] is maximal. Optimal; time grows with n * n * m.
 *
 * Returns FF_OK; or FF_EINVAL if n > m, or a gain is not finite or not below 2^960 in magnitude (so
 * that no sum overflows). */
enum ff_status ff_assign(const double *restrict gain, size_t n, size_t m, void *restrict workspace,
                         int64_t *restrict column);

/* ---- Optical flow ---------------------------------------------------------------------------- */

/* The motion of a box between two frames: a similarity, two rows of three that take (x, y, 1) to the
 * next frame. */
struct ff_motion {
    double matrix[6];
    double inliers; /* share of the points that could be followed, 0 to 1, that agree; 0 if too few
                     * do: the matrix is then the identity */
    double still;   /* 1 if nothing has moved: the identity, with inliers 1 */
};

/* Sets *bytes to the size of the workspace for ff_flow. Returns FF_OK. */
enum ff_status ff_flow_workspace(size_t *bytes);

/* The motion of n boxes (x, y, width, height; 4 * n doubles) between two frames.
 *
 * before and after hold n patches of FF_FLOW_SIDE x FF_FLOW_SIDE grays, 0 to 255, which show the
 * same place in both frames: the box enlarged by surround around its centre. points (2 * n_points
 * doubles, x and y in pixels of a patch, 0 at the centre of the first) are followed from one to the
 * other and back, on three levels; a similarity is fitted to those that return.
 *
 * Values that are not finite are allowed: their points are lost.
 * Returns FF_OK, or FF_EINVAL for more than FF_FLOW_POINTS points. */
enum ff_status ff_flow(const struct ff_kernels *kernels, const float *before, const float *after,
                       const double *boxes, size_t n, const double *points, size_t n_points,
                       double surround, void *restrict workspace,
                       struct ff_motion *restrict motions);

/* ---- Feature maps ---------------------------------------------------------------------------- */

/* Decodes one feature map of a face detector and appends its faces.
 *
 * map holds FF_PLANES planes of rows x columns floats. For the cell in row r and column c, whose
 * centre is (c + 0.5, r + 0.5): plane 0 is the score; planes 1 to 4 are the distances from the
 * centre to the left, top, right and bottom of the box; planes 5 on are x and y of each landmark,
 * relative to the centre. Distances count in cells, which are stride pixels wide and high.
 *
 * Cells that score below min_score cost one comparison each; boxes that are not finite or have no
 * area are left out. Face number *count goes to boxes (4 floats: x, y, width, height), scores (1)
 * and landmarks (2 * FF_LANDMARKS), in pixels; each array has room for capacity faces. *count grows
 * by the number of faces found.
 *
 * Returns FF_OK; or FF_EINVAL if the faces exceed capacity: *count is unchanged, and the room
 * behind it is overwritten. */
enum ff_status ff_decode(const float *restrict map, size_t rows, size_t columns, size_t stride,
                         float min_score, size_t capacity, float *restrict boxes,
                         float *restrict scores, float *restrict landmarks, size_t *restrict count);

#endif
