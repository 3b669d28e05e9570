"""Smoothing of recordings: averages over what comes before and after, so that nothing is delayed.

A label changes like in a live video, by hysteresis, but from the frame in which the other emotion
took the lead, as far as the frames are still held back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

WINDOW: Final = 1.3
"""Reach of the average on either side, in time constants."""
BACK: Final = 0.6
"""How far back a change of the label reaches, in time constants."""
MAX_FUTURE: Final = 1.0
MAX_BACK: Final = 0.5
"""Most seconds of both that need later frames."""
HYSTERESIS: Final = 0.3
"""Lead in probability with which another emotion takes over the label."""
HOLD: Final = 2.0
"""Seconds after which a smaller lead takes over."""
FORGET: Final = 10.0
"""Seconds without an output after which a track is forgotten."""
KEPT: Final = 256
"""Outputs of a track from which old ones are dropped."""


class ZeroPhaseSmoother:
    """Averages per track with a window that is the same on both sides (Hann's), independent of the
    frame rate. :meth:`add` comes first, for all frames up to :attr:`lookahead` seconds later."""

    lookahead: float
    """Seconds of later frames on which a result depends."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` is the time constant, above 0; of a long one the window reaches further into
        the past than into the future."""
        self._past = WINDOW * seconds
        self._future = min(self._past, MAX_FUTURE)
        self._back = min(BACK * seconds, MAX_BACK)
        self.lookahead = self._future + self._back
        self._tracks: dict[int, _Track] = {}

    def add(self, track_id: int, raw: NDArray[np.float32], pts: float) -> None:
        """The network's output ``raw`` (C,) for a track at ``pts``, in order of time."""
        track = self._tracks.get(track_id)
        if track is None:
            track = self._tracks[track_id] = _Track(len(raw))
        track.add(raw, pts)

    def read(self, track_id: int, pts: float) -> tuple[Doubles, int]:
        """Smoothed probabilities (C,) and the label's index of a frame that was added, for each
        frame once and in order."""
        track = self._tracks[track_id]
        until = pts + self._back
        while len(track.means) < len(track.times) and track.times[len(track.means)] <= until:
            track.step(self._past, self._future, self._back)
        i = bisect_left(track.times, pts)
        result = track.means[i], track.labels[i]
        if i > KEPT:
            track.drop(min(bisect_right(track.times, pts - self._past), i))
        return result

    def forget(self, pts: float) -> None:
        """Drop tracks last added more than :data:`FORGET` seconds before ``pts``."""
        for track_id in [t for t, track in self._tracks.items() if pts - track.times[-1] > FORGET]:
            del self._tracks[track_id]


class _Track:
    """The outputs of one face, and the results so far."""

    __slots__ = ("_leader", "_rows", "_since", "labels", "means", "times")

    def __init__(self, classes: int) -> None:
        self.times: list[float] = []
        self.means: list[Doubles] = []
        """Smoothed probabilities of the first frames of ``times``."""
        self.labels: list[int] = []
        self._rows = np.empty((KEPT, classes))
        self._leader = -1
        """The emotion with the highest mean."""
        self._since = 0.0
        """When it took the lead."""

    def add(self, raw: NDArray[np.float32], pts: float) -> None:
        count = len(self.times)
        if count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[count] = raw
        self.times.append(pts)

    def step(self, past: float, future: float, back: float) -> None:
        """Smooth the next frame, and label it."""
        own = len(self.means)
        now = self.times[own]
        # The frame itself counts even if the window is shorter than the resolution of times.
        first = min(bisect_right(self.times, now - past), own)
        last = max(bisect_left(self.times, now + future), own + 1)
        away = np.array(self.times[first:last]) - now
        weights = 1 + np.cos(np.pi * away / np.where(away < 0, past, future))
        mean: Doubles = weights @ self._rows[first:last] / weights.sum()
        self.means.append(mean)
        best = int(mean.argmax())
        if best != self._leader:
            self._leader, self._since = best, now
        label = self.labels[-1] if self.labels else best
        clear = mean[best] - mean[label] > HYSTERESIS or now - self._since >= HOLD
        if best != label and clear:
            start = bisect_left(self.times, max(self._since, now - back))
            self.labels[start:] = [best] * max(0, len(self.labels) - start)
            label = best
        self.labels.append(label)

    def drop(self, count: int) -> None:
        """Drop the first ``count`` frames."""
        kept = len(self.times) - count
        self._rows[:kept] = self._rows[count : count + kept].copy()
        del self.times[:count], self.means[:count], self.labels[:count]
