# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
# cython: freethreading_compatible=True, auto_pickle=False, autotestdict=False
"""The boundary between Python and ff.h. Signatures and documentation: fastfer/_native.pyi.

Every function checks what memory safety needs, makes one call without the GIL, and turns a bad
status into an exception. Messages are terse: fastfer/kernels/pack.py and fastfer/kernels/boxes.py
validate what users pass. Other threads may write to any array during a call, so indices and other
values that address memory are copied before they are checked.
"""
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.math cimport cos, isfinite, rint, sin
from libc.stdint cimport PTRDIFF_MAX, int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strchr

from ff cimport (
    FF_EBOX,
    FF_ENAME,
    FF_FLOW_POINTS,
    FF_FLOW_SIDE,
    FF_LANDMARKS,
    FF_MAX_SIDE,
    FF_MAX_SIZE,
    FF_MIN_SIZE,
    FF_OK,
    FF_PLANES,
    FF_ROTATION_ONE,
    FF_SUBPIXEL,
    ff_assign,
    ff_assign_workspace,
    ff_box,
    ff_boxes_round,
    ff_decode,
    ff_flow,
    ff_flow_workspace,
    ff_frame,
    ff_iou,
    ff_isa_name,
    ff_kernels,
    ff_kernels_get,
    ff_kernels_name,
    ff_motion,
    ff_nms,
    ff_pack_faces,
    ff_pack_workspace,
    ff_rotate_faces,
    ff_rotate_workspace,
    ff_status,
)

import os

from fastfer.errors import UsageError

MIN_SIZE = FF_MIN_SIZE
MAX_SIZE = FF_MAX_SIZE
SUBPIXEL = FF_SUBPIXEL
MAX_SIDE = FF_MAX_SIDE
ROTATION_ONE = FF_ROTATION_ONE
LANDMARKS = FF_LANDMARKS
PLANES = FF_PLANES
FLOW_SIDE = FF_FLOW_SIDE
FLOW_POINTS = FF_FLOW_POINTS

# Set at import. Only force_isa, which tests use, changes it afterwards.
cdef const ff_kernels *kernels = NULL


def available():
    cdef size_t i = 0
    cdef const char *name = ff_isa_name(0)
    cdef const ff_kernels *found
    names = []
    while name != NULL:
        if ff_kernels_get(name, &found) == FF_OK:
            names.append(name.decode())
        i += 1
        name = ff_isa_name(i)
    return tuple(names)


def isa():
    return ff_kernels_name(kernels).decode()


def force_isa(str name):
    global kernels
    before = isa()
    _choose(name, "force_isa")
    return before


cdef _choose(str name, str source):
    global kernels
    cdef bytes text = (name or "").encode()
    cdef const char *wanted = NULL
    if text:
        wanted = text
    cdef ff_status status = ff_kernels_get(wanted, &kernels)
    if status != FF_OK:
        why = ("unknown instruction set" if status == FF_ENAME
               else "this build or this processor lacks it")
        raise UsageError(f"{source}={name!r}: {why}; choose from {', '.join(available())}")


_choose(os.environ.get("FASTFER_ISA"), "FASTFER_ISA")


cdef class _View:
    """A buffer that is released with this object."""

    cdef Py_buffer view
    cdef bint held

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)


cdef _View _view(object array, str name, int flags, const char *formats, Py_ssize_t itemsize):
    """The buffer of an array; ValueError unless its items are aligned and of these formats."""
    cdef _View self = _View.__new__(_View)
    PyObject_GetBuffer(array, &self.view, flags | PyBUF_FORMAT)
    self.held = True
    cdef const char *format = self.view.format
    if (format == NULL or format[0] == 0 or format[1] != 0 or strchr(formats, format[0]) == NULL
            or self.view.itemsize != itemsize or <uintptr_t>self.view.buf % <size_t>itemsize != 0):
        raise ValueError(f"{name}: wrong item type, or not aligned")
    return self


