"""How well a detector's landmarks follow a head that is rolled to the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.crops import roll_angles
from fastfer.detectors import Detector
from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.measure import measurable_faces

Floats = NDArray[np.float64]

ROTATIONS = (-30.0, 30.0)
"""Degrees by which the photos are rotated, clockwise."""


def roll_errors(
    detector: Detector, photos: Sequence[LabelledPhoto], frames: Sequence[NDArray[np.uint8]]
) -> list[float]:
    """Absolute error in degrees of the roll angle of each face found in rotated photos.

    The whole frame is rotated about its centre; a face counts as found if a box contains the point
    between its eyes.
    """
    errors = []
    for photo, frame in zip(photos, frames, strict=True):
        landmarks = photo.landmarks[measurable_faces(photo)]
        for degrees in ROTATIONS if len(landmarks) else ():
            picture, points = _rotate(frame, landmarks, degrees)
            found = detector.detect(picture)
            if found.landmarks is None:
                continue
            estimated = roll_angles(found.landmarks, len(found))
            for wanted, true in zip(points, roll_angles(points, len(points)), strict=True):
                x, y = wanted[:2].mean(axis=0)
                left, top, width, height = found.boxes.T
                inside = (left <= x) & (x <= left + width) & (top <= y) & (y <= top + height)
                if inside.any():
                    best = int(np.argmax(found.scores * inside))
                    difference = math.remainder(estimated[best] - true, math.tau)
                    errors.append(abs(math.degrees(difference)))
    return errors


def _rotate(frame: Any, points: Floats, degrees: float) -> tuple[NDArray[np.uint8], Floats]:
    """``frame`` and ``points`` (N, 5, 2) rotated clockwise, in a frame that holds all of it."""
    height, width = frame.shape[:2]
    # OpenCV's positive angles are counter-clockwise.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    rotated = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(rotated, np.uint8), points @ matrix[:, :2].T + matrix[:, 2]
