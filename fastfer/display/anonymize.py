"""Blurred or pixelated faces, for pictures that leave the program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.results import Face, FrameResult

R = TypeVar("R", bound=FrameResult)
Part = Literal["faces", "eyes"]
PARTS: Final[tuple[Part, ...]] = ("faces", "eyes")
FACE_MARGIN: Final = 0.15
"""Share of a box by which the hidden ellipse extends beyond it on each side."""
BLOCKS: Final = 4
"""Samples across a face. No more detail survives, with either method: with eight, expressions were
still legible, and the detector found two of three faces again."""


@dataclass(frozen=True, slots=True)
class Anonymizer:
    """Hides faces, or only the eyes, in pictures before anything is drawn on or written.

    What is hidden is first reduced to :data:`BLOCKS` samples across the face, so that no
    deconvolution brings it back.
    """

    part: Part = "faces"
    pixelate: bool = False
    """Show the blocks instead of a smooth blur."""

    def apply(self, frame: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
        """A copy of ``frame``, (H, W, 3) or (H, W), in which the faces of ``result`` are hidden.

        Faces that the detector has missed stay visible.
        """
        picture = frame.copy()
        for face in result.faces:
            if self.part == "eyes":
                self._hide(picture, *_eyes(face))
            else:
                x, y, w, h = face.box
                axes = (w * (0.5 + FACE_MARGIN), h * (0.5 + FACE_MARGIN))
                self._hide(picture, (x + w / 2, y + h / 2), axes, 0.0, face.box[2] / BLOCKS)
        return picture

    def _hide(
        self,
        picture: Any,
        center: tuple[float, float],
        axes: tuple[float, float],
        angle: float,
        block: float,
    ) -> None:
        """Hide an ellipse of half ``axes`` pixels, turned by ``angle`` degrees."""
        reach = max(axes)
        height, width = picture.shape[:2]
        left, right = max(0, int(center[0] - reach)), min(width, int(center[0] + reach) + 2)
        top, bottom = max(0, int(center[1] - reach)), min(height, int(center[1] + reach) + 2)
        part = picture[top:bottom, left:right]
        if part.size == 0:
            return
        size = (
            max(1, round((right - left) / max(block, 1.0))),
            max(1, round((bottom - top) / max(block, 1.0))),
        )
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        method = cv2.INTER_NEAREST if self.pixelate else cv2.INTER_CUBIC
        hidden = cv2.resize(small, part.shape[1::-1], interpolation=method)
        mask = np.zeros(part.shape[:2], np.uint8)
        middle = (round(center[0] - left), round(center[1] - top))
        cv2.ellipse(
            mask, middle, (max(1, round(axes[0])), max(1, round(axes[1]))), angle, 0, 360, 255, -1
        )
        part[mask > 0] = hidden[mask > 0]


def _eyes(face: Face) -> tuple[tuple[float, float], tuple[float, float], float, float]:
    """Centre, half axes, angle and block size of a band over both eyes."""
    x, y, w, h = face.box
    if face.landmarks is None:
        return (x + w / 2, y + 0.4 * h), (0.55 * w, 0.2 * h), 0.0, w / BLOCKS
    (ax, ay), (bx, by) = face.landmarks[:2]
    angle = float(np.degrees(np.arctan2(by - ay, bx - ax)))
    long = max(float(np.hypot(bx - ax, by - ay)), 0.4 * w)
    return ((ax + bx) / 2, (ay + by) / 2), (long, max(0.5 * long, 0.18 * h)), angle, w / BLOCKS


@dataclass(frozen=True, slots=True)
class PrivacyFilter:
    """What leaves the program: hidden faces in pictures, and no landmarks in results."""

    anonymizer: Anonymizer | None = None
    landmarks: bool = True

    def image(self, frame: NDArray[np.uint8], result: FrameResult) -> NDArray[np.uint8]:
        """``frame``, with hidden faces if asked for."""
        return frame if self.anonymizer is None else self.anonymizer.apply(frame, result)

    def result(self, result: R) -> R:
        """``result``, without landmarks if asked for."""
        if self.landmarks or not result.faces:
            return result
        faces = tuple(replace(face, landmarks=None) for face in result.faces)
        return replace(result, faces=faces)


def privacy_filter(
    blur: Part | None = None, *, pixelate: bool = False, landmarks: bool = True
) -> PrivacyFilter:
    """The filter that options ask for; ``pixelate`` alone hides faces."""
    anonymizer = Anonymizer(blur or "faces", pixelate) if blur or pixelate else None
    return PrivacyFilter(anonymizer, landmarks)
