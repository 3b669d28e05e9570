"""Which cell of which grid learns which face.

A face belongs to the grids that suit its size, neighbouring ones where it lies between, and there
to the cells around its middle (centre sampling). Cells in regions that nobody knows teach nothing.
"""

from __future__ import annotations

import math

import numpy as np

from training.detector.photos import FaceRegions, Floats

STRIDES = (8, 16, 32)
FACE_SIZES = {8: (0.0, 36.0), 16: (24.0, 80.0), 32: (56.0, math.inf)}
"""Sides in pixels (root of the area) of the faces that each grid learns."""
SIZE_MARGIN = 1.3
"""A face that misses those by this factor teaches the grid neither way."""
RADIUS = 1.5
"""Cells whose middle is as near to the face's middle, in cells, may learn it."""
SMALLEST = 7.0
"""Faces below this side, in pixels, are too small to learn and are ignored."""

WEIGHT, POSITIVE, BOX, POINTS, KNOWN = 0, 1, slice(2, 6), slice(6, 16), 16
WIDTH = 17
"""A row of targets: the weight of the score's loss, 1 for a face, the distances from the middle of
the cell to the left, top, right and bottom of the box, and to the five points, in cells; and 1
where the points are known."""


def assign(known: FaceRegions, side: int) -> Floats:
    """Targets (cells, :data:`WIDTH`) of a square picture; grids in the order of the strides, cells
    row by row."""
    return np.concatenate([_grid(known, side // stride, stride) for stride in STRIDES])


def _grid(known: FaceRegions, n: int, stride: int) -> Floats:
    rows = np.zeros((n, n, WIDTH), np.float32)
    rows[..., WEIGHT] = 1
    middles = (np.arange(n, dtype=np.float32) + 0.5) * stride
    sizes = np.sqrt(known.boxes[:, 2] * known.boxes[:, 3])
    for x, y, w, h in [*known.ignore, *known.boxes[sizes < SMALLEST]]:
        rows[
            _cells_within(middles, y + h / 2, h / 2),
            _cells_within(middles, x + w / 2, w / 2),
            WEIGHT,
        ] = 0
    least, most = FACE_SIZES[stride]
    # Where faces overlap, the smaller one, which has fewer cells to choose from, comes last.
    for i in np.argsort(-sizes, kind="stable"):
        if not max(least / SIZE_MARGIN, SMALLEST) <= sizes[i] < most * SIZE_MARGIN:
            continue
        x, y, w, h = known.boxes[i]
        reach = RADIUS * stride
        # One cell at least, however small the face.
        down = _cells_within(middles, y + h / 2, max(min(h / 2, reach), stride / 2))
        across = _cells_within(middles, x + w / 2, max(min(w / 2, reach), stride / 2))
        cells = rows[down, across]
        if not least <= sizes[i] < most:
            cells[..., WEIGHT] *= cells[..., POSITIVE]
            continue
        cells[..., WEIGHT] = cells[..., POSITIVE] = 1
        left, top = middles[across][None, :] - x, middles[down][:, None] - y
        for place, distance in enumerate((left, top, w - left, h - top)):
            cells[..., BOX.start + place] = distance / stride
        cells[..., KNOWN] = np.isfinite(known.points[i]).all()
        points = np.nan_to_num(known.points[i])
        cells[..., POINTS.start : POINTS.stop : 2] = (
            points[:, 0] - middles[across][None, :, None]
        ) / stride
        cells[..., POINTS.start + 1 : POINTS.stop : 2] = (
            points[:, 1] - middles[down][:, None, None]
        ) / stride
    return rows.reshape(-1, WIDTH)


def _cells_within(middles: Floats, to: float, reach: float) -> slice:
    """The cells whose middle is no farther from ``to`` than ``reach``."""
    first, last = np.searchsorted(middles, [to - reach, to + reach])
    return slice(int(first), int(last))
