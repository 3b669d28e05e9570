"""Probabilities that do not flicker: averaged over a span of time, with a label that holds on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

HYSTERESIS: Final = 0.1
"""Probability by which another emotion must lead for the label to change at once."""
HOLD: Final = 1.0
"""Seconds for which it must lead by less. So the label never depends on what was long ago."""
FORGET: Final = 10.0
"""Seconds after which a face that was not seen is forgotten."""


@dataclass(slots=True)
class _State:
    probabilities: NDArray[np.float64]
    label: int
    pts: float
    rival: int
    """The emotion that leads by now; the label itself where none other does."""
    since: float
    """When it took the lead."""


class Smoother:
    """Exponential averages per track. The time constant is in seconds, so that the frame rate does
    not matter; 0 passes everything through."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._states: dict[int, _State] = {}

    def update(
        self, track: int, raw: NDArray[np.float32], pts: float
    ) -> tuple[NDArray[np.float64], int]:
        """Smoothed probabilities (7,) and the label's number, for ``raw`` (7,) read at ``pts``."""
        now = raw.astype(np.float64)
        best = int(now.argmax())
        state = self._states.get(track)
        if self._seconds <= 0:
            return now, best
        if state is None:
            self._states[track] = _State(now, best, pts, best, pts)
            return now, best
        share = -math.expm1(-max(0.0, pts - state.pts) / self._seconds)
        state.probabilities = state.probabilities + share * (now - state.probabilities)
        state.pts = pts
        best = int(state.probabilities.argmax())
        if best != state.rival:
            state.rival, state.since = best, pts
        lead = state.probabilities[best] - state.probabilities[state.label]
        if lead > HYSTERESIS or pts - state.since >= HOLD:
            state.label = best
        return state.probabilities, state.label

    def forget(self, pts: float) -> None:
        """Drop what belongs to faces gone long before ``pts``."""
        for track in [t for t, s in self._states.items() if pts - s.pts > FORGET]:
            del self._states[track]
