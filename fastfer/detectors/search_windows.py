"""Which rectangles of a scaled picture are searched: refinement windows and overlapping tiles."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import Detections

Size = tuple[int, int]
"""Width and height in pixels."""
Rect = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels of a scaled picture."""
Windows = NDArray[np.float64]
"""(N, 4): left, top, right and bottom as fractions of the picture's width and height."""

CELL: Final = 32
"""Side in pixels of the grid on which windows are joined: the network's input is whole cells."""
CONTEXT: Final = 24
"""Pixels, at the finer scale, on each side of a candidate, in addition to half a box side."""
FILL_RATIO: Final = 0.6
"""Share of a rectangle covered by windows from which they are searched as one."""
MAX_TILE: Final = 1280
"""Longest side in pixels of a rectangle that is searched in one piece; it bounds memory."""
TILE_OVERLAP: Final = 96
"""Overlap of such pieces in pixels. Larger faces are found at the scale before."""


def windows_around(candidates: Detections, size: Size, scale_step: float) -> Windows:
    """Windows around ``candidates`` in a picture of ``size``, to search ``scale_step`` finer."""
    boxes = candidates.boxes.astype(np.float64)
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    reach = boxes[:, 2:].max(axis=1, keepdims=True, initial=0) + CONTEXT / scale_step
    edges: Windows = np.concatenate([centre - reach, centre + reach], axis=1)
    edges /= np.tile(size, 2)
    return edges


def join_windows(windows: Windows, size: Size) -> list[Rect]:
    """Rectangles that cover all ``windows`` in a picture of ``size``, and little else.

    Rectangles are split along rows or columns without windows only, so no window is cut.
    """
    shape = np.array([-(-side // CELL) for side in size])
    covered = np.zeros(shape[::-1], bool)
    bounds = windows * np.tile(size, 2) / CELL
    low = np.floor(bounds[:, :2]).astype(int).clip(0, shape - 1)
    high = np.ceil(bounds[:, 2:]).astype(int).clip(low + 1, shape)
    for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True):
        covered[top:bottom, left:right] = True
    rects: list[Rect] = []
    for left, top, right, bottom in _split(covered, 0, 0):
        end = min(right * CELL, size[0]), min(bottom * CELL, size[1])
        rects += tiles((left * CELL, top * CELL, *end))
    return rects


def tiles(rect: Rect) -> list[Rect]:
    """``rect`` in overlapping pieces with sides of about :data:`MAX_TILE` at most."""
    left, top, right, bottom = rect
    return [(x, y, u, v) for y, v in _spans(top, bottom) for x, u in _spans(left, right)]


def area(rects: list[Rect]) -> int:
    """Pixels of all ``rects`` together."""
    return sum((right - left) * (bottom - top) for left, top, right, bottom in rects)


def inside_any(found: Detections, rects: list[Rect]) -> NDArray[np.bool_]:
    """Which boxes of ``found``, in pixels of the scaled picture, lie within one of ``rects``."""
    low, high = found.boxes[:, :2], found.boxes[:, :2] + found.boxes[:, 2:]
    inside = np.zeros(len(found), bool)
    for left, top, right, bottom in rects:
        inside |= ((low >= (left, top)) & (high <= (right, bottom))).all(axis=1)
    return inside


def _split(covered: NDArray[np.bool_], left: int, top: int) -> Iterator[Rect]:
    """Rectangles, in cells, around the ``covered`` cells, split along their widest gaps."""
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return
    left, top = left + int(columns[0]), top + int(rows[0])
    covered = covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    spans = rows, columns
    gaps = [np.diff(span) for span in spans]
    axis = int(gaps[1].max(initial=1) > gaps[0].max(initial=1))
    if gaps[axis].max(initial=1) == 1 or covered.mean() >= FILL_RATIO:
        yield left, top, left + covered.shape[1], top + covered.shape[0]
        return
    cut = int(spans[axis][gaps[axis].argmax()] - spans[axis][0]) + 1
    before, after = np.split(covered, [cut], axis=axis)
    yield from _split(before, left, top)
    yield from _split(after, left + cut * axis, top + cut * (1 - axis))


def _spans(start: int, end: int) -> list[tuple[int, int]]:
    length = end - start
    if length <= MAX_TILE:
        return [(start, end)]
    count = ceil((length - TILE_OVERLAP) / (MAX_TILE - TILE_OVERLAP))
    piece = ceil((length + (count - 1) * TILE_OVERLAP) / count / CELL) * CELL
    starts = [start + round(i * (length - piece) / (count - 1)) for i in range(count)]
    return [(at, at + piece) for at in starts]
