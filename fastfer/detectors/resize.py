"""Searching a smaller picture than the frame, and getting back to the frame's pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.base import Detections

Frame = NDArray[np.uint8]


def detection_input_size(
    frame: Frame, detect_size: int, min_face: float = 0.0, smallest: float = 1.0
) -> tuple[int, int]:
    """Width and height of the picture to search in place of ``frame``; never larger than it.

    Its long side is ``detect_size``, or what lets a face of ``min_face`` pixels of the frame keep
    ``smallest``, the least that the detector sees.
    """
    height, width = frame.shape[:2]
    scale = detect_size / max(height, width)
    if min_face:
        scale = max(scale, smallest / min_face)
    scale = min(scale, 1.0)
    # Whole pixels, so each axis has a ratio of its own.
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit_within(size: tuple[int, int], limit: tuple[int, int] | None) -> tuple[int, int]:
    """``size`` (width, height), shrunk where it exceeds ``limit``, of the same proportions."""
    if limit is None:
        return size
    scale = min(limit[0] / size[0], limit[1] / size[1], 1.0)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shrink(frame: Frame, size: tuple[int, int]) -> Frame:
    """``frame`` at ``size`` (width, height), which is equal to or smaller than its own."""
    # OpenCV halves five times as fast as it averages over other areas, and what is left after that,
    # less than a halving, leaves no pixel unseen by linear interpolation, which is as fast.
    while frame.shape[1] >= 2 * size[0] and frame.shape[0] >= 2 * size[1] and min(size) > 1:
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        even: Any = frame[: 2 * height, : 2 * width]
        frame = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    if size == (frame.shape[1], frame.shape[0]):
        return frame
    small: Any = cv2.resize(frame, size, interpolation=_way(frame, size))
    return np.asarray(small)


def _way(frame: Frame, size: tuple[int, int]) -> int:
    """Averages where one side shrinks by far more than the other."""
    linear = frame.shape[1] <= 2 * size[0] and frame.shape[0] <= 2 * size[1]
    return cv2.INTER_LINEAR if linear else cv2.INTER_AREA


def as_bgr(frame: Frame) -> Frame:
    """``frame``, (H, W) or (H, W, 3), with three channels."""
    color: Any = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame
    return np.asarray(color)


def to_frame(found: Detections, searched: tuple[int, int], frame: Frame) -> Detections:
    """``found`` in the picture of size ``searched`` (width, height), in pixels of ``frame``."""
    return found.scaled(frame.shape[1] / searched[0], frame.shape[0] / searched[1])


def drop_smaller_than(found: Detections, min_face: float) -> Detections:
    """Those with both sides of ``min_face`` pixels or more."""
    if min_face <= 0:
        return found
    # Half a pixel of tolerance, for a face of just the side asked for.
    return found.take(found.boxes[:, 2:].min(axis=1, initial=np.inf) >= min_face - 0.5)
