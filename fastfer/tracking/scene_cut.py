"""Detecting scene cuts."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

GRID: Final = (36, 64)
"""Rows and columns of samples per frame."""
THRESHOLD: Final = 0.5
"""Correlation of the samples of two frames below which the scene has changed."""
MIN_CHANGE: Final = 18.0
"""Mean difference of the samples, 0 to 255, below which there is no cut: dark and uniform frames
correlate with nothing."""


class CutDetector:
    """Compares a few thousand samples of each frame with those of the frame before."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._before: NDArray[np.uint8] | None = None

    def is_cut(self, frame: NDArray[np.uint8], scale: float = 1.0) -> bool:
        """Whether a new scene begins with ``frame``, whose levels are multiplied by ``scale``; a
        change of frame size counts as one."""
        samples = _samples(frame)
        before, shape = self._before, self._shape
        self._before, self._shape = samples, frame.shape[:2]
        if before is None:
            return False
        if shape != frame.shape[:2]:
            return True
        if cv2.norm(samples, before, cv2.NORM_L1) * scale < MIN_CHANGE * samples.size:
            return False
        a, b = (each - each.mean(dtype=np.float32) for each in (samples, before))
        norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
        return norm == 0 or float((a * b).sum()) / norm < THRESHOLD


def _samples(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 samples, which reduces noise: half the grid in each direction."""
    picked: Any = cv2.resize(frame, GRID[::-1], interpolation=cv2.INTER_NEAREST)
    if picked.ndim == 3:
        picked = cv2.cvtColor(picked, cv2.COLOR_BGR2GRAY)
    half = (GRID[1] // 2, GRID[0] // 2)
    return np.asarray(cv2.resize(picked, half, interpolation=cv2.INTER_AREA), np.uint8)
