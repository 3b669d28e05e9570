"""Moving faces from one frame to the next by sparse optical flow (Lucas-Kanade).

Each face keeps a small gray patch of its surroundings, cropped and reduced by the kernel that packs
faces for the network; the next frame is cropped at the same place. So the cost depends neither on
the size of the frame nor on that of the face, and earlier frames need not be kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.io.frame_source import Plane
from fastfer.kernels.pack import pack_faces

Boxes = NDArray[np.float64]
Patches = NDArray[np.uint8]

SIDE: Final = 64
"""Pixels of a patch's side."""
SURROUND: Final = 1.8
"""Side of the patch relative to that of the face; limits the motion between two frames."""
MAX_ERROR: Final = 1.0
"""Largest forward-backward error of a point, in patch pixels."""
NOISE: Final = 1.0
"""Mean difference of two patches, 0 to 255, up to which nothing has moved: noise of the sensor or
the codec."""
MIN_POINTS: Final = 8
"""Smallest number of points with texture that can be followed."""
OUTLIER: Final = 2.0
"""Error of a point, in medians of all, at which its weight has fallen to a quarter."""
ROUNDS: Final = 3
"""Rounds of weighing points by their errors."""


class Motion(NamedTuple):
    """The motion of one face: a similarity transform, and how well it is known."""

    matrix: NDArray[np.float64]
    """(2, 3): rotation and scale, and shift, from pixels of one frame to those of the next;
    meaningless if ``inliers`` is 0."""
    inliers: float
    """Share of its points, 0 to 1, whose forward and backward flow agree."""
    still: bool = False
    """Nothing has moved, so that the patch of the frame before can be kept."""

    def box(self, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a box (4,) goes: its centre moves and it grows, but stays upright."""
        size = box[2:] * float(np.hypot(*self.matrix[:, 0]))
        return np.concatenate([self.points(box[:2] + box[2:] / 2) - size / 2, size])

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points (..., 2) go."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])


def windows(boxes: Boxes) -> Boxes:
    """The surroundings of ``boxes`` that patches show; both (N, 4)."""
    sides = boxes[:, 2:] * SURROUND
    return np.hstack([boxes[:, :2] + (boxes[:, 2:] - sides) / 2, sides])


def cut(plane: Plane, where: Boxes) -> Patches:
    """Patches (N, SIDE, SIDE) uint8 of a frame's plane at ``where``, windows that overlap it."""
    pixels, scale, bias = plane
    tiles = pack_faces(pixels, where, size=SIDE, scale=scale, bias=bias + 0.5)
    if scale != 1:
        np.clip(tiles, 0, 255, out=tiles)
    return tiles[..., 0].astype(np.uint8)


def carry(before: Iterable[Any], after: Patches, boxes: Boxes) -> list[Motion]:
    """The motion of ``boxes`` (N, 4) between two sets of N patches of ``windows(boxes)``."""
    return [_carry_one(*each) for each in zip(before, after, boxes, strict=True)]


def _carry_one(before: Any, after: Any, box: NDArray[np.float64]) -> Motion:
    flow: Any = cv2.calcOpticalFlowPyrLK
    if cv2.norm(before, after, cv2.NORM_L1) <= NOISE * SIDE * SIDE:
        return Motion(_IDENTITY, 1.0, still=True)
    there, found, _ = flow(before, after, _GRID, None, **_FLOW)
    back, returned, _ = flow(after, before, there, None, **_FLOW)
    count = int(cv2.countNonZero(found))
    if count < MIN_POINTS:
        return Motion(_IDENTITY, 0.0)
    x_error, y_error = np.abs(back - _GRID)[:, 0].T
    error = np.maximum(x_error, y_error)
    good = (found & returned).ravel().view(np.bool_) & (error < MAX_ERROR)
    kept = int(np.count_nonzero(good))
    inliers = float(kept / count)
    if kept < MIN_POINTS:
        return Motion(_IDENTITY, 0.0)
    # From patch pixels to frame pixels.
    unit = box[2:] * (SURROUND / SIDE)
    old = _POINTS * unit
    new = (there[:, 0] - _MIDDLE) * unit
    if kept < len(good):
        old, new = old[good], new[good]
    linear, shift = similarity(old, new)
    centre = box[:2] + box[2:] / 2
    return Motion(np.column_stack([linear, centre + shift - linear @ centre]), inliers)


def similarity(
    old: NDArray[np.float64], new: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The similarity that maps the points ``old`` to ``new``, both (N, 2), without their outliers.

    Least squares, in which a point counts less the farther it lies from where the others take it.

    Returns:
        (2, 2) rotation and scale, and (2,) shift.
    """
    # Of complex numbers a similarity is the linear function z -> turn * z + shift.
    before = np.ascontiguousarray(old).view(np.complex128)[:, 0]
    after = np.ascontiguousarray(new).view(np.complex128)[:, 0]
    turn = complex(1)
    shift = complex(*_median((new - old).T))
    for _ in range(ROUNDS):
        error = np.abs(after - turn * before - shift)
        scale = OUTLIER * float(_median(error))
        weight = 1 / (1 + (error / max(scale, 1e-9)) ** 2) ** 2
        weight /= weight.sum()
        mean_before, mean_after = weight @ before, weight @ after
        centred = before - mean_before
        conjugate = weight * centred.conj()
        turn = complex((conjugate @ (after - mean_after)) / (conjugate @ centred).real)
        shift = complex(mean_after - turn * mean_before)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return linear, np.array([shift.real, shift.imag])


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper median along the last axis; on few values many times faster than ``np.median``."""
    return np.asarray(np.sort(values)[..., values.shape[-1] // 2])


def _grid() -> NDArray[np.float32]:
    """Points on the face, (N, 1, 2) in patch pixels; without the corners, which show background."""
    steps = np.linspace(-0.42, 0.42, 6) * SIDE / SURROUND
    x, y = np.meshgrid(steps, steps)
    inside = np.hypot(x, y) < 0.52 * SIDE / SURROUND
    points = np.stack([x[inside], y[inside]], axis=1) + (SIDE - 1) / 2
    return points.astype(np.float32)[:, None]


_GRID: Final = _grid()
_MIDDLE: Final = (SIDE - 1) / 2
_POINTS: Final = _GRID[:, 0].astype(np.float64) - _MIDDLE
"""(N, 2), from the middle of the patch."""
_IDENTITY: Final = np.eye(2, 3)
_FLOW: Final[dict[str, Any]] = {
    "winSize": (9, 9),
    "maxLevel": 2,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 8, 0.03),
    "minEigThreshold": 1e-4,
}
