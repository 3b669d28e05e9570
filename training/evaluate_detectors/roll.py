"""How well a detector's landmarks follow a head that is tilted: photos turned by known angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.crops import roll_angles
from fastfer.detectors import Detector
from training.evaluate_detectors.matching import Photo

Floats = NDArray[np.float64]

TURNS = (-30.0, 30.0)
"""Degrees by which photos are turned, clockwise."""


def tilt_errors(
    detector: Detector,
    photos: Sequence[Photo],
    frames: Sequence[Any],
    judged: Sequence[NDArray[np.int64]],
) -> list[float]:
    """Degrees between the tilt that is told and the true one, for each face that is found.

    ``judged`` are the numbers of the faces of each photo that are asked for. The whole frame is
    turned about its middle; a face is found where a box lies around the middle between its eyes.
    """
    errors = []
    for photo, frame, faces in zip(photos, frames, judged, strict=True):
        if not len(faces):
            continue
        labelled = photo.points[faces]
        for degrees in TURNS:
            picture, points = _turn(frame, labelled, degrees)
            found = detector.detect(picture)
            if found.landmarks is None:
                continue
            told = roll_angles(found.landmarks, len(found))
            for wanted, true in zip(points, roll_angles(points, len(points)), strict=True):
                x, y = wanted[:2].mean(axis=0)
                left, top, wide, high = found.boxes.T
                around = (left <= x) & (x <= left + wide) & (top <= y) & (y <= top + high)
                if around.any():
                    best = int(np.argmax(found.scores * around))
                    errors.append(abs(math.degrees(math.remainder(told[best] - true, math.tau))))
    return errors


def _turn(frame: Any, points: Floats, degrees: float) -> tuple[NDArray[np.uint8], Floats]:
    """``frame`` and ``points`` (N, 5, 2) turned clockwise, in a frame that holds all of it."""
    height, width = frame.shape[:2]
    # OpenCV's positive angles go the other way around.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    turned = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(turned, np.uint8), points @ matrix[:, :2].T + matrix[:, 2]