cdef _View _array(object array, str name, int flags, const char *formats, Py_ssize_t itemsize,
                  int ndim, Py_ssize_t n, Py_ssize_t m):
    """The same for a C-contiguous array of shape (n,) or (n, m); a negative length matches any."""
    cdef _View self = _view(array, name, flags | PyBUF_C_CONTIGUOUS, formats, itemsize)
    if (self.view.ndim != ndim or (n >= 0 and self.view.shape[0] != n)
            or (ndim > 1 and m >= 0 and self.view.shape[1] != m)):
        raise ValueError(f"{name}: wrong shape")
    return self


cdef _View _frame(object array, ff_frame *frame):
    """Fill ``frame`` from an array (H, W) or (H, W, 3) with contiguous rows."""
    cdef _View self = _view(array, "frame", PyBUF_STRIDES, b"B", 1)
    cdef const Py_ssize_t *shape = self.view.shape
    cdef const Py_ssize_t *strides = self.view.strides
    cdef Py_ssize_t channels = 1
    if self.view.ndim == 3 and shape[2] == 3 and strides[2] == 1:
        channels = 3
    elif self.view.ndim != 2:
        raise ValueError("frame: must be (H, W) or (H, W, 3)")
    if shape[0] < 1 or shape[1] < 1 or (shape[1] > 1 and strides[1] != channels):
        raise ValueError("frame: no pixels, or rows not contiguous")
    cdef size_t step = <size_t>strides[0] if strides[0] >= 0 else -<size_t>strides[0]
    if step != 0 and <size_t>shape[0] - 1 > <size_t>PTRDIFF_MAX // step:
        raise ValueError("frame: larger than the address space")
    frame.data = <const uint8_t *>self.view.buf
    frame.height = <size_t>shape[0]
    frame.width = <size_t>shape[1]
    frame.stride = strides[0]
    frame.channels = <int>channels
    return self


cdef bint _overlap(const ff_frame *frame, const Py_buffer *out) noexcept:
    """Whether the memory from a frame's first to its last byte overlaps that of ``out``."""
    cdef const uint8_t *first = frame.data
    cdef const uint8_t *last = frame.data + <Py_ssize_t>(frame.height - 1) * frame.stride
    if last < first:
        first, last = last, first
    last += frame.width * <size_t>frame.channels
    return first < <const uint8_t *>out.buf + out.len and <const uint8_t *>out.buf < last


def pack(frame, boxes, Py_ssize_t size, double scale, double bias, out, rotations=None):
    cdef ff_frame pixels
    cdef _View held = _frame(frame, &pixels)
    cdef _View xywh = _array(boxes, "boxes", 0, b"d", sizeof(double), 2, -1, 4)
    cdef _View tiles = _view(out, "out", PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE, b"f", sizeof(float))
    cdef const Py_ssize_t *shape = tiles.view.shape
    cdef size_t n = <size_t>xywh.view.shape[0]
    cdef size_t bad = 0
    cdef size_t bytes = 0
    cdef ff_box *rounded
    cdef void *workspace
    cdef ff_status status
    cdef _View pairs = None
    cdef const int32_t *rotation = NULL
    if rotations is not None:
        pairs = _array(rotations, "rotations", 0, b"i", sizeof(int32_t), 2, <Py_ssize_t>n, 2)
        rotation = <const int32_t *>pairs.view.buf
    if not FF_MIN_SIZE <= size <= FF_MAX_SIZE:
        raise ValueError(f"size: must be {FF_MIN_SIZE} to {FF_MAX_SIZE}")
    if (tiles.view.ndim != 4 or <size_t>shape[0] != n or shape[1] != size or shape[2] != size
            or shape[3] != 1):
        raise ValueError("out: wrong shape")
    if _overlap(&pixels, &tiles.view):
        raise ValueError("out: overlaps the frame")
    if n == 0:
        return -1
    # One allocation for the copies of boxes and rotations.
    rounded = <ff_box *>calloc(n, sizeof(ff_box) + 2 * sizeof(int32_t))
    if rounded == NULL:
        raise MemoryError
    try:
        if rotation != NULL:
            memcpy(<void *>(rounded + n), rotation, n * 2 * sizeof(int32_t))
            rotation = <const int32_t *>(rounded + n)
        status = ff_boxes_round(<const double *>xywh.view.buf, n, &pixels, rounded, &bad)
        if status == FF_EBOX:
            return bad
        if status == FF_OK and rotation == NULL:
            status = ff_pack_workspace(&pixels, rounded, n, <size_t>size, &bytes)
        elif status == FF_OK:
            status = ff_rotate_workspace(&pixels, rounded, n, <size_t>size, &bytes)
        if status != FF_OK:
            raise RuntimeError(f"ff_pack_workspace: status {<int>status}")
        workspace = malloc(bytes)
        if workspace == NULL:
            raise MemoryError
        with nogil:
            if rotation == NULL:
                status = ff_pack_faces(kernels, &pixels, rounded, n, <size_t>size, scale, bias,
                                       workspace, <float *>tiles.view.buf)
            else:
                status = ff_rotate_faces(kernels, &pixels, rounded, rotation, n, <size_t>size,
                                         scale, bias, workspace, <float *>tiles.view.buf)
            free(workspace)
        if status != FF_OK:
            raise RuntimeError(f"ff_pack_faces: status {<int>status}")
        return -1
    finally:
        free(rounded)


