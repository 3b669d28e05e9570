"""From a detector's faces to the crops a network reads, and how much can be made of them."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detections import CropCalibration, Detections
from fastfer.kernels.backend import MAX_SIDE, SUBPIXEL

Floats = NDArray[np.float64]

LEVEL: Final = np.deg2rad(10.0)
"""Heads tilted by less are cropped as they are: the network has seen such in training, an upright
crop is sharper, and its label does not hang on the last degree of a landmark."""
MEASURED: Final = 48
"""Side in pixels of the tile on which sharpness is measured."""
FULL_SIZE: Final = 48.0
"""Side of a crop in pixels of the frame from which on size no longer limits the reading."""
BLURRED: Final = 0.05
SHARP: Final = 0.25
"""Mean strength of edges relative to contrast: medians of FER-2013's pictures (and of press photos)
blurred by 2.5 and by 0.7 pixels."""
FRONTAL: Final = 0.2
PROFILE: Final = 0.7
"""Distance of the nose from between the eyes, in distances of the eyes, of a face turned slightly,
and of one seen from the side."""


def drop_uncroppable(
    found: Detections, crop_calibration: CropCalibration, frame_size: tuple[int, int]
) -> Detections:
    """Those of ``found`` that can be cut out: finite, not empty, not wholly outside the frame.

    One bad box of a detector must not cost the other faces, or the other photos of a batch.

    Args:
        found: the faces.
        crop_calibration: of their detector.
        frame_size: width and height of the frame.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        crops = crop_calibration.crops(found.boxes)
    which = is_croppable(found.boxes, frame_size) & is_croppable(crops, frame_size)
    if found.landmarks is not None:
        which &= np.isfinite(found.landmarks).all(axis=(1, 2))
    return found if which.all() else found.take(which)


def is_croppable(
    boxes: NDArray[np.floating[Any]], frame_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """(N,) which of ``boxes`` (N, 4) can be cut out of a frame of this width and height."""
    with np.errstate(invalid="ignore", over="ignore"):
        fixed = np.floor(boxes.astype(np.float64) * SUBPIXEL + 0.5)
        low, side = fixed[:, :2], fixed[:, 2:]
        good = (side > 0) & (side <= MAX_SIDE * SUBPIXEL)  # False of what is not a number.
        good &= (low > -side) & (low < np.array(frame_size) * SUBPIXEL)
        return np.asarray(good.all(axis=1))


def roll_angles(landmarks: NDArray[np.floating[Any]] | None, count: int) -> Floats:
    """(N,) radians by which faces are tilted, clockwise in the picture; 0 below :data:`LEVEL`.

    Both lines across the face (eyes, mouth) and the one down its middle are heard, so that one bad
    point does not tip the crop.
    """
    if landmarks is None:
        return np.zeros(count)
    points = landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    mouth = points[:, 4] - points[:, 3]
    down = (points[:, 3] + points[:, 4] - points[:, 0] - points[:, 1]) / 2
    across = _unit(_unit(eyes) + _unit(mouth)) + _unit(np.stack([down[:, 1], -down[:, 0]], axis=1))
    angles: Floats = np.arctan2(across[:, 1], across[:, 0])
    return np.where(np.abs(angles) >= LEVEL, angles, 0.0)  # Also where a point is not a number.


def quality_scores(
    found: Detections,
    crops: NDArray[np.float32],
    tiles: NDArray[np.float32],
    frame_size: tuple[int, int],
) -> Floats:
    """(N,) how much can be read from each face, 0 to 1.

    The product of four shares: size in pixels, sharpness, how far the face looks towards the camera
    (1 without landmarks), and how much of the crop lies inside the frame.

    Args:
        found: the faces.
        crops: (N, 4) what was cut out for them, x, y, width, height in pixels of the frame.
        tiles: (N, S, S, C) as packed.
        frame_size: width and height of the frame.
    """
    boxes = crops.astype(np.float64)
    size = np.minimum(1.0, boxes[:, 2:].mean(axis=1) / FULL_SIZE)
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], frame_size)
    inside = np.maximum(high - low, 0).prod(axis=1) / np.maximum(boxes[:, 2:].prod(axis=1), 1e-9)
    share: Floats = size * _sharpness(tiles) * _frontality(found.landmarks, len(found)) * inside
    return share


def _sharpness(tiles: NDArray[np.float32]) -> Floats:
    """0 to 1: the strength of second differences relative to the contrast of the tile."""
    gray = tiles.mean(axis=3)
    if gray.shape[1] != MEASURED and len(gray):
        # So that the measure does not depend on the network's input size.
        size, way = (MEASURED, MEASURED), cv2.INTER_AREA
        gray = np.stack([np.asarray(cv2.resize(t, size, interpolation=way)) for t in gray])
    middle = gray[:, 1:-1, 1:-1]
    around = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    edges = np.abs(4 * middle - around).mean(axis=(1, 2))
    strength = edges / np.maximum(gray.std(axis=(1, 2)), 1e-6)
    return _ramp(strength.astype(np.float64), BLURRED, SHARP)


def _frontality(landmarks: NDArray[np.floating[Any]] | None, count: int) -> Floats:
    if landmarks is None:
        return np.ones(count)
    points = landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    length = np.maximum(np.linalg.norm(eyes, axis=1), 1e-6)
    nose = points[:, 2] - (points[:, 0] + points[:, 1]) / 2
    aside = np.abs((nose * eyes).sum(axis=1)) / length**2
    return 1 - _ramp(aside, FRONTAL, PROFILE)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    """0 up to ``low``, 1 from ``high`` on."""
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _unit(vectors: Floats) -> Floats:
    length: Floats = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors / length
