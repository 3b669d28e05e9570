"""Holding a loop within a time per frame, by looking for faces less often."""

from __future__ import annotations

import math
from typing import Final

RATE: Final = 0.1
"""Weight of the newest frame in the running means."""
LONGEST: Final = 300
"""Frames between two looks for faces, at most: a budget that needs more cannot be held."""


class Budget:
    """Measures what frames cost and says how far apart detections have to be."""

    def __init__(self, ms: float) -> None:
        """``ms`` milliseconds per frame, in the mean."""
        self.ms = ms
        self.interval = 1
        """Frames between detections that keep within the budget now."""
        self.longest = 1
        """The largest that :attr:`interval` has been."""
        self.frames = 0
        self._detect = 0.0
        self._rest = 0.0
        self._total = 0.0

    def spent(self, detect_ms: float | None, rest_ms: float) -> None:
        """Take in one frame: its detection, if it had one, and all else."""
        self.frames += 1
        self._total += rest_ms + (detect_ms or 0.0)
        self._rest += (rest_ms - self._rest) * max(RATE, 1 / self.frames)
        if detect_ms is not None:
            self._detect = detect_ms if not self._detect else (self._detect + detect_ms) / 2
        room = self.ms - self._rest
        needed = math.ceil(self._detect / room) if room > 0 else LONGEST
        self.interval = min(max(1, needed), LONGEST)
        self.longest = max(self.longest, self.interval)

    def report(self) -> str:
        """What was done, in one sentence."""
        mean = self._total / max(1, self.frames)
        verdict = "held" if mean <= self.ms else "missed"
        return (
            f"budget of {self.ms:g} ms a frame {verdict}: {mean:.1f} ms in the mean, detections up "
            f"to {self.longest} frames apart"
        )
