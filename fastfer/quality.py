"""Image quality of a face crop, 0 to 1."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARPNESS_SIDE: Final = 48
"""Side in pixels of the tile on which sharpness is measured."""
FULL_SIZE: Final = 48.0
"""Side of a crop in frame pixels from which size no longer reduces quality."""
BLURRED: Final = 0.05
SHARP: Final = 0.25
"""Edge strength relative to contrast at which sharpness is 0 and 1: the medians of FER-2013 images
(and of press photos) blurred by 2.5 and by 0.7 pixels."""
FRONTAL: Final = 0.2
PROFILE: Final = 0.7
"""Distance of the nose from the midpoint of the eyes, in eye distances, at which frontality is 1
and 0: a slightly turned face, and a profile."""


def quality_scores(
    crops: NDArray[np.float32],
    tiles: NDArray[np.float32],
    landmarks: NDArray[np.floating[Any]] | None,
    frame_size: tuple[int, int] | NDArray[np.int64],
) -> Floats:
    """(N,) quality of each face: the product of four factors, each 0 to 1.

    The factors are size in pixels, sharpness, frontality (1 without landmarks), and the share of
    the crop that lies inside the frame.

    Args:
        crops: (N, 4) x, y, width, height in frame pixels.
        tiles: (N, S, S, C) as packed from ``crops``.
        landmarks: (N, 5, 2) in frame pixels, or ``None``.
        frame_size: width and height in pixels of their frame, or (N, 2) of the frame of each.
    """
    boxes = crops.astype(np.float64)
    size = np.minimum(1.0, boxes[:, 2:].mean(axis=1) / FULL_SIZE)
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], frame_size)
    inside = np.maximum(high - low, 0).prod(axis=1) / np.maximum(boxes[:, 2:].prod(axis=1), 1e-9)
    scores: Floats = size * _sharpness(tiles) * _frontality(landmarks, len(crops)) * inside
    return scores


def _sharpness(tiles: NDArray[np.float32]) -> Floats:
    """Strength of second differences relative to the contrast of the tile."""
    gray = tiles.mean(axis=3)
    if gray.shape[1] != SHARPNESS_SIDE and len(gray):
        # The result must not depend on the network's input size.
        size = (SHARPNESS_SIDE, SHARPNESS_SIDE)
        gray = np.stack(
            [np.asarray(cv2.resize(t, size, interpolation=cv2.INTER_AREA)) for t in gray]
        )
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
    offset = np.abs((nose * eyes).sum(axis=1)) / length**2
    return 1 - _ramp(offset, FRONTAL, PROFILE)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    """0 up to ``low``, 1 from ``high``, linear between."""
    return np.clip((values - low) / (high - low), 0.0, 1.0)
