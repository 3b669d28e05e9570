"""Reduce a frame before it is searched, and map detections back to frame pixels."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detections import Detections

Frame = NDArray[np.uint8]

TOLERANCE: Final = 0.1
"""Error of a box side relative to the side, as far as the smallest face to report is concerned."""


def detection_input_size(
    frame: Frame, detect_size: int, min_face: float = 0.0, smallest: float = 1.0
) -> tuple[int, int]:
    """Width and height of the reduced frame to search; never larger than ``frame``.

    Args:
        frame: (H, W) or (H, W, 3).
        detect_size: long side of the reduced frame in pixels.
        min_face: side in pixels of ``frame`` of the smallest face to report, 0 for no limit.
        smallest: side in pixels of the smallest face that the detector finds; the reduced frame is
            large enough for faces of ``min_face`` to have it.
    """
    height, width = frame.shape[:2]
    scale = detect_size / max(height, width)
    if min_face:
        scale = max(scale, smallest / min_face)
    scale = min(scale, 1.0)
    # Rounding to pixels makes the ratios of the two axes differ slightly.
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_within(size: tuple[int, int], limit: tuple[int, int] | None) -> tuple[int, int]:
    """``size`` (width, height), reduced to fit ``limit`` with the same aspect ratio."""
    if limit is None:
        return size
    scale = min(limit[0] / size[0], limit[1] / size[1], 1.0)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shrink(frame: Frame, size: tuple[int, int]) -> Frame:
    """``frame`` resized to ``size`` (width, height), which must not exceed its own."""
    # OpenCV's area average is five times as fast for exact halving as for other ratios. After
    # halving, the remaining ratio is below 2, where linear interpolation still uses every pixel.
    while frame.shape[1] >= 2 * size[0] and frame.shape[0] >= 2 * size[1] and min(size) > 1:
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        even: Any = frame[: 2 * height, : 2 * width]
        frame = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    if size == (frame.shape[1], frame.shape[0]):
        return frame
    small: Any = cv2.resize(frame, size, interpolation=_interpolation(frame, size))
    return np.asarray(small)


def _interpolation(frame: Frame, size: tuple[int, int]) -> int:
    """Linear up to a ratio of 2 on both axes, else the area average."""
    linear = frame.shape[1] <= 2 * size[0] and frame.shape[0] <= 2 * size[1]
    return cv2.INTER_LINEAR if linear else cv2.INTER_AREA


def as_bgr(frame: Frame) -> Frame:
    """``frame``, (H, W) or (H, W, 3), as (H, W, 3)."""
    color: Any = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame
    return np.asarray(color)


def as_gray(frame: Frame) -> Frame:
    """``frame``, (H, W) or (H, W, 3) BGR, as (H, W)."""
    if frame.ndim == 2:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)


def to_frame(found: Detections, searched: tuple[int, int], frame: Frame) -> Detections:
    """Detections in a reduced frame of size ``searched`` (width, height), in ``frame`` pixels."""
    return found.scaled(frame.shape[1] / searched[0], frame.shape[0] / searched[1])


def drop_smaller_than(found: Detections, min_face: float) -> Detections:
    """Detections whose box sides are both ``min_face`` pixels or more, within :data:`TOLERANCE`."""
    if min_face <= 0:
        return found
    return found.take(found.boxes[:, 2:].min(axis=1, initial=np.inf) >= (1 - TOLERANCE) * min_face)
