"""Updating tracks with the detections of a frame."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detections import Detections
from fastfer.kernels.boxes import iou
from fastfer.tracking.association import associate
from fastfer.tracking.steadying import Steadying, drift_share, mean_share, step
from fastfer.tracking.track import (
    LOST_TRACK_MAX_AGE,
    MAX_MISSES,
    MIN_HITS,
    MIN_IOU,
    Box,
    Landmarks,
    Track,
    TrackedFrame,
    boxes_of,
)

GOOD_IOU: Final = 0.6
"""Overlap with its detection below which a track had drifted, so that detection runs sooner."""
LOW_CONFIDENCE_MAX_AGE: Final = 5.0
"""Seconds for which low-confidence detections alone keep a confirmed track alive."""


class TrackUpdater:
    """Matches detections to tracks, opens and drops tracks, and numbers them."""

    def __init__(
        self,
        *,
        every_frame: bool,
        steadying: Steadying = Steadying.MEAN,
        score_threshold: float | None = None,
    ) -> None:
        """Start without tracks.

        Args:
            every_frame: the detector runs on every frame, and only its faces are reported.
            steadying: how a detection moves a track.
            score_threshold: of a detector with scores from 0 to 1; ``None`` for other scores.
        """
        self._every_frame = every_frame
        self._steadying = steadying
        self._score_threshold = score_threshold
        self._next_id = 1

    def update(
        self,
        tracks: list[Track],
        found: Detections,
        low_confidence: Detections,
        tracked: TrackedFrame,
    ) -> tuple[list[Track], bool]:
        """Update ``tracks`` and fill in ``tracked.faces``, ``opened`` and ``corrections``.

        Confident detections match first, as in ByteTrack; low-confidence ones then keep confirmed
        tracks alive, but open none.

        Args:
            tracks: where flow carried them.
            found: faces above the detector's threshold.
            low_confidence: faces below it.
            tracked: the frame.

        Returns:
            The tracks that live on, and whether anything was unexpected: a track opened or drifted.
        """
        pts = tracked.frame.pts
        tracks = [t for t in tracks if not t.lost or _is_recent(t, pts, t.misses + 1)]
        boxes = found.boxes.astype(np.float64)
        pairs = dict(associate(boxes_of(tracks), boxes, MIN_IOU))
        eventful = False
        by_detection: dict[int, Track] = {}
        unmatched: list[Track] = []
        for i, track in enumerate(tracks):
            if i in pairs:
                eventful |= self._correct(track, found, pairs[i], tracked)
                track.score, track.last_detected = float(found.scores[pairs[i]]), pts
                track.hits += 1
                track.evidence += self._evidence(track.score)
                by_detection[pairs[i]] = track
            else:
                unmatched.append(track)
        for j in range(len(boxes)):
            if j not in by_detection:
                by_detection[j] = self._open(found, j, tracked)
                eventful = True
        recent = [
            t
            for t in unmatched
            if t.established and pts - t.last_detected <= LOW_CONFIDENCE_MAX_AGE
        ]
        weak = dict(associate(boxes_of(recent), low_confidence.boxes.astype(np.float64), MIN_IOU))
        for i, j in weak.items():
            eventful |= self._correct(recent[i], low_confidence, j, tracked)
        kept = [recent[i] for i in weak]
        missed = [track for track in unmatched if track not in kept]
        for track in missed:
            track.misses += 1
        missed = [track for track in missed if _is_kept(track, pts, boxes)]
        # In the detector's order, so that a frame analysed alone has the same rows.
        matched = [by_detection[j] for j in range(len(boxes))]
        tracked.faces = [track.face(detected=True) for track in matched]
        tracked.faces += [track.face(detected=True, low_confidence=True) for track in kept]
        if not self._every_frame:
            tracked.faces += [track.face(detected=False) for track in missed if track.visible]
        return matched + kept + missed, eventful

    def _open(self, found: Detections, j: int, tracked: TrackedFrame) -> Track:
        box, landmarks = _face(found, j)
        score = float(found.scores[j])
        evidence = self._evidence(score)
        pts = tracked.frame.pts
        track = Track(self._next_id, box, score, landmarks, pts, evidence=evidence)
        # The second stage replaces the detection; otherwise it is the first of a mean.
        track.measurements = int(self._steadying is not Steadying.REFINED)
        track.last_corrected = pts
        tracked.opened.append(self._next_id)
        self._next_id += 1
        return track

    def _evidence(self, score: float) -> float:
        """What one detection adds to :attr:`Track.evidence`."""
        threshold = self._score_threshold
        return 1.0 if threshold is None else (score - threshold) / (1 - threshold)

    def _correct(self, track: Track, found: Detections, j: int, tracked: TrackedFrame) -> bool:
        """Move ``track`` to detection ``j``, or towards it; True if it had drifted."""
        box, landmarks = _face(found, j)
        pts = tracked.frame.pts
        drifted = float(iou(track.box[None], box[None])[0, 0]) < GOOD_IOU
        if drifted or track.lost or self._steadying is Steadying.NONE:
            share = 1.0
        elif self._steadying is Steadying.REFINED:
            share = 0.0
        else:
            share = max(mean_share(track, pts), drift_share(track, box))
        correction = step(track, box, landmarks, share)
        if share and not drifted:
            tracked.corrections[track.track_id] = correction
        track.move(*correction.apply(track.box, track.landmarks), 0.0)
        if track.landmarks is None:
            track.landmarks = landmarks
        track.misses, track.lost = 0, False
        if share:
            track.last_corrected = pts
            track.measurements += 1
        return drifted


def _face(found: Detections, j: int) -> tuple[Box, Landmarks | None]:
    """Box and landmarks of a detection."""
    landmarks = None if found.landmarks is None else found.landmarks[j].astype(np.float64)
    return found.boxes[j].astype(np.float64), landmarks


def _is_kept(track: Track, pts: float, boxes: NDArray[np.float64]) -> bool:
    """Whether a track that the detector has just missed lives on."""
    if not track.established:
        return track.misses < MIN_HITS
    # A detection at the same place has taken over.
    taken = len(boxes) > 0 and iou(track.box[None], boxes).max() > MIN_IOU
    return _is_recent(track, pts, track.misses) and not taken


def _is_recent(track: Track, pts: float, misses: int) -> bool:
    """Whether a track that ``misses`` detections have missed by ``pts`` may still come back."""
    # By misses as well: with long intervals, two seconds contain few detections.
    return pts - track.last_detected <= LOST_TRACK_MAX_AGE or misses <= MAX_MISSES
