"""What a face detector returns, and how its boxes map to crops for the expression network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import BoxError
from fastfer.validation import HIGHEST, check_positive, check_range

_MAX_COORDINATE: Final = 1e9
"""Pixels. No frame extends this far, and float32 can still scale such values without overflow."""


@dataclass(frozen=True, slots=True)
class CropCalibration:
    """Affine map from a detector's boxes to face crops framed like FER-2013's images.

    The expression network was trained on FER-2013, so a crop should show as much forehead and chin
    as those images do. Lengths are in units of the detector's own box. ``training.expression.
    calibrate_crops`` measures the values for a detector.

    Raises:
        UsageError: a value out of range (``out_of_range``).
    """

    width: float = 1.0
    """Crop width / box width."""
    height: float = 1.0
    """Crop height / box height."""
    shift_x: float = 0.0
    """Offset of the crop's centre from the box's, to the right, in box widths."""
    shift_y: float = 0.0
    """The same downwards, in box heights."""
    square: bool = False
    """Make the crop a square whose side is the mean of its width and height."""

    def __post_init__(self) -> None:
        check_positive(width=self.width, height=self.height)
        check_range(
            width=(self.width, 0),
            height=(self.height, 0),
            shift_x=(self.shift_x, -HIGHEST, HIGHEST),
            shift_y=(self.shift_y, -HIGHEST, HIGHEST),
        )

    def crops(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The crops of ``boxes``; both (N, 4) float32: x, y, width, height in frame pixels."""
        if self == _AS_IT_IS:
            return boxes
        size = boxes[:, 2:] * np.array([self.width, self.height], np.float32)
        if self.square:
            size = np.repeat(size.mean(axis=1, keepdims=True), 2, axis=1)
        shift = np.array([self.shift_x, self.shift_y], np.float32) * boxes[:, 2:]
        centre = boxes[:, :2] + boxes[:, 2:] / 2 + shift
        return np.concatenate([centre - size / 2, size], axis=1).astype(np.float32)


_AS_IT_IS: Final = CropCalibration()
_FLOAT32: Final = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces that a detector found in one frame.

    Lists and other numbers become float32.

    Raises:
        BoxError: an array of another shape.
    """

    boxes: NDArray[np.float32]
    """(N, 4) float32: x, y, width, height in pixels of the frame passed to the detector."""
    scores: NDArray[np.float32]
    """(N,) float32: the detector's confidence, on its own scale; higher is more confident."""
    landmarks: NDArray[np.float32] | None = None
    """(N, 5, 2) float32: right eye, left eye, nose, right and left mouth corner, x and y in frame
    pixels; ``None`` if the detector has no landmarks."""

    def __post_init__(self) -> None:
        try:
            count = len(self.boxes)
        except TypeError:
            count = 0
        self._to_float32("boxes", (count, 4))
        self._to_float32("scores", (count,))
        if self.landmarks is not None:
            self._to_float32("landmarks", (count, 5, 2))

    def _to_float32(self, name: str, shape: tuple[int, ...]) -> None:
        value = getattr(self, name)
        if isinstance(value, np.ndarray) and value.dtype is _FLOAT32 and value.shape == shape:
            return
        try:
            array = np.asarray(value, np.float32)
        except (TypeError, ValueError) as error:
            raise BoxError(f"Detections.{name} must be numbers: {error}") from None
        if array.shape == (0,) and shape[0] == 0:  # An empty list.
            array = array.reshape(shape)
        if array.shape != shape:
            wanted = str(shape).replace(str(shape[0]), "N", 1)
            raise BoxError(
                f"Detections.{name} must be of shape {wanted}, with N boxes; got {array.shape}"
            )
        object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls) -> Detections:
        """No face."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        """The faces selected by an index array or a boolean mask."""
        marks = None if self.landmarks is None else self.landmarks[which]
        return Detections(self.boxes[which], self.scores[which], marks)

    def valid(self) -> Detections:
        """The faces with positive area, finite numbers and coordinates within ±1e9 pixels.

        Applied to a network's candidates before non-maximum suppression: an overflowed candidate
        must neither raise nor suppress the valid ones that overlap it.
        """
        if self._all_valid():
            return self
        good = (np.abs(self.boxes) < _MAX_COORDINATE).all(axis=1)  # False for NaN.
        good &= (self.boxes[:, 2:] > 0).all(axis=1) & np.isfinite(self.scores)
        if self.landmarks is not None:
            good &= (np.abs(self.landmarks) < _MAX_COORDINATE).all(axis=(1, 2))
        return self.take(good)

    def _all_valid(self) -> bool:
        """Whether every face is valid: a few reductions, which propagate NaN."""
        if not len(self):
            return True
        parts = [self.boxes] if self.landmarks is None else [self.boxes, self.landmarks]
        near = all(np.abs(part).max() < _MAX_COORDINATE for part in parts)
        return near and self.boxes[:, 2:].min() > 0 and bool(np.isfinite(self.scores).all())

    def scaled(self, x: float, y: float) -> Detections:
        """The same faces in a frame ``x`` times as wide and ``y`` times as high."""
        ratio = np.array([x, y, x, y], np.float32)
        marks = None if self.landmarks is None else self.landmarks * ratio[:2]
        return Detections(self.boxes * ratio, self.scores, marks)

    def left_to_right(self) -> Detections:
        """The same faces sorted by x, then y, then size, so that order is deterministic."""
        if len(self) < 2:
            return self
        x, y, w, h = self.boxes.T
        return self.take(np.lexsort((h, w, y, x)))
