"""From faces in a frame to the batch a network reads: crop, gray, resize, normalise in one pass."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.errors import BoxError, FrameError, UsageError
from fastfer.kernels import backend
from fastfer.kernels.boxes import as_boxes
from fastfer.kernels.units import MAX_SIDE
from fastfer.validation import check_integer

MIN_SIZE: Final = 16
MAX_SIZE: Final = 256
_UINT8: Final = np.dtype(np.uint8)
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


def pack_faces(
    frame: NDArray[np.uint8],
    boxes: ArrayLike,
    *,
    size: int = 48,
    scale: float = 1 / 255,
    bias: float = 0.0,
    out: NDArray[np.float32] | None = None,
    angles: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Cut ``boxes`` out of ``frame`` as gray tiles of ``size`` x ``size``, ready for a network.

    Shrinking averages the whole area under each output pixel, growing is bilinear with half-pixel
    centres, each axis for itself. Boxes are honoured to 1/256 px. A box may reach outside the
    frame: the frame's edge repeats there. Every instruction set, and the NumPy reference, gives the
    same bytes.

    Args:
        frame: uint8, (H, W, 3) blue-green-red or (H, W) gray. The pixels of a row must lie side by
            side; rows may be any distance apart, so a slice of a larger frame is read in place.
        boxes: (N, 4) x, y, width, height in pixels of ``frame``; integers or floats.
        size: side of a tile in pixels, 16 to 256.
        scale: what a gray value, 0 to 255, is multiplied with.
        bias: what is added after that.
        out: float32 (N, size, size, 1), C-contiguous, to write to instead of a new array. It must
            not share memory with ``frame``.
        angles: (N,) radians by which each face is turned from upright, clockwise as one looks at
            the picture (from x towards y); its tile shows it upright. Where an angle is not 0, the
            box stands for the square around its middle whose side is the mean of its own.

    Returns:
        float32 (N, size, size, 1), each value ``gray * scale + bias``; ``out`` where it was given.

    Raises:
        FrameError: the frame has another dtype, shape or memory layout.
        BoxError: a box is not finite, empty, wholly outside the frame, or longer than 65535 px.
        UsageError: ``size``, ``scale``, ``bias``, ``out`` or ``angles`` cannot be used.
        (All of them are ``ValueError``.)
    """
    check_frame(frame)
    rows = as_boxes(boxes)
    side = _check_size(size)
    if not (_is_float32(scale) and _is_float32(bias)):
        raise UsageError(
            f"scale and bias must be numbers, finite in float32; got {scale!r} and {bias!r}."
        )
    if out is None:
        out = np.empty((len(rows), side, side, 1), np.float32)
    else:
        _check_out(out, (len(rows), side, side, 1), frame)
    if angles is None:
        bad = backend.pack(frame, rows, side, scale, bias, out)
    else:
        bad = _pack_turned(frame, rows, side, scale, bias, out, angles)
    if bad >= 0:
        _refuse_box(rows, bad, frame)
    return out


