"""Presentation times that strictly increase, from time stamps that may be absent or wrong."""

from __future__ import annotations

from typing import Final

JUMP: Final = 1.0
"""Seconds back in time that are a jump, after which times continue from there."""


class FrameClock:
    """Times in seconds since ``start``, on the clock of the player."""

    def __init__(self, start: float, tick: float) -> None:
        """``start``: time stamp of the player's zero; ``tick``: nominal seconds per frame."""
        self._start = start
        self._tick = tick
        self._last: float | None = None

    def time(self, stamp: float | None) -> float:
        """The time of the next frame, whose time stamp is ``stamp``."""
        if self._last is None:
            first = 0.0 if stamp is None else stamp - self._start
            if first < 0:  # A player would start here, too.
                self._start += first
            self._last = max(first, 0.0)
        elif stamp is not None and stamp - self._start > self._last:
            self._last = stamp - self._start
        else:
            # Some containers have no times, or wrong ones: continue at the nominal rate, and after
            # a jump back with the intervals that follow.
            self._last += self._tick
            if stamp is not None and self._last - (stamp - self._start) > JUMP:
                self._start = stamp - self._last
        return self._last
