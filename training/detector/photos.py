"""Photos and their labels, read from ``labels.jsonl`` and kept in memory.

Photos are decoded and reduced once, so that decoding does not limit the speed of an epoch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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
"""IoU from which a hand-drawn box and a labelled face are the same face."""


@dataclass(frozen=True, slots=True)
class FaceRegions:
    """The labels of a picture, in its pixels; boxes are x, y, width, height."""

    boxes: Floats
    """(N, 4): faces; they may reach outside the picture."""
    landmarks: Floats
    """(N, 5, 2): right eye, left eye, nose, right and left mouth corner; NaN where unknown."""
    ignore: Floats
    """(M, 4): regions that may or may not show faces."""
    false_hits: Floats
    """(K, 4): false alarms of another detector, which are no faces."""

    def moved(self, scale: float, x: float, y: float) -> FaceRegions:
        """The labels of the picture scaled by ``scale`` and then shifted by ``x`` and ``y``."""
        shift = np.array([x, y, 0, 0], np.float32)
        return FaceRegions(
            self.boxes * np.float32(scale) + shift,
            self.landmarks * np.float32(scale) + shift[:2],
            self.ignore * np.float32(scale) + shift,
            self.false_hits * np.float32(scale) + shift,
        )

    @classmethod
    def joined(cls, parts: Sequence[FaceRegions]) -> FaceRegions:
        """All ``parts``, one after another."""
        return cls(*(
            np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, decoded."""

    pixels: NDArray[np.uint8]
    """(H, W, channels): gray or BGR."""
    known: FaceRegions


def read_photos(
    folder: str | Path, split: str, *, channels: int = 1, longest: int = 512, every: int = 1
) -> list[Photo]:
    """The photos of one split, or ``every`` n-th of them, reduced to at most ``longest`` pixels on
    the long side.

    Raises:
        InputError: the folder or split does not exist, or a line or photo cannot be read.
    """
    rows = read_rows(Path(folder), split)[::every]
    return [_open(Path(folder, "images", row["file"]), row, channels, longest) for row in rows]


def memory(photos: Sequence[Photo]) -> int:
    """Bytes of all pixels."""
    return sum(photo.pixels.nbytes for photo in photos)


def read_rows(folder: Path, split: str | None = None) -> list[dict[str, Any]]:
    """The rows of the labels in ``folder``: of one split, or all.

    Raises:
        InputError: the labels cannot be read, a line is damaged, or there is no such row.
    """
    file = folder / LABELS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise InputError(f"{file}: {e.strerror}; see --data", code="not_found") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if split is None or row["split"] == split:
                Path(row["file"])
                rows.append(row)
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"{file}, line {number}: {e!r}", code="damaged") from None
    if not rows:
        of_split = "" if split is None else f" of the split {split!r}"
        raise InputError(f"{file}: no photo{of_split}", code="no_pictures")
    return rows


def _open(path: Path, row: dict[str, Any], channels: int, longest: int) -> Photo:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}", code="not_found") from None
    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    decoded: Any = cv2.imdecode(data, mode | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if decoded is None:
        raise InputError(f"{path}: not a picture that OpenCV can decode", code="damaged")
    height, width = decoded.shape[:2]
    scale = min(longest / max(height, width), 1.0)
    small = shrink(decoded, (max(1, round(width * scale)), max(1, round(height * scale))))
    return Photo(small.reshape(*small.shape[:2], channels), regions(row).moved(scale, 0, 0))


def regions(row: dict[str, Any]) -> FaceRegions:
    """The labels in a line of the file, in pixels of the stored photo.

    A hand-drawn box that no labelled face overlaps is a face without landmarks, and not ignored.
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
    """(N,) whether any of ``others`` overlaps each of ``boxes``."""
    if not len(others) or not len(boxes):
        return np.zeros(len(boxes), bool)
    return np.asarray(iou(boxes, others).max(axis=1) >= SAME_FACE)
