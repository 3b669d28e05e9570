"""Photos with their hits, false alarms and misses drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluate_detectors.labelled_photos import LabelledPhoto
from training.evaluate_detectors.matching import match
from training.evaluate_detectors.measure import Measurement

FOUND, FALSE, MISSED, NEITHER = (0, 200, 0), (0, 0, 255), (255, 120, 0), (160, 160, 160)
"""Colours (BGR): green, red, blue, gray."""


def write_worst(
    m: Measurement,
    photos: Sequence[LabelledPhoto],
    frames: Sequence[NDArray[np.uint8]],
    count: int,
    folder: Path,
) -> None:
    """Write the ``count`` photos with the most false alarms and misses to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    matches = [
        match(photo, found.boxes.astype(np.float64))
        for photo, found in zip(photos, m.found_by_photo, strict=True)
    ]
    missed = [
        sorted(set(range(len(photo.faces))) - set(face_of.tolist()))
        for photo, (face_of, _) in zip(photos, matches, strict=True)
    ]
    faults = [
        len(miss) + int(false.sum()) for miss, (_, false) in zip(missed, matches, strict=True)
    ]
    for rank, i in enumerate(np.argsort(-np.array(faults), kind="stable")[:count].tolist()):
        picture: Any = frames[i].copy()
        found, (face_of, false) = m.found_by_photo[i], matches[i]
        for box, face, wrong, score in zip(found.boxes, face_of, false, found.scores, strict=True):
            colour = FALSE if wrong else FOUND if face >= 0 else NEITHER
            _rectangle(picture, box, colour, f"{score:.2f}")
        for face in missed[i]:
            _rectangle(picture, photos[i].faces[face], MISSED, "")
        name = f"{rank:02}-{int(false.sum())}-false-{len(missed[i])}-missed.jpg"
        cv2.imwrite(str(folder / name), picture)


def _rectangle(picture: Any, box: Any, colour: tuple[int, int, int], text: str) -> None:
    x, y, w, h = (round(float(v)) for v in box)
    cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 1)
    cv2.putText(picture, text, (x, max(y - 2, 8)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, 1)
