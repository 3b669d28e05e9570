"""When to look for faces again."""

from __future__ import annotations

from typing import Final, Literal

Auto = Literal["auto"]
AUTO: Final[Auto] = "auto"

SHORTEST: Final = 0.15
"""Seconds between detections while a face waits for its confirmation."""
START: Final = 0.3
"""Seconds between detections after something happened."""
LONGEST_AHEAD: Final = 0.9
"""Seconds at most, where frames can be held back: a new face is then carried back in time to where
it came into view."""
LONGEST_LIVE: Final = 0.4
"""Seconds at most, where every frame is answered at once: so late can a new face be seen."""
GROWTH: Final = 1.5
"""The interval's growth with each detection that changed nothing."""


class DetectionScheduler:
    """Decides by what happens in the frames, and by their times, so that a file gives the same
    result every time; only a budget brings the clock in."""

    def __init__(self, every: int | Auto = AUTO, *, ahead: bool = True) -> None:
        """``every`` frames, or by need; ``ahead``: frames can be held back."""
        self.every = every
        self._longest = LONGEST_AHEAD if ahead else LONGEST_LIVE
        self._interval = START
        self._frames = 0
        self._last: float | None = None
        self.at_least = 1
        """Frames between detections that a budget leaves room for."""

    @property
    def always(self) -> bool:
        """Whether every frame is to be searched, so that the detector has the only word."""
        return self.every == 1

    def should_detect(self, pts: float, *, unconfirmed: bool, urgent: bool) -> bool:
        """Whether the frame at ``pts`` is to be searched.

        ``unconfirmed``: a face waits for its confirmation; ``urgent``: a face was lost or the scene
        has changed, so that only a budget may still say no.
        """
        self._frames += 1
        if urgent and self._last is not None and self._frames >= self.at_least:
            return True
        return self.will_detect(0, pts, unconfirmed=unconfirmed)

    def will_detect(self, ahead: int, pts: float, *, unconfirmed: bool) -> bool:
        """Whether the frame at ``pts``, so many ``ahead``, is to be searched if nothing urgent
        comes in between."""
        if self._last is None:
            return True
        frames = self._frames + ahead
        if frames < self.at_least:
            return False
        if self.every != AUTO:
            return frames >= self.every
        interval = min(SHORTEST, self._interval) if unconfirmed else self._interval
        # Half a millisecond, for times that are rounded to milliseconds.
        return pts - self._last >= interval - 5e-4

    def detected(self, pts: float, *, eventful: bool) -> None:
        """The frame at ``pts`` was searched; ``eventful``: something was not as expected."""
        self._frames = 0
        self._last = pts
        if eventful:
            self._interval = START
        else:
            self._interval = min(self._interval * GROWTH, self._longest)
