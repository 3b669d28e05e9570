"""Presentation times that strictly increase, from time stamps that may be absent or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

JUMP: Final = 1.0
"""Seconds that are a jump; after one back in time, times continue from there."""


class FrameClock:
    """Times in seconds since ``start``, on the clock of the player."""

    def __init__(self, start: float, tick: float) -> None:
        """``start``: time stamp of the player's zero; ``tick``: nominal seconds per frame."""
        self._start = start
        self._tick = tick
        self._last: float | None = None
        self.jumps: list[tuple[float, float]] = []
        """Jumps back: the time from where times continue, and ``start`` from there on."""

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
                self.jumps.append((self._last, self._start))
        return self._last


def drop_wild_stamps(
    frames: Iterable[T], stamp: Callable[[T], float | None]
) -> Iterator[tuple[T, float | None]]:
    """Each of ``frames`` with its time stamp, without those that are wrong for a single frame.

    After a jump, the next frame shows whether time goes on there, as after a gap or in recordings
    that were joined, or where it was: then the stamp of the jump is ``None``.
    """
    last: float | None = None
    held: tuple[T, float] | None = None
    for frame in frames:
        now = stamp(frame)
        if held is not None and now is not None:
            before, jump = held
            wild = last is not None and last < now and (now < jump or jump < last)
            yield before, None if wild else jump
            last, held = last if wild else jump, None
        if held is None and now is not None and last is not None and abs(now - last) > JUMP:
            held = frame, now
            continue
        if held is not None:
            yield held
            last, held = held[1], None
        yield frame, now
        last = last if now is None else now
    if held is not None:
        yield held
