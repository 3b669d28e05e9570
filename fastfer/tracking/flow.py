"""Moving faces from one frame to the next by sparse optical flow (Lucas-Kanade).

Each face keeps a small gray patch of its surroundings, cropped and reduced by the kernel that packs
faces for the network; the next frame is cropped at the same place. So the cost depends neither on
the size of the frame nor on that of the face, and earlier frames need not be kept.
"""

from __future__ import annotations

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


class Motion(NamedTuple):
    """The motion of one face."""

    box: NDArray[np.float64]
    """(4,): x, y, width, height in the new frame; meaningless if ``inliers`` is 0."""
    inliers: float
    """Share of its points, 0 to 1, whose forward and backward flow agree."""


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


def carry(before: Patches, after: Patches, boxes: Boxes) -> list[Motion]:
    """The motion of ``boxes`` (N, 4) between two sets of patches of ``windows(boxes)``.

    A face moves by the median shift of its points and grows by the ratio of their median distances
    from their centre, which tolerates outliers.
    """
    return [_carry_one(*each) for each in zip(before, after, boxes, strict=True)]


def _carry_one(before: Any, after: Any, box: NDArray[np.float64]) -> Motion:
    flow: Any = cv2.calcOpticalFlowPyrLK
    if cv2.norm(before, after, cv2.NORM_L1) <= NOISE * SIDE * SIDE:
        return Motion(box, 1.0)
    there, found, _ = flow(before, after, _GRID, None, **_FLOW)
    back, returned, _ = flow(after, before, there, None, **_FLOW)
    count = int(cv2.countNonZero(found))
    if count < MIN_POINTS:
        return Motion(box, 0.0)
    x_error, y_error = np.abs(back - _GRID)[:, 0].T
    error = np.maximum(x_error, y_error)
    good = (found & returned).ravel().view(np.bool_) & (error < MAX_ERROR)
    kept = int(np.count_nonzero(good))
    inliers = float(kept / count)
    if kept < MIN_POINTS:
        return Motion(box, 0.0)
    old, old_spread = _POINTS, _POINTS_SPREAD
    new = there[:, 0].T.astype(np.float64)
    if kept < len(good):
        old, new = old[:, good], new[:, good]
        old_spread = _spread(old)
    shift = _median(new - old)
    scale = _spread(new) / old_spread
    # From patch pixels to frame pixels; points move around the patch's centre.
    size = box[2:] * scale
    centre = box[:2] + box[2:] / 2 + shift * box[2:] * (SURROUND / SIDE)
    return Motion(np.concatenate([centre - size / 2, size]), inliers)


def _spread(points: NDArray[np.float64]) -> float:
    """Median distance of ``points`` (2, N) from their centre."""
    x, y = points - _median(points)[:, None]
    return float(_median(np.hypot(x, y)))


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
_POINTS: Final = _GRID[:, 0].T.astype(np.float64)
"""(2, N)."""
_POINTS_SPREAD: Final = _spread(_POINTS)
_FLOW: Final[dict[str, Any]] = {
    "winSize": (9, 9),
    "maxLevel": 2,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 8, 0.03),
    "minEigThreshold": 1e-4,
}