def rotations(angles, out):
    cdef _View radians = _array(angles, "angles", 0, b"d", sizeof(double), 1, -1, 0)
    cdef Py_ssize_t n = radians.view.shape[0]
    cdef _View pairs = _array(out, "out", PyBUF_WRITABLE, b"i", sizeof(int32_t), 2, n, 2)
    cdef const double *angle = <const double *>radians.view.buf
    cdef int32_t *pair = <int32_t *>pairs.view.buf
    cdef Py_ssize_t i
    cdef Py_ssize_t rotated = 0
    for i in range(n):
        if not isfinite(angle[i]):
            return -1
        rotated += angle[i] != 0
        pair[2 * i] = <int32_t>rint(cos(angle[i]) * FF_ROTATION_ONE)
        pair[2 * i + 1] = <int32_t>rint(sin(angle[i]) * FF_ROTATION_ONE)
    return rotated


def iou(a, b, out):
    cdef _View rows = _array(a, "a", 0, b"d", sizeof(double), 2, -1, 4)
    cdef _View columns = _array(b, "b", 0, b"d", sizeof(double), 2, -1, 4)
    cdef size_t n = <size_t>rows.view.shape[0]
    cdef size_t m = <size_t>columns.view.shape[0]
    cdef _View matrix = _array(out, "out", PyBUF_WRITABLE, b"d", sizeof(double), 2, n, m)
    with nogil:
        ff_iou(<const double *>rows.view.buf, n, <const double *>columns.view.buf, m,
               <double *>matrix.view.buf)


def nms(boxes, order, double threshold, keep):
    cdef _View xywh = _array(boxes, "boxes", 0, b"d", sizeof(double), 2, -1, 4)
    cdef Py_ssize_t n = xywh.view.shape[0]
    cdef _View walk = _array(order, "order", 0, b"lq", sizeof(int64_t), 1, n, 0)
    cdef _View kept = _array(keep, "keep", PyBUF_WRITABLE, b"lq", sizeof(int64_t), 1, n, 0)
    cdef size_t bytes = <size_t>n * sizeof(int64_t)
    cdef size_t count = 0
    cdef ff_status status
    cdef int64_t *indices = <int64_t *>malloc(bytes or 1)
    if indices == NULL:
        raise MemoryError
    with nogil:
        memcpy(indices, walk.view.buf, bytes)
        status = ff_nms(<const double *>xywh.view.buf, indices, <size_t>n, threshold, indices,
                        &count)
        if status == FF_OK:
            memcpy(kept.view.buf, indices, count * sizeof(int64_t))
        free(indices)
    if status != FF_OK:
        raise ValueError("order: must hold indices of boxes")
    return count


