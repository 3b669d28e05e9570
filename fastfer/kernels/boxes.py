"""Boxes: overlap, and keeping the best of those that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.errors import BoxError, UsageError
from fastfer.kernels import backend
from fastfer.validation import check_unit_interval


def as_boxes(boxes: ArrayLike, name: str = "boxes") -> NDArray[np.float64]:
    """``boxes`` as C-contiguous float64 (N, 4), copied only where it is something else.

    An empty list is (0, 4). The values are not looked at.

    Raises:
        BoxError: not numbers that a float holds, or not four to a row.
    """
    try:
        rows = np.asarray(boxes, np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise BoxError(f"{name} must be numbers, four to a row: {error}.") from None
    if rows.ndim != 2 or rows.shape[1] != 4:
        if np.shape(boxes) == (0,):
            return np.empty((0, 4))
        raise BoxError(
            f"{name} must be (N, 4): x, y, width, height; got shape {np.shape(boxes)}."
            + (" Put a single box into a list: [box]." if np.shape(boxes) == (4,) else "")
        )
    return rows


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    Args:
        a: (N, 4) x, y, width, height.
        b: (M, 4), in the same unit.

    Returns:
        float64 (N, M), 0 to 1; boxes that only touch, or have no area, overlap by 0.

    Raises:
        BoxError: wrong shape, or a box with a negative side or a value that is not finite.
    """
    rows, columns = _sound(a, "a"), _sound(b, "b")
    out = np.empty((len(rows), len(columns)))
    backend.iou(rows, columns, out)
    return out


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> NDArray[np.intp]:
    """Indices of the boxes that no better box overlaps by more than ``threshold``.

    Args:
        boxes: (N, 4) x, y, width, height.
        scores: (N,), higher is better; of equal ones the first wins.
        threshold: intersection over union, 0 to 1.

    Returns:
        intp (K,), best score first.

    Raises:
        BoxError: wrong shape, or a box with a negative side or a value that is not finite.
        UsageError: scores that are not N finite numbers, or a threshold outside 0 to 1.
    """
    rows = _sound(boxes, "boxes")
    values = _scores(scores, len(rows))
    check_unit_interval(threshold=threshold)
    return nms_unchecked(rows, values, threshold)


def nms_unchecked(
    rows: NDArray[np.float64], scores: NDArray[np.floating[Any]], threshold: float
) -> NDArray[np.intp]:
    """:func:`nms` of what is known to be sound; ``rows`` are what :func:`as_boxes` makes."""
    order = np.argsort(-scores, kind="stable").astype(np.int64, copy=False)
    keep = np.empty(len(rows), np.int64)
    count = backend.nms(rows, order, threshold, keep)
    return keep[:count].astype(np.intp, copy=False)


def _scores(scores: ArrayLike, count: int) -> NDArray[np.float64]:
    needed = f"scores must be {count} finite numbers, one per box"
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{needed}: {error}.") from None
    if values.shape != (count,):
        raise UsageError(f"{needed}; got shape {values.shape}.")
    good = np.isfinite(values)
    if not good.all():
        i = int(np.argmin(good))
        raise UsageError(f"{needed}; scores[{i}] is {values[i]}.")
    return values


def _sound(boxes: ArrayLike, name: str) -> NDArray[np.float64]:
    rows = as_boxes(boxes, name)
    good = np.isfinite(rows).all(axis=1) & (rows[:, 2:] >= 0).all(axis=1)
    if not good.all():
        i = int(np.argmin(good))
        raise BoxError(
            f"{name}[{i}] = (x, y, width, height) = {tuple(rows[i].tolist())} must be finite, "
            "width and height not negative."
        )
    return rows
