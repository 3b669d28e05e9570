"""Frames between two steps of optical flow, whose faces are placed by interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fastfer.tracking.track import TrackedFace, TrackedFrame

STEP: Final = 0.05
"""Seconds from one step of optical flow to the next at least. Frames that follow faster, as at 24
frames per second and more, are interpolated."""


def fill_between(
    before: Sequence[TrackedFace], since: float, between: Sequence[TrackedFrame], at: TrackedFrame
) -> None:
    """Place the faces of the frames ``between``.

    Args:
        before: faces of the last step, at the time ``since``.
        since: seconds.
        between: frames after it, in order.
        at: the next step. Faces that it lacks stay where they were.
    """
    later = {} if at.cut else {face.track_id: face for face in at.faces}
    for tracked in between:
        weight = (tracked.frame.pts - since) / (at.frame.pts - since)
        tracked.faces = [_between(face, later.get(face.track_id), weight) for face in before]


def _between(before: TrackedFace, after: TrackedFace | None, weight: float) -> TrackedFace:
    box, landmarks = before.box, before.landmarks
    if after is not None:
        box = box + weight * (after.box - box)
        if landmarks is not None and after.landmarks is not None:
            landmarks = landmarks + weight * (after.landmarks - landmarks)
    return replace(before, box=box, landmarks=landmarks, detected=False, low_confidence=False)
