"""Pictures that lie on their side or upside down: turned by quarters, and results turned back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.results import Box, Face, FrameResult, Point

Frame = NDArray[np.uint8]

TURNS: Final = (90, 270, 180)
"""Degrees clockwise by which a picture is turned, in the order of the attempts."""
UPRIGHT_SCORE: Final = 0.9
"""Detection score from which a face is taken for upright; faces on their side have lower ones."""


def may_lie(result: FrameResult) -> bool:
    """Whether the picture may lie on its side: it has no face, or only uncertain or weak ones."""
    return all(face.uncertain or face.detection_score < UPRIGHT_SCORE for face in result)


def turn(frame: Frame, degrees: int) -> Frame:
    """A copy of ``frame`` turned clockwise by one of :data:`TURNS`."""
    return np.ascontiguousarray(np.rot90(frame, -degrees // 90))


def turn_back(result: FrameResult, degrees: int) -> FrameResult:
    """The result of a picture that was turned clockwise, in coordinates of the picture before."""
    width, height = result.width, result.height
    if degrees != 180:
        width, height = height, width
    faces = tuple(_face_back(face, degrees, result.width, result.height) for face in result.faces)
    return replace(result, faces=faces, width=width, height=height, rotation=degrees)


def _face_back(face: Face, degrees: int, width: int, height: int) -> Face:
    x, y, wide, high = face.box
    # The corner that becomes the left top one.
    corner = {90: (x + wide, y), 180: (x + wide, y + high), 270: (x, y + high)}[degrees]
    sides = (wide, high) if degrees == 180 else (high, wide)
    box: Box = (*_point_back(corner, degrees, width, height), *sides)
    landmarks = face.landmarks and tuple(
        _point_back(point, degrees, width, height) for point in face.landmarks
    )
    return replace(face, box=box, landmarks=landmarks)


def _point_back(point: Point, degrees: int, width: int, height: int) -> Point:
    x, y = point
    back = {90: (y, width - x), 180: (width - x, height - y), 270: (height - y, x)}[degrees]
    return round(back[0], 2), round(back[1], 2)