def assign(gain, column):
    cdef _View gains = _array(gain, "gain", 0, b"d", sizeof(double), 2, -1, -1)
    cdef Py_ssize_t n = gains.view.shape[0]
    cdef Py_ssize_t m = gains.view.shape[1]
    cdef _View columns = _array(column, "column", PyBUF_WRITABLE, b"lq", sizeof(int64_t), 1, n, 0)
    cdef size_t bytes = 0
    cdef void *workspace
    cdef ff_status status = ff_assign_workspace(<size_t>n, <size_t>m, &bytes)
    if n > m:
        raise ValueError("gain: more rows than columns")
    if status != FF_OK:
        raise RuntimeError(f"ff_assign_workspace: status {<int>status}")
    workspace = malloc(bytes)
    if workspace == NULL:
        raise MemoryError
    with nogil:
        status = ff_assign(<const double *>gains.view.buf, <size_t>n, <size_t>m, workspace,
                           <int64_t *>columns.view.buf)
        free(workspace)
    if status != FF_OK:
        raise ValueError("gain: must be finite, below 2^960 in magnitude")


def flow(before, after, boxes, points, double surround, motions):
    cdef _View xywh = _array(boxes, "boxes", 0, b"d", sizeof(double), 2, -1, 4)
    cdef Py_ssize_t n = xywh.view.shape[0]
    cdef _View first = _array(before, "before", 0, b"f", sizeof(float), 2, n,
                              FF_FLOW_SIDE * FF_FLOW_SIDE)
    cdef _View second = _array(after, "after", 0, b"f", sizeof(float), 2, n,
                               FF_FLOW_SIDE * FF_FLOW_SIDE)
    cdef _View grid = _array(points, "points", 0, b"d", sizeof(double), 2, -1, 2)
    cdef _View out = _array(motions, "motions", PyBUF_WRITABLE, b"d", sizeof(double), 2, n,
                            sizeof(ff_motion) // sizeof(double))
    cdef size_t bytes = 0
    cdef void *workspace
    cdef ff_status status = ff_flow_workspace(&bytes)
    if grid.view.shape[0] > FF_FLOW_POINTS:
        raise ValueError("points: too many")
    workspace = malloc(bytes)
    if workspace == NULL:
        raise MemoryError
    with nogil:
        status = ff_flow(kernels, <const float *>first.view.buf, <const float *>second.view.buf,
                         <const double *>xywh.view.buf, <size_t>n,
                         <const double *>grid.view.buf, <size_t>grid.view.shape[0], surround,
                         workspace, <ff_motion *>out.view.buf)
        free(workspace)
    if status != FF_OK:
        raise RuntimeError(f"ff_flow: status {<int>status}")


def decode(map, Py_ssize_t stride, double min_score, boxes, scores, landmarks, Py_ssize_t count):
    cdef _View planes = _view(map, "map", PyBUF_C_CONTIGUOUS, b"f", sizeof(float))
    cdef const Py_ssize_t *shape = planes.view.shape
    cdef _View xywh = _array(boxes, "boxes", PyBUF_WRITABLE, b"f", sizeof(float), 2, -1, 4)
    cdef Py_ssize_t n = xywh.view.shape[0]
    cdef _View values = _array(scores, "scores", PyBUF_WRITABLE, b"f", sizeof(float), 1, n, 0)
    cdef _View points = _array(landmarks, "landmarks", PyBUF_WRITABLE, b"f", sizeof(float), 2, n,
                               2 * FF_LANDMARKS)
    cdef size_t found = <size_t>count
    cdef ff_status status
    if planes.view.ndim != 3 or shape[0] != FF_PLANES:
        raise ValueError("map: wrong shape")
    if stride < 1 or not 0 <= count <= n:
        raise ValueError("stride, count: out of range")
    with nogil:
        status = ff_decode(<const float *>planes.view.buf, <size_t>shape[1], <size_t>shape[2],
                           <size_t>stride, <float>min_score, <size_t>n, <float *>xywh.view.buf,
                           <float *>values.view.buf, <float *>points.view.buf, &found)
    if status != FF_OK:
        raise ValueError("boxes: no room for all faces found")
    return found
