"""When to run the detector."""

from __future__ import annotations

from typing import Final, Literal

Auto = Literal["auto"]
AUTO: Final[Auto] = "auto"

CONFIRMATION_INTERVAL: Final = 0.15
"""Seconds between detections at most while a face is unconfirmed."""
INITIAL_INTERVAL: Final = 0.3
"""Seconds between detections after an event."""
MAX_INTERVAL_LOOKAHEAD: Final = 0.9
"""Longest interval in seconds if frames can be held back: a new face is then tracked backwards to
where it appeared."""
MAX_INTERVAL_LIVE: Final = 0.4
"""Longest interval in seconds if results are returned at once: the delay of a new face."""
GROWTH: Final = 1.5
"""Growth of the interval with each detection without an event."""


class DetectionScheduler:
    """Decides from events and presentation times only, so results are deterministic unless a budget
    sets :attr:`min_frames`."""

    __slots__ = ("_frames", "_interval", "_last", "_max_interval", "every", "min_frames")

    def __init__(self, every: int | Auto = AUTO, *, lookahead: bool = True) -> None:
        """Detect on every ``every``-th frame, or adaptively; ``lookahead``: frames can be held
        back."""
        self.every = every
        self.min_frames = 1
        """Smallest number of frames between detections that a budget allows."""
        self._max_interval = MAX_INTERVAL_LOOKAHEAD if lookahead else MAX_INTERVAL_LIVE
        self._interval = INITIAL_INTERVAL
        self._frames = 0
        self._last: float | None = None

    @property
    def every_frame(self) -> bool:
        """Whether the detector runs on every frame, so that nothing is tracked by flow."""
        return self.every == 1

    def should_detect(self, pts: float, *, unconfirmed: bool, urgent: bool) -> bool:
        """Whether to run the detector on the next frame, at ``pts``.

        ``unconfirmed``: a face waits for its confirmation; ``urgent``: a face was lost or the scene
        has changed, so that only a budget can delay the detection.
        """
        self._frames += 1
        if urgent and self._last is not None and self._frames >= self.min_frames:
            return True
        return self.will_detect(0, pts, unconfirmed=unconfirmed)

    def skipped(self) -> None:
        """Count a frame that is not asked about."""
        self._frames += 1

    def will_detect(self, ahead: int, pts: float, *, unconfirmed: bool) -> bool:
        """Whether the detector will run on the frame at ``pts``, ``ahead`` frames after the current
        one, if nothing urgent happens before."""
        if self._last is None:
            return True
        frames = self._frames + ahead
        if frames < self.min_frames:
            return False
        if self.every != AUTO:
            return frames >= self.every
        interval = min(CONFIRMATION_INTERVAL, self._interval) if unconfirmed else self._interval
        # Half a millisecond of tolerance, for times that are rounded to milliseconds.
        return pts - self._last >= interval - 5e-4

    def detected(self, pts: float, *, eventful: bool) -> None:
        """Record a detection at ``pts``; ``eventful``: a face appeared, was lost or had drifted."""
        self._frames = 0
        self._last = pts
        if eventful:
            self._interval = INITIAL_INTERVAL
        else:
            self._interval = min(self._interval * GROWTH, self._max_interval)