def _pack_turned(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: int,
    scale: float,
    bias: float,
    out: NDArray[np.float32],
    angles: ArrayLike,
) -> int:
    """Pack those with an angle of 0 upright and the others turned; returns the first bad box."""
    try:
        turn = np.asarray(angles, np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise UsageError(f"angles must be numbers, one per box: {error}.") from None
    turns = np.empty((len(boxes), 2), np.int32)
    fits = turn.shape == (len(boxes),)
    turned = backend.turns(turn, turns) if fits else -1
    if turned < 0:
        raise UsageError(
            f"angles must be {len(boxes)} finite numbers, one per box; got shape {turn.shape}."
        )
    if not turned:
        return backend.pack(frame, boxes, size, scale, bias, out)
    if turned == len(turn):
        return backend.pack(frame, boxes, size, scale, bias, out, turns)
    for which in (np.flatnonzero(turn == 0), np.flatnonzero(turn)):
        part = np.empty((len(which), *out.shape[1:]), np.float32)
        given = turns[which] if turn[which[0]] else None
        bad = backend.pack(frame, boxes[which], size, scale, bias, part, given)
        if bad >= 0:
            return int(which[bad])
        out[which] = part
    return -1


def _check_size(size: Any) -> int:
    if type(size) is not int or not MIN_SIZE <= size <= MAX_SIZE:  # Fast path: once per frame.
        check_integer(size=(size, MIN_SIZE, MAX_SIZE))
    return int(size)


def _is_float32(value: Any) -> bool:
    # Built-in classes first: asking an abstract one costs ten times as much.
    number = isinstance(value, (float, int, Real))
    return number and -_FLOAT32_MAX < value < _FLOAT32_MAX


def check_frame(frame: Any) -> None:
    """Raise :class:`FrameError` unless ``frame`` is one that :func:`pack_faces` reads."""
    if isinstance(frame, np.ndarray) and frame.dtype == _UINT8 and frame.size and frame.ndim > 1:
        # NumPy leaves the stride of an axis of length one arbitrary.
        strides = frame.strides
        narrow = frame.shape[1] == 1
        if frame.ndim == 2 and (strides[1] == 1 or narrow):
            return
        packed = strides[1] == 3 or narrow
        if frame.ndim == 3 and packed and strides[2] == 1 and frame.shape[2] == 3:
            return
    raise FrameError(_frame_problem(frame))


def _frame_problem(frame: Any) -> str:
    if not isinstance(frame, np.ndarray):
        return (
            f"frame must be a NumPy array of uint8; got {type(frame).__name__}. "
            "Use fastfer.read_image to open a picture."
        )
    got = f"got shape {frame.shape}, dtype {frame.dtype}, strides {frame.strides}"
    if frame.ndim == 1 and frame.dtype == _UINT8:
        return (
            f"frame must be (H, W, 3) blue-green-red or (H, W) gray; {got}. "
            "If these are the bytes of a picture file, decode them: "
            "fastfer.read_image(frame.tobytes())."
        )
    if frame.dtype != _UINT8:
        return (
            f"frame must be uint8, 0 to 255; {got}. Scale and convert it, for instance with "
            "(frame * 255).astype(np.uint8) for floats from 0 to 1."
        )
    if not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)):
        return (
            f"frame must be (H, W, 3) blue-green-red or (H, W) gray; {got}. "
            "Drop an alpha channel with frame[:, :, :3], a single channel with frame[:, :, 0]."
        )
    if frame.size == 0:
        return f"frame has no pixels; {got}."
    return (
        f"the pixels of a row must lie side by side, in ascending order; {got}. "
        "Pass a slice of rows and columns, or np.ascontiguousarray(frame)."
    )


def _check_out(out: Any, shape: tuple[int, ...], frame: NDArray[np.uint8]) -> None:
    if not isinstance(out, np.ndarray):
        raise UsageError(f"out must be a float32 array of shape {shape}; got {type(out).__name__}.")
    if out.shape != shape or out.dtype != np.float32:
        raise UsageError(
            f"out must be float32 of shape {shape}; got {out.dtype} of shape {out.shape}."
        )
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise UsageError(
            f"out must be C-contiguous, aligned and writeable; got strides {out.strides}, "
            f"writeable={out.flags.writeable}. Pass a fresh np.empty({shape}, np.float32)."
        )
    if np.may_share_memory(out, frame):
        raise UsageError("out shares memory with the frame. Pass a buffer of its own.")


def _refuse_box(boxes: NDArray[np.float64], index: int, frame: NDArray[np.uint8]) -> NoReturn:
    x, y, w, h = boxes[index].tolist()
    height, width = frame.shape[:2]
    if not np.isfinite(boxes[index]).all():
        why = "is not finite"
    elif w < 1 / 512 or h < 1 / 512:
        why = "has no area: width and height must be positive"
    elif max(w, h) > MAX_SIDE:
        why = f"is too large: a side may be {MAX_SIDE} pixels at most"
    else:  # Boxes count to 1/256 pixel: one that touches the frame by less is outside, too.
        why = f"lies wholly outside the frame of {width} x {height} pixels"
    raise BoxError(
        f"boxes[{index}] = (x, y, width, height) = ({x:g}, {y:g}, {w:g}, {h:g}) {why}. "
        "Boxes are x, y, width, height in pixels of this frame."
    )
