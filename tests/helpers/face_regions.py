"""Labels of pictures, made from boxes."""

from __future__ import annotations

import numpy as np

from tests.helpers.drawn_scenes import LANDMARKS
from training.detector.photos import FaceRegions

NONE = np.empty((0, 4), np.float32)


def face_regions(
    *boxes: tuple[float, ...], ignore: object = NONE, false_hits: object = NONE
) -> FaceRegions:
    """Faces in ``boxes``, with landmarks at the places of drawn faces."""
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = LANDMARKS[None] * rows[:, None, 2:] + rows[:, None, :2]
    return FaceRegions(
        rows, landmarks.astype(np.float32),
        np.array(ignore, np.float32).reshape(-1, 4),
        np.array(false_hits, np.float32).reshape(-1, 4),
    )  # fmt: skip
