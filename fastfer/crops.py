"""From a detector's faces to crops for the expression network: which faces, and how rotated."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.errors import BoxError
from fastfer.kernels.backend import MAX_SIDE, SUBPIXEL

Floats = NDArray[np.float64]

LEVEL: Final = np.deg2rad(10.0)
"""Roll angle in radians below which a face is cropped without rotation. The network has seen such
faces in training, an axis-aligned crop is sharper, and the label does not depend on landmark noise.
"""


def drop_uncroppable(
    found: Detections, crop_calibration: CropCalibration, frame_size: tuple[int, int]
) -> Detections:
    """The faces of ``found`` whose score, box and crop are finite, and whose box and crop are
    neither empty nor outside the frame.

    One bad box of a detector must not fail the other faces, nor the other photos of a batch.

    Args:
        found: N faces.
        crop_calibration: of their detector.
        frame_size: width and height of the frame in pixels.

    Raises:
        BoxError: ``found`` is of another type.
    """
    if not isinstance(found, Detections):
        raise BoxError(
            f"detect() must return fastfer.Detections; got {type(found).__name__}; for a frame "
            "without faces return Detections.none()"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        crops = crop_calibration.crops(found.boxes)
    which = np.isfinite(found.scores)
    which &= is_croppable(found.boxes, frame_size) & is_croppable(crops, frame_size)
    if found.landmarks is not None:
        which &= np.isfinite(found.landmarks).all(axis=(1, 2))
    return found if which.all() else found.take(which)


def is_croppable(
    boxes: NDArray[np.floating[Any]], frame_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """(N,) which of ``boxes`` (N, 4) :func:`~fastfer.kernels.pack.pack_faces` accepts for a frame
    of this width and height."""
    with np.errstate(invalid="ignore", over="ignore"):
        fixed = np.floor(boxes.astype(np.float64) * SUBPIXEL + 0.5)
        low, side = fixed[:, :2], fixed[:, 2:]
        good = (side > 0) & (side <= MAX_SIDE * SUBPIXEL)  # False for NaN.
        good &= (low > -side) & (low < np.array(frame_size) * SUBPIXEL)
        return np.asarray(good.all(axis=1))


def roll_angles(landmarks: NDArray[np.floating[Any]] | None, count: int) -> Floats:
    """(N,) roll of each face in radians, clockwise in the image; 0 below :data:`LEVEL`.

    Averages the direction of two lines across the face (eyes, mouth) and of the one down its
    middle, so that one bad landmark does not rotate the crop.

    Args:
        landmarks: (N, 5, 2), or ``None`` for angles of 0.
        count: N.
    """
    if landmarks is None:
        return np.zeros(count)
    points = landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    mouth = points[:, 4] - points[:, 3]
    down = (points[:, 3] + points[:, 4] - points[:, 0] - points[:, 1]) / 2
    across = _unit(_unit(eyes) + _unit(mouth)) + _unit(np.stack([down[:, 1], -down[:, 0]], axis=1))
    angles: Floats = np.arctan2(across[:, 1], across[:, 0])
    return np.where(np.abs(angles) >= LEVEL, angles, 0.0)  # 0 for NaN too.


def _unit(vectors: Floats) -> Floats:
    length: Floats = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors / length
