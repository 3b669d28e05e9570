"""Moving faces from one frame to the next by sparse optical flow (Lucas-Kanade).

Each face keeps a small gray patch of its surroundings, cropped and reduced by the kernel that packs
faces for the network; the next frame is cropped at the same place. So the cost depends neither on
the size of the frame nor on that of the face, and earlier frames need not be kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastfer.io.frame_source import Plane
from fastfer.kernels import backend
from fastfer.kernels.pack import pack_faces

Boxes = NDArray[np.float64]
Patches = NDArray[np.float32]

SIDE: Final = backend.FLOW_SIDE
"""Pixels of a patch's side."""
SURROUND: Final = 1.8
"""Side of the patch relative to that of the face; limits the motion between two frames."""


class Motion(NamedTuple):
    """The motion of one face: a similarity transform, and how well it is known."""

    matrix: NDArray[np.float64]
    """(2, 3): rotation and scale, and shift, from pixels of one frame to those of the next;
    the identity if ``inliers`` is 0."""
    inliers: float
    """Share of its points, 0 to 1, whose forward and backward flow agree."""
    still: bool = False
    """Nothing has moved but for noise, so that the patch of the frame before can be kept."""

    def box(self, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a box (4,) goes: its centre moves and it grows, but stays upright."""
        # Plain floats: on arrays this small each operation of NumPy takes longer than all of these.
        (a, b, u), (c, d, v) = self.matrix.tolist()
        x, y, w, h = box.tolist()
        x, y, scale = x + w / 2, y + h / 2, math.hypot(a, c)
        w, h = w * scale, h * scale
        return np.array([a * x + b * y + u - w / 2, c * x + d * y + v - h / 2, w, h])

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points (..., 2) go."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])


def windows(boxes: Boxes) -> Boxes:
    """The surroundings of ``boxes`` that patches show; both (N, 4)."""
    where = boxes * SURROUND
    where[:, :2] = boxes[:, :2] + (boxes[:, 2:] - where[:, 2:]) / 2
    return where


def cut(plane: Plane, where: Boxes) -> Patches:
    """Patches (N, SIDE, SIDE) of a frame's plane at ``where``, windows that overlap it: gray levels
    from 0 to 255, those of blacker than black and whiter than white beyond."""
    pixels, scale, bias = plane
    return pack_faces(pixels, where, size=SIDE, scale=scale, bias=bias)[..., 0]


def carry(before: Patches | Sequence[Patches], after: Patches, boxes: Boxes) -> list[Motion]:
    """The motion of ``boxes`` (N, 4) between two sets of N patches of ``windows(boxes)``; see
    :func:`fastfer.kernels.reference_flow.flow`."""
    count = len(boxes)
    motions = np.empty((count, 8))
    first = np.asarray(before, np.float32).reshape(count, SIDE * SIDE)
    second = after.reshape(count, SIDE * SIDE)
    backend.flow(first, second, np.ascontiguousarray(boxes), _GRID, SURROUND, motions)
    return [
        Motion(row[:6].reshape(2, 3), inliers, still > 0)
        for row, (inliers, still) in zip(motions, motions[:, 6:].tolist(), strict=True)
    ]


def _grid() -> NDArray[np.float64]:
    """Points on the face, (N, 2) in patch pixels; without the corners, which show background."""
    steps = np.linspace(-0.42, 0.42, 6) * SIDE / SURROUND
    x, y = np.meshgrid(steps, steps)
    inside = np.hypot(x, y) < 0.52 * SIDE / SURROUND
    return np.stack([x[inside], y[inside]], axis=1) + (SIDE - 1) / 2


_GRID: Final = _grid()
