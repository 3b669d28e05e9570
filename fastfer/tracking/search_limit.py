"""How finely the frames of a video are searched: the smallest face in view decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastfer.tracking.track import Track, boxes_of

FINEST: Final = (384, 640, 960, 1280, 1920)
"""Choices for the long side in pixels of the finest scale; few, so that it seldom changes."""
MIN_STEP: Final = 1.5
"""Frames with a long side of less than this times the first scale are searched at that only."""
MIN_FACE_SIDE: Final = 20.0
"""Side in searched pixels that the smallest face has at the finest scale."""
PHOTO_INTERVAL: Final = 10.0
"""Seconds from one frame that is searched like a photo to the next."""
MAX_BUDGET_INTERVAL: Final = 8
"""Frames between detections from which a time budget leaves no time for finer scales."""


class SearchLimit:
    """Chooses the finest scale of each detection, from tracks, presentation times and budget.

    The first detection of a scene, and one every :data:`PHOTO_INTERVAL` seconds, are not limited:
    they find faces that are too small for the first scale of the others.
    """

    def __init__(self) -> None:
        self._finest = FINEST[0]
        self._last_photo: float | None = None

    def finest(self, pts: float, long_side: int, min_frames: int = 1) -> int | None:
        """Long side in pixels of the finest scale for a frame; ``None`` for no limit.

        Args:
            pts: the frame's time in seconds.
            long_side: of the frame in pixels.
            min_frames: fewest frames between detections that the time budget allows.
        """
        if min_frames > MAX_BUDGET_INTERVAL or long_side < MIN_STEP * FINEST[0]:
            return FINEST[0]
        if self._last_photo is None or pts - self._last_photo >= PHOTO_INTERVAL:
            return None
        return self._finest

    def detected(
        self, tracks: Sequence[Track], pts: float, long_side: int, *, finest: int | None
    ) -> None:
        """Record a detection with limit ``finest`` in a frame of ``long_side`` pixels, and the
        tracks after it."""
        if finest is None:
            self._last_photo = pts
        sides = boxes_of(tracks)[:, 2:].prod(axis=1) ** 0.5
        needed = MIN_FACE_SIDE / max(1.0, float(sides.min())) * long_side if len(sides) else 0.0
        self._finest = next((side for side in FINEST if side >= needed), FINEST[-1])

    def cut(self) -> None:
        """A new scene begins."""
        self._last_photo = None
