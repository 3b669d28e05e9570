"""Photos and what is known of the faces on them, read from ``labels.jsonl`` and kept in memory.

Photos are decoded and reduced once, so that an epoch is not bound by the decoding of JPEG files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.detectors.resize import shrink
from fastfer.errors import InputError
from fastfer.kernels.boxes import iou

Floats = NDArray[np.float32]
LABELS = "labels.jsonl"
SAME_FACE = 0.4
"""Overlap from which a hand-drawn box and a labelled face are one."""


@dataclass(frozen=True, slots=True)
class FaceRegions:
    """What is known of a picture, in its pixels; boxes are x, y, width, height."""

    boxes: Floats
    """(N, 4): faces to be found; they may reach outside."""
    points: Floats
    """(N, 5, 2): right eye, left eye, nose, right and left mouth corner; NaN where unknown."""
    ignore: Floats
    """(M, 4): nobody knows whether these are faces."""
    false_hits: Floats
    """(K, 4): known to look like faces without being any."""

    def moved(self, scale: float, x: float, y: float) -> FaceRegions:
        """The same in a picture scaled by ``scale`` and then shifted by ``x`` and ``y``."""
        shift = np.array([x, y, 0, 0], np.float32)
        return FaceRegions(
            self.boxes * np.float32(scale) + shift,
            self.points * np.float32(scale) + shift[:2],
            self.ignore * np.float32(scale) + shift,
            self.false_hits * np.float32(scale) + shift,
        )

    @classmethod
    def joined(cls, parts: Sequence[FaceRegions]) -> FaceRegions:
        """Those of all ``parts``, one after another."""
        return cls(*(
            np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, decoded."""

    pixels: NDArray[np.uint8]
    """(H, W, channels): gray, or blue, green and red."""
    known: FaceRegions


def read_photos(
    folder: str | Path, split: str, *, channels: int = 1, longest: int = 512
) -> list[Photo]:
    """The photos of one split, those larger than ``longest`` pixels reduced to it.

    Raises:
        InputError: there is no such folder or split, or a line or a photo that cannot be read.
    """
    return [_open(path, row, channels, longest) for path, row in _rows(Path(folder), split)]


def memory(photos: Sequence[Photo]) -> int:
    """Bytes that the pixels take."""
    return sum(photo.pixels.nbytes for photo in photos)


def _rows(folder: Path, split: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    try:
        lines = (folder / LABELS).read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise InputError(f"{folder / LABELS}: {e.strerror}; --data is a folder with it") from None
    count = 0
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if row["split"] != split:
                continue
            path = folder / "images" / row["file"]
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"{folder / LABELS}, line {number}: {e!r}") from None
        count += 1
        yield path, row
    if not count:
        raise InputError(f"{folder / LABELS}: no photo of the split {split!r}")


def _open(path: Path, row: dict[str, Any], channels: int, longest: int) -> Photo:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}") from None
    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    decoded: Any = cv2.imdecode(data, mode | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if decoded is None:
        raise InputError(f"{path}: not a picture that OpenCV can read")
    height, width = decoded.shape[:2]
    scale = min(longest / max(height, width), 1.0)
    small = shrink(decoded, (max(1, round(width * scale)), max(1, round(height * scale))))
    return Photo(small.reshape(*small.shape[:2], channels), regions(row).moved(scale, 0, 0))


def regions(row: dict[str, Any]) -> FaceRegions:
    """What a line of the labels says, in pixels of the stored photo.

    A hand-drawn box that no labelled face overlaps is a face without points, and no longer ignored.
    """
    boxes = _boxes(row["faces"])
    points = [np.reshape(face["lm"], (5, 2)) for face in row["faces"]]
    ignore = _boxes(row["ignore"])
    drawn = _boxes(row["gt"] or ())
    missed = drawn[~_overlaps(drawn, boxes)]
    return FaceRegions(
        np.concatenate([boxes, missed]),
        np.array([*points, *np.full((len(missed), 5, 2), np.nan)], np.float32).reshape(-1, 5, 2),
        ignore[~_overlaps(ignore, missed)],
        _boxes(row["fp"]),
    )


def _boxes(entries: Sequence[dict[str, Any]]) -> Floats:
    return np.array([entry["box"] for entry in entries], np.float32).reshape(-1, 4)


def _overlaps(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """Which of ``boxes`` one of ``others`` overlaps."""
    if not len(others) or not len(boxes):
        return np.zeros(len(boxes), bool)
    return np.asarray(iou(boxes, others).max(axis=1) >= SAME_FACE)
