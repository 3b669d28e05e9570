"""Faces of a frame to a network's input batch: crop, gray, resize and normalise in one pass."""

from __future__ import annotations

from numbers import Real
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.errors import BoxError, FrameError, UsageError
from fastfer.kernels import backend
from fastfer.kernels.backend import MAX_SIDE, MAX_SIZE, MIN_SIZE
from fastfer.kernels.boxes import as_boxes
from fastfer.validation import check_integer

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
    """Crop ``boxes`` from ``frame`` as gray tiles of ``size`` x ``size``, ready for a network.

    Shrinking averages the area under each output pixel, growing is bilinear with half-pixel
    centres; the axes are independent. Boxes are rounded to 1/256 px. A box may extend beyond the
    frame, whose edge pixels repeat there. All instruction sets and the NumPy reference return the
    same bytes.

    Args:
        frame: uint8, (H, W, 3) BGR or (H, W) gray. Rows must be contiguous; the stride between rows
            is free, so a slice of a larger frame is read in place.
        boxes: (N, 4) x, y, width, height in pixels of ``frame``; integers or floats.
        size: side of a tile in pixels, 16 to 256.
        scale: factor of a gray value, 0 to 255.
        bias: added after scaling.
        out: float32 (N, size, size, 1), C-contiguous: written and returned instead of a new array.
            It must not share memory with ``frame``.
        angles: (N,) roll of each face in radians, clockwise on screen (from x towards y); its tile
            is upright. A box with an angle other than 0 stands for the square with the same centre
            whose side is the mean of the box's sides.

    Returns:
        float32 (N, size, size, 1), each value ``gray * scale + bias``.

    Raises:
        FrameError: unsupported dtype, shape or memory layout.
        BoxError: a box is not finite, empty, wholly outside the frame, or longer than 65535 px.
        UsageError: invalid ``size``, ``scale``, ``bias``, ``out`` or ``angles``.
    """
    check_frame(frame)
    rows = as_boxes(boxes)
    side = _check_size(size)
    if not (_is_float32(scale) and _is_float32(bias)):
        raise UsageError(
            f"scale and bias must be finite in float32; got {scale!r} and {bias!r}",
            code="out_of_range",
        )
    if out is None:
        out = np.empty((len(rows), side, side, 1), np.float32)
    else:
        _check_out(out, (len(rows), side, side, 1), frame)
    if angles is None:
        bad = backend.pack(frame, rows, side, scale, bias, out)
    else:
        bad = _pack_rotated(frame, rows, side, scale, bias, out, angles)
    if bad >= 0:
        _refuse_box(rows, bad, frame)
    return out


def _pack_rotated(
    frame: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    size: int,
    scale: float,
    bias: float,
    out: NDArray[np.float32],
    angles: ArrayLike,
) -> int:
    """Pack boxes with angle 0 upright and the others rotated; returns the index of the first bad
    box, or -1."""
    needed = f"angles must be {len(boxes)} finite numbers, one per box"
    try:
        roll = np.require(angles, np.float64, ["C", "A"])
    except (TypeError, ValueError) as error:
        raise UsageError(f"{needed}: {error}") from None
    rotations = np.empty((len(boxes), 2), np.int32)
    fits = roll.shape == (len(boxes),)
    rotated = backend.rotations(roll, rotations) if fits else -1
    if rotated < 0:
        raise UsageError(f"{needed}; got shape {roll.shape}")
    if not rotated:
        return backend.pack(frame, boxes, size, scale, bias, out)
    if rotated == len(roll):
        return backend.pack(frame, boxes, size, scale, bias, out, rotations)
    for which in (np.flatnonzero(roll == 0), np.flatnonzero(roll)):
        part = np.empty((len(which), *out.shape[1:]), np.float32)
        of_part = rotations[which] if roll[which[0]] else None
        bad = backend.pack(frame, boxes[which], size, scale, bias, part, of_part)
        if bad >= 0:
            return int(which[bad])
        out[which] = part
    return -1


def _check_size(size: Any) -> int:
    if type(size) is not int or not MIN_SIZE <= size <= MAX_SIZE:  # Fast path: once per frame.
        check_integer(size=(size, MIN_SIZE, MAX_SIZE))
    return int(size)


