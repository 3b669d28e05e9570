"""Intersection over union, and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.errors import BoxError, UsageError
from fastfer.kernels import backend
from fastfer.validation import check_unit_interval


def as_boxes(boxes: ArrayLike, name: str = "boxes") -> NDArray[np.float64]:
    """``boxes`` as C-contiguous, aligned float64 (N, 4), copied only if it is not already.

    An empty list becomes (0, 4). Values are not checked.

    Raises:
        BoxError: not numbers that a float can hold, or not four per row.
    """
    try:
        rows = np.require(boxes, np.float64, ["C", "A"])
    except (TypeError, ValueError, OverflowError) as error:
        raise BoxError(f"{name} must be (N, 4) numbers: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != 4:
        if np.shape(boxes) == (0,):
            return np.empty((0, 4))
        raise BoxError(
            f"{name} must be (N, 4): x, y, width, height; got shape {np.shape(boxes)}"
            + ("; put a single box into a list: [box]" if np.shape(boxes) == (4,) else "")
        )
    return rows


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    Args:
        a: (N, 4) x, y, width, height.
        b: (M, 4), in the same unit.

    Returns:
        float64 (N, M), 0 to 1; 0 for boxes that only touch or have no area.

    Raises:
        BoxError: wrong shape, or a box with a negative side or a value that is not finite.
    """
    rows, columns = _checked(a, "a"), _checked(b, "b")
    out = np.empty((len(rows), len(columns)))
    backend.iou(rows, columns, out)
    return out


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> NDArray[np.intp]:
    """Indices of the boxes that no kept box of higher score overlaps by more than ``threshold``.

    Args:
        boxes: (N, 4) x, y, width, height.
        scores: (N,), higher is better; ties keep the first box.
        threshold: intersection over union, 0 to 1.

    Returns:
        intp (K,), highest score first.

    Raises:
        BoxError: wrong shape, or a box with a negative side or a value that is not finite.
        UsageError: scores that are not N finite numbers, or a threshold outside 0 to 1.
    """
    rows = _checked(boxes, "boxes")
    values = _scores(scores, len(rows))
    check_unit_interval(threshold=threshold)
    return nms_unchecked(rows, values, threshold)


def nms_unchecked(
    rows: NDArray[np.float64], scores: NDArray[np.floating[Any]], threshold: float
) -> NDArray[np.intp]:
    """:func:`nms` without checks, for finite ``rows`` as returned by :func:`as_boxes`."""
    order = np.argsort(-scores, kind="stable").astype(np.int64, copy=False)
    keep = np.empty(len(rows), np.int64)
    count = backend.nms(rows, order, threshold, keep)
    return keep[:count].astype(np.intp, copy=False)


def _scores(scores: ArrayLike, count: int) -> NDArray[np.float64]:
    needed = f"scores must be {count} finite numbers, one per box"
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{needed}: {error}") from None
    if values.shape != (count,):
        raise UsageError(f"{needed}; got shape {values.shape}")
    good = np.isfinite(values)
    if not good.all():
        i = int(np.argmin(good))
        raise UsageError(f"{needed}; scores[{i}] is {values[i]}")
    return values


def _checked(boxes: ArrayLike, name: str) -> NDArray[np.float64]:
    rows = as_boxes(boxes, name)
    good = np.isfinite(rows).all(axis=1) & (rows[:, 2:] >= 0).all(axis=1)
    if not good.all():
        i = int(np.argmin(good))
        raise BoxError(
            f"{name}[{i}] = (x, y, width, height) = {tuple(rows[i].tolist())} must be finite, "
            "with width and height of 0 or more"
        )
    return rows
