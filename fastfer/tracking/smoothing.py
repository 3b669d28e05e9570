"""Smoothing probabilities over time, with hysteresis for the label."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

HYSTERESIS: Final = 0.1
"""Lead in probability with which another emotion takes over the label at once."""
HOLD: Final = 2.0
"""Seconds after which a smaller lead takes over, so that old frames cannot hold the label."""
FORGET: Final = 10.0
"""Seconds without an update after which a track is forgotten."""


@dataclass(slots=True)
class _State:
    probabilities: NDArray[np.float64]
    label: int
    pts: float
    start: float
    """When the average began."""
    rival: int
    """The emotion with the highest probability; the label itself if no other leads."""
    since: float
    """When it took the lead."""


class Smoother:
    """Exponential moving averages per track, independent of the frame rate."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` is the time constant; 0 turns smoothing and hysteresis off."""
        self._seconds = seconds
        self._states: dict[int, _State] = {}

    def update(
        self, track_id: int, raw: NDArray[np.float32], pts: float
    ) -> tuple[NDArray[np.float64], int]:
        """Smoothed probabilities (7,) and the label's index, for ``raw`` (7,) at ``pts``."""
        now = raw.astype(np.float64)
        best = int(now.argmax())
        state = self._states.get(track_id)
        if self._seconds <= 0:
            return now, best
        if state is None:
            self._states[track_id] = _State(now, best, pts, pts, best, pts)
            return now, best
        weight = self._weight(state, pts)
        state.probabilities = state.probabilities + weight * (now - state.probabilities)
        state.pts = pts
        best = int(state.probabilities.argmax())
        if best != state.rival:
            state.rival, state.since = best, pts
        lead = state.probabilities[best] - state.probabilities[state.label]
        if lead > HYSTERESIS or pts - state.since >= HOLD:
            state.label = best
        return state.probabilities, state.label

    def _weight(self, state: _State, pts: float) -> float:
        """The weight of a new output: at first that of a mean of all, so that the first frame,
        which often shows a part of the face, does not count more than the others."""
        elapsed = max(0.0, pts - state.pts)
        decay = -math.expm1(-elapsed / self._seconds)
        age = max(elapsed, pts - state.start)
        return max(decay, elapsed / (age + elapsed)) if elapsed else decay

    def forget(self, pts: float) -> None:
        """Drop tracks last updated more than :data:`FORGET` seconds before ``pts``."""
        for track_id in [t for t, s in self._states.items() if pts - s.pts > FORGET]:
            del self._states[track_id]