def _is_float32(value: Any) -> bool:
    # Built-in classes first: the abstract class costs ten times as much.
    number = isinstance(value, (float, int, Real))
    return number and -_FLOAT32_MAX < value < _FLOAT32_MAX


def check_frame(frame: Any, name: str = "frame") -> None:
    """Raise :class:`FrameError` unless :func:`pack_faces` accepts ``frame``, called ``name``."""
    if type(frame) is not np.ndarray and isinstance(frame, np.ndarray):
        frame = _plain(frame, name)
    if isinstance(frame, np.ndarray) and frame.dtype == _UINT8 and frame.size and frame.ndim > 1:
        # NumPy leaves the stride of an axis of length one arbitrary.
        strides = frame.strides
        one_column = frame.shape[1] == 1
        if frame.ndim == 2 and (strides[1] == 1 or one_column):
            return
        packed = strides[1] == 3 or one_column
        if frame.ndim == 3 and packed and strides[2] == 1 and frame.shape[2] == 3:
            return
    raise FrameError(_frame_problem(frame, name))


def _plain(frame: Any, name: str) -> NDArray[Any]:
    """The array behind one of a subclass, which may describe itself otherwise than it is."""
    plain = np.asarray(frame)
    if (plain.shape, plain.dtype, plain.strides) != (frame.shape, frame.dtype, frame.strides):
        raise FrameError(
            f"{name} is a {type(frame).__name__} that states shape {frame.shape} for data of shape "
            f"{plain.shape}; pass numpy.asarray(...) of it"
        )
    return plain


def _frame_problem(frame: Any, name: str) -> str:
    if not isinstance(frame, np.ndarray):
        return (
            f"{name} must be a NumPy array of uint8; got {type(frame).__name__}; "
            "open a picture with fastfer.read_image"
        )
    got = f"got shape {frame.shape}, dtype {frame.dtype}, strides {frame.strides}"
    if frame.ndim == 1 and frame.dtype == _UINT8:
        return (
            f"{name} must be (H, W, 3) BGR or (H, W) gray; {got}; "
            "decode the bytes of a picture file with fastfer.read_image(frame.tobytes())"
        )
    if frame.dtype != _UINT8:
        return (
            f"{name} must be uint8, 0 to 255; {got}; convert floats from 0 to 1 with "
            "(frame * 255).astype(np.uint8)"
        )
    if not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)):
        return (
            f"{name} must be (H, W, 3) BGR or (H, W) gray; {got}; drop an alpha channel with "
            "np.ascontiguousarray(frame[:, :, :3]), a single channel with frame[:, :, 0]"
        )
    if frame.size == 0:
        return f"{name} has no pixels; {got}"
    return (
        f"{name} must have contiguous rows; {got}; pass a slice of rows and columns, or "
        "np.ascontiguousarray(frame)"
    )


def _check_out(out: Any, shape: tuple[int, ...], frame: NDArray[np.uint8]) -> None:
    if not isinstance(out, np.ndarray):
        raise UsageError(f"out must be a float32 array of shape {shape}; got {type(out).__name__}")
    if out.shape != shape or out.dtype != np.float32:
        raise UsageError(
            f"out must be float32 of shape {shape}; got {out.dtype} of shape {out.shape}"
        )
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise UsageError(
            f"out must be C-contiguous, aligned and writeable; got strides {out.strides}, "
            f"writeable={out.flags.writeable}; pass np.empty({shape}, np.float32)"
        )
    if np.may_share_memory(out, frame):
        raise UsageError("out must not share memory with the frame")


def _refuse_box(boxes: NDArray[np.float64], index: int, frame: NDArray[np.uint8]) -> NoReturn:
    x, y, w, h = boxes[index].tolist()
    height, width = frame.shape[:2]
    if not np.isfinite(boxes[index]).all():
        why = "is not finite"
    elif w < 1 / 512 or h < 1 / 512:
        why = "has no area: width and height must be positive"
    elif max(w, h) > MAX_SIDE:
        why = f"is too large: sides must be at most {MAX_SIDE} pixels"
    else:  # After rounding to 1/256 px.
        why = f"lies wholly outside the frame of {width} x {height} pixels"
    raise BoxError(f"boxes[{index}] = (x, y, width, height) = ({x:g}, {y:g}, {w:g}, {h:g}) {why}")
