"""Holding a time budget per frame by detecting less often."""

from __future__ import annotations

import math
from typing import Final

RATE: Final = 0.1
"""Weight of the newest frame in the moving averages."""
LONGEST: Final = 300
"""Most frames between two detections; a budget that needs more cannot be held."""


class Budget:
    """Measures the cost of frames and derives the detection interval."""

    def __init__(self, ms: float) -> None:
        """``ms``: mean milliseconds per frame to stay within."""
        self.ms = ms
        self.interval = 1
        """Frames from one detection to the next that currently fit the budget."""
        self.longest = 1
        """The largest :attr:`interval` so far."""
        self.frames = 0
        self._detect = 0.0
        self._rest = 0.0
        self._total = 0.0

    def spent(self, detect_ms: float | None, rest_ms: float) -> None:
        """Add one frame: the time of its detection, if it had one, and of all other stages."""
        self.frames += 1
        self._total += rest_ms + (detect_ms or 0.0)
        self._rest += (rest_ms - self._rest) * max(RATE, 1 / self.frames)
        if detect_ms is not None:
            self._detect = detect_ms if not self._detect else (self._detect + detect_ms) / 2
        room = self.ms - self._rest
        needed = math.ceil(self._detect / room) if room > 0 else LONGEST
        self.interval = min(max(1, needed), LONGEST)
        self.longest = max(self.longest, self.interval)

    @property
    def mean_ms(self) -> float:
        """Mean milliseconds per frame so far."""
        return self._total / max(1, self.frames)

    @property
    def held(self) -> bool:
        """Whether the mean is within the budget."""
        return self.mean_ms <= self.ms

    def report(self) -> str:
        """The outcome in one line."""
        return (
            f"budget of {self.ms:g} ms per frame {'held' if self.held else 'missed'}: mean "
            f"{self.mean_ms:.1f} ms, at most {self.longest} frames between detections"
        )
