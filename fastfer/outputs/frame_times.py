"""How long each frame of a video lasted, measured by the times of the frames."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Final

MAX_FRAME_SECONDS: Final = 1.0
"""A frame lasts at most this time, or three typical frames: a longer gap is an outage."""
_RECENT: Final = 15
"""Number of frames whose median duration is typical."""


class FrameTimes:
    """Durations of frames, which neither a wrong nominal rate nor an outage distorts."""

    def __init__(self, nominal: float) -> None:
        """``nominal``: seconds per frame until a duration has been measured."""
        self._nominal = nominal
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._last: float | None = None
        self.end = math.inf
        """When the last frame ends at the latest."""

    def add(self, pts: float) -> float:
        """Seconds that the frame before the one at ``pts`` lasted; 0 for the first."""
        if self._last is None:
            self._last = pts
            return 0.0
        lasted = pts - self._last
        self._last = pts
        self._recent.append(lasted)
        return min(lasted, self.longest)

    @property
    def typical(self) -> float:
        """Seconds that a frame lasts at present."""
        return median(self._recent) if self._recent else self._nominal

    @property
    def rest(self) -> float:
        """Seconds that the last frame lasts."""
        return max(0.0, min(self.typical, self.end - (self._last or 0.0)))

    @property
    def longest(self) -> float:
        """Seconds that a frame lasts at most."""
        return max(MAX_FRAME_SECONDS, 3 * self.typical)
