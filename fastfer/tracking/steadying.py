"""Keeping the boxes and landmarks of a track steady, so that its crops do not jitter.

Each detection has an error of one or two hundredths of the face, which changes the crop and with it
the output of the network. Flow is steadier from frame to frame, but it drifts. So a track follows
flow and takes a share of the difference to what is measured in each frame. A detector with a second
stage measures every face in every frame, others only when they search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Final

import numpy as np

from fastfer.detections import Detections
from fastfer.detectors import Detector, RefiningDetector
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking.track import Box, Correction, Landmarks, Track, boxes_of

STEADY: Final = 0.2
"""Seconds over which a track is averaged."""
INTERVAL: Final = 0.06
"""Smallest number of seconds from one measurement of a face to the next: at 25 frames per second
every other frame is measured."""
NOISE: Final = 0.04
DRIFT: Final = 0.12
"""Difference between a track and a measurement, in sides of the face, up to which it is taken for
an error of the measurement, and from which it is corrected in full."""
MIN_SCORE: Final = 0.2
"""Score below which the second stage has not seen a face, so that its box means nothing."""


class Steadying(Enum):
    """How a detection moves a track."""

    NONE = "none"
    """To the detection."""
    MEAN = "mean"
    """Towards the mean of the last detections."""
    REFINED = "refined"
    """Only if it has drifted: the second stage corrects it in every frame."""


def mean_share(track: Track, pts: float) -> float:
    """The share of a difference, 0 to 1, that makes ``track`` the mean of its first measurements,
    later their moving average over :data:`STEADY` seconds."""
    elapsed = abs(pts - track.last_corrected)  # Backfilling goes back in time.
    return max(1 / (1 + track.measurements), -math.expm1(-elapsed / STEADY))


def drift_share(track: Track, box: Box) -> float:
    """The share of the difference to a measured box that is too large for an error."""
    difference = box - track.box
    centre = difference[:2] + difference[2:] / 2
    side = math.sqrt(float(track.box[2:].prod()))
    distance = max(float(np.abs(centre).max()), float(np.abs(difference[2:]).max())) / side
    return min(1.0, max(0.0, (distance - NOISE) / (DRIFT - NOISE)))


def step(track: Track, box: Box, landmarks: Landmarks | None, share: float) -> Correction:
    """``share`` of the way from ``track`` to what was measured."""
    marks = None
    if landmarks is not None and track.landmarks is not None:
        marks = share * (landmarks - track.landmarks)
    return Correction(share * (box - track.box), marks)


class TrackRefiner:
    """Corrects tracks in every frame by the second stage of a detector, if it has one."""

    def __init__(self, detector: Detector) -> None:
        self._detector: RefiningDetector | None = None
        if isinstance(detector, RefiningDetector) and detector.can_refine:
            self._detector = detector

    @property
    def available(self) -> bool:
        """Whether :meth:`refine` does anything."""
        return self._detector is not None

    def refine(self, frame: VideoFrame, tracks: Sequence[Track]) -> None:
        """Correct those of ``tracks``, which flow has carried to ``frame``, that are due."""
        detector = self._detector
        tracks = [track for track in tracks if _is_due(track, frame.pts)]
        if detector is None or not tracks:
            return
        given = Detections(
            boxes_of(tracks).astype(np.float32),
            np.full(len(tracks), 0.5, np.float32),
            np.array([track.landmarks for track in tracks], np.float32),
        )
        pixels, scale, bias = frame.plane
        refined = detector.refine(pixels, given, scale, bias)
        if len(refined) != len(tracks) or refined.landmarks is None:
            return  # Rare: a box so large that it cannot be cropped.
        good = np.isfinite(refined.boxes).all(axis=1) & (refined.boxes[:, 2:] > 0).all(axis=1)
        good &= refined.scores >= MIN_SCORE
        for track, box, marks, usable in zip(
            tracks,
            refined.boxes.astype(np.float64),
            refined.landmarks.astype(np.float64),
            good,
            strict=True,
        ):
            if usable:
                share = max(mean_share(track, frame.pts), drift_share(track, box))
                track.move(*step(track, box, marks, share).apply(track.box, track.landmarks), 0.0)
                track.last_corrected = frame.pts
                track.measurements += 1


def _is_due(track: Track, pts: float) -> bool:
    """Whether a measurement of ``track`` would add something."""
    if track.landmarks is None or track.lost or track.converged:
        return False
    return not track.measurements or abs(pts - track.last_corrected) >= INTERVAL
