"""Assignment of faces to the cells of the three grids.

A face is assigned to the grid for its size, to two where their ranges overlap, and there to the
cells around its centre (centre sampling). Cells in ignored regions have no weight.
"""

from __future__ import annotations

import math

import numpy as np

from training.detector.photos import FaceRegions, Floats

STRIDES = (8, 16, 32)
FACE_SIZES = {8: (0.0, 36.0), 16: (24.0, 80.0), 32: (56.0, math.inf)}
"""Sides in pixels (root of the area) of the faces that are assigned to each grid."""
SIZE_MARGIN = 1.3
"""Cells of a face outside that range by up to this factor have no weight in the grid."""
RADIUS = 1.5
"""Largest distance, in cells, of an assigned cell from the centre of the face."""
SMALLEST = 7.0
"""Faces below this side, in pixels, are ignored."""

WEIGHT, POSITIVE, BOX, LANDMARKS, KNOWN = 0, 1, slice(2, 6), slice(6, 16), 16
WIDTH = 17
"""A row of targets: the weight of the score's loss, 1 for a face, the distances from the centre of
the cell to the left, top, right and bottom of the box and to the five landmarks, in cells, and 1
where the landmarks are labelled."""


def assign(known: FaceRegions, side: int) -> Floats:
    """Targets (cells, :data:`WIDTH`) of a square picture: grids in the order of the strides, cells
    row by row."""
    return np.concatenate([_grid(known, side // stride, stride) for stride in STRIDES])


def _grid(known: FaceRegions, n: int, stride: int) -> Floats:
    rows = np.zeros((n, n, WIDTH), np.float32)
    rows[..., WEIGHT] = 1
    centers = (np.arange(n, dtype=np.float32) + 0.5) * stride
    sizes = np.sqrt(known.boxes[:, 2] * known.boxes[:, 3])
    for x, y, w, h in [*known.ignore, *known.boxes[sizes < SMALLEST]]:
        rows[
            _cells_within(centers, y + h / 2, h / 2),
            _cells_within(centers, x + w / 2, w / 2),
            WEIGHT,
        ] = 0
    least, most = FACE_SIZES[stride]
    # Where faces overlap, the smaller one, which has fewer cells, overwrites the larger.
    for i in np.argsort(-sizes, kind="stable"):
        if not max(least / SIZE_MARGIN, SMALLEST) <= sizes[i] < most * SIZE_MARGIN:
            continue
        x, y, w, h = known.boxes[i]
        reach = RADIUS * stride
        # At least one cell for the smallest face.
        down = _cells_within(centers, y + h / 2, max(min(h / 2, reach), stride / 2))
        across = _cells_within(centers, x + w / 2, max(min(w / 2, reach), stride / 2))
        cells = rows[down, across]
        if not least <= sizes[i] < most:
            cells[..., WEIGHT] *= cells[..., POSITIVE]
            continue
        cells[..., WEIGHT] = cells[..., POSITIVE] = 1
        left, top = centers[across][None, :] - x, centers[down][:, None] - y
        for place, distance in enumerate((left, top, w - left, h - top)):
            cells[..., BOX.start + place] = distance / stride
        cells[..., KNOWN] = np.isfinite(known.landmarks[i]).all()
        points = np.nan_to_num(known.landmarks[i])
        cells[..., LANDMARKS.start : LANDMARKS.stop : 2] = (
            points[:, 0] - centers[across][None, :, None]
        ) / stride
        cells[..., LANDMARKS.start + 1 : LANDMARKS.stop : 2] = (
            points[:, 1] - centers[down][:, None, None]
        ) / stride
    return rows.reshape(-1, WIDTH)


def _cells_within(centers: Floats, to: float, reach: float) -> slice:
    """The cells whose centre is no farther from ``to`` than ``reach``."""
    first, last = np.searchsorted(centers, [to - reach, to + reach])
    return slice(int(first), int(last))
