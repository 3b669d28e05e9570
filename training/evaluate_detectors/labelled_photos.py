"""Photos with known faces, to measure detectors on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError
from fastfer.kernels.boxes import iou
from training.detector.photos import read_rows

Boxes = NDArray[np.float64]

MIN_FACE = 16
"""Side in pixels; smaller faces count neither as found nor as missed."""


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo and what is known of it; boxes are (N, 4) x, y, width, height in pixels."""

    path: Path
    size: tuple[int, int]
    """Width and height."""
    faces: Boxes
    ignore: Boxes
    """Regions in which a box is neither a hit nor a false alarm."""
    empty: bool = False
    """Known to show no face."""
    landmarks: Boxes = field(default_factory=lambda: np.empty((0, 5, 2)))
    """(N, 5, 2) of :attr:`faces`; NaN if unknown."""

    def read(self) -> NDArray[np.uint8]:
        """The pixels, (H, W, 3) BGR, as stored.

        Raises:
            InputError: OpenCV cannot decode the file.
        """
        pixels: Any = cv2.imread(str(self.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise InputError(f"{self.path}: not an image that OpenCV can decode")
        return np.asarray(pixels, np.uint8)


def read_labels(folder: Path, split: str = "val") -> list[LabelledPhoto]:
    """The photos of one split of ``folder``, which holds ``labels.jsonl`` and ``images/``.

    Boxes drawn by hand (``gt``) that no other label covers are faces, too.

    Raises:
        InputError: the labels cannot be read, are damaged, or hold no photo of this split.
    """
    return [_photo(folder, row) for row in read_rows(folder, split)]


def _photo(folder: Path, row: dict[str, Any]) -> LabelledPhoto:
    labelled = row["faces"]
    boxes = [face["box"] for face in labelled]
    landmarks = [np.reshape(face["lm"] or [np.nan] * 10, (5, 2)) for face in labelled]
    drawn = [box["box"] for box in row["gt"] or () if not _covered(box["box"], boxes)]
    faces = _boxes(boxes + drawn)
    points = np.array([*landmarks, *[np.full((5, 2), np.nan)] * len(drawn)]).reshape(-1, 5, 2)
    large = (faces[:, 2:] >= MIN_FACE).all(axis=1)
    ignore = _boxes([region["box"] for region in row["ignore"]])
    return LabelledPhoto(
        folder / "images" / row["file"],
        (row["w"], row["h"]),
        faces[large],
        np.concatenate([ignore, faces[~large]]),
        empty=row["kind"] in ("neg", "hardneg"),
        landmarks=points[large],
    )


def read_dlib_photos(folder: Path) -> list[LabelledPhoto]:
    """The photos of dlib's examples with the hand-drawn boxes of the ``*.xml`` next to them."""
    photos = []
    for file in sorted(folder.glob("*.xml")):
        for image in ET.parse(file).iter("image"):
            sides = ("left", "top", "width", "height")
            boxes = [[float(box.get(side, "")) for side in sides] for box in image.iter("box")]
            path = folder / image.get("file", "")
            height, width = np.asarray(cv2.imread(str(path))).shape[:2]
            unknown = np.full((len(boxes), 5, 2), np.nan)
            photos.append(
                LabelledPhoto(path, (width, height), _boxes(boxes), _boxes([]), False, unknown)
            )
    return photos


def _boxes(rows: list[Any]) -> Boxes:
    return np.array(rows, np.float64).reshape(-1, 4)


def _covered(box: list[float], others: list[list[float]]) -> bool:
    return bool(others) and float(iou([box], others).max()) >= 0.4
