"""Faces through time: carried by flow, corrected by the detector, known by a number."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fastfer.detectors import Detections, Detector
from fastfer.io.frame_source import VideoFrame
from fastfer.kernels.boxes import iou
from fastfer.tracking import flow
from fastfer.tracking.association import associate
from fastfer.tracking.detection_prefetch import DetectionPrefetcher
from fastfer.tracking.scene_cut import CutDetector
from fastfer.tracking.scheduler import DetectionScheduler

Box = NDArray[np.float64]

MIN_IOU: Final = 0.3
"""Overlap of a track and a detection that may be the same face."""
GOOD_IOU: Final = 0.6
"""Overlap below which a track had gone astray, so that the next look comes sooner."""
MIN_INLIERS: Final = 0.5
"""Share of flow's points that must hold; below it the detector is asked at once."""
MAX_SHIFT: Final = 0.5
"""Of a face's side, between two frames; what moves farther is not the face."""
MAX_SCALE: Final = 1.4
"""Growth or shrinking between two frames."""
CONFIRMED: Final = 2
"""Detections that make a face certain."""
MAX_MISSES: Final = 3
"""Detections in a row that may overlook a certain face which flow still holds."""
LOW_CONFIDENCE_MAX_AGE: Final = 5.0
"""Seconds for which a detector that only doubts a face can keep it."""
LOST_TRACK_MAX_AGE: Final = 2.0
"""Seconds that a lost face is remembered, so that it gets its number back."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face in one frame."""

    track_id: int
    """Number of the face, from 1; the same through the whole recording."""
    box: Box
    """(4,) float64: x, y, width, height in pixels of the frame."""
    score: float
    """Of the detector, when it last saw the face."""
    landmarks: NDArray[np.float64] | None
    """(5, 2), carried along with the box."""
    detected: bool
    """Seen by the detector in this very frame; else carried by flow."""
    confirmed: bool
    """Whether the detector has seen it more than once, as far as is known."""
    doubtful: bool = False
    """``detected``, but with a score below the detector's own threshold."""


@dataclass(slots=True)
class TrackedFrame:
    """What tracking found in one frame."""

    frame: VideoFrame
    faces: list[TrackedFace]
    detected: bool
    """Whether the detector looked at this frame."""
    cut: bool
    """Whether a new scene begins here."""
    opened: list[int]
    """Tracks that begin here."""
    all_confirmed: bool
    """Whether every reported face is certain or refuted, so that nothing earlier will change."""
    corrections: dict[int, Box] = field(default_factory=dict)
    """By track, (4,): how far the detector moved what flow had carried here."""
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    score: float
    landmarks: NDArray[np.float64] | None
    seen: float
    hits: int = 1
    misses: int = 0
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """Of the centre, in pixels per second."""
    adrift: bool = False
    """Flow has lost it: the place is a guess by constant velocity."""

    @property
    def confirmed(self) -> bool:
        return self.hits >= CONFIRMED

    def move(self, box: Box, seconds: float) -> None:
        """Go to ``box``, which is reached ``seconds`` after the last."""
        if self.landmarks is not None:
            relative = (self.landmarks - self.box[:2]) / self.box[2:]
            self.landmarks = box[:2] + relative * box[2:]
        if seconds > 0:
            velocity = (box[:2] + box[2:] / 2 - self.box[:2] - self.box[2:] / 2) / seconds
            self.velocity = (self.velocity + velocity) / 2
        self.box = box

    def observed(self, *, detected: bool, doubtful: bool = False) -> TrackedFace:
        return TrackedFace(
            self.number, self.box, self.score, self.landmarks, detected, self.confirmed, doubtful
        )


class Tracker:
    """Follows the faces of one source; frames must come in order."""

    def __init__(self, detector: Detector, policy: DetectionScheduler) -> None:
        self._prefetcher = DetectionPrefetcher(detector)
        self._policy = policy
        self._cuts = CutDetector()
        self._tracks: list[_Track] = []
        self._patches: flow.Patches | None = None
        self._next = 1
        self._pts = 0.0

    def step(self, frame: VideoFrame) -> TrackedFrame:
        """Find the faces of the next frame."""
        start = time.perf_counter()
        cut = self._cuts.is_cut(frame.image)
        if cut:
            self._tracks.clear()
        astray = not self._policy.always and self._carry(frame)
        # Also before anything is told: what has left the frame cannot be cut out of it.
        self._tracks = [t for t in self._tracks if _inside(t.box, frame)]
        unconfirmed = self._unconfirmed()
        tracked = time.perf_counter()

        detect = self._policy.should_detect(
            frame.pts, unconfirmed=unconfirmed, urgent=cut or astray
        )
        step = TrackedFrame(frame, [], detect, cut, [], all_confirmed=True)
        if detect:
            eventful = self._detect(frame, step)
            self._policy.detected(frame.pts, eventful=eventful or cut or astray)
        else:
            self._prefetcher.skip(frame)
            step.faces = [t.observed(detected=False) for t in self._tracks if _shown(t)]
        detected = time.perf_counter()

        self._tracks = [t for t in self._tracks if _inside(t.box, frame)]
        if self._tracks and not self._policy.always:
            self._patches = flow.cut(frame.image, flow.windows(self._boxes()))
        self._pts = frame.pts
        step.all_confirmed = self._policy.always or all(t.confirmed for t in self._tracks)
        step.timings_ms = {
            "track": (tracked - start + time.perf_counter() - detected) * 1e3,
            "detect": (detected - tracked) * 1e3,
        }
        return step

    def prefetch(self, coming: Iterable[VideoFrame]) -> None:
        """Have the next frame searched, in a thread, that is due if nothing happens until then.

        ``coming`` are the frames after the last that :meth:`step` took, as far as they are known.
        """
        if self._policy.always or self._prefetcher.running_ahead:
            return
        for ahead, frame in enumerate(coming, start=1):
            if self._policy.will_detect(ahead, frame.pts, unconfirmed=self._unconfirmed()):
                self._prefetcher.submit(frame, doubt=self._may_doubt())
                return

    def close(self) -> None:
        """End what was begun ahead."""
        self._prefetcher.close()

    def _unconfirmed(self) -> bool:
        return any(not track.confirmed for track in self._tracks)

    def _may_doubt(self) -> bool:
        """Whether faces are known that a detector may be less sure of."""
        return bool(self._tracks) and not self._policy.always

    def _boxes(self) -> Box:
        return np.array([track.box for track in self._tracks]).reshape(-1, 4)

    def _carry(self, frame: VideoFrame) -> bool:
        """Move all tracks on to ``frame``; True if flow has just lost one."""
        if not self._tracks or self._patches is None:
            return False
        seconds = frame.pts - self._pts
        boxes = self._boxes()
        after = flow.cut(frame.image, flow.windows(boxes))
        astray = False
        for track, motion in zip(
            self._tracks, flow.carry(self._patches, after, boxes), strict=True
        ):
            if motion.inliers >= MIN_INLIERS and _plausible(track.box, motion.box):
                track.adrift = False if track.misses == 0 else track.adrift
                track.move(motion.box, seconds)
            else:
                astray |= not track.adrift
                track.adrift = True
                shift = np.concatenate([track.velocity * seconds, np.zeros(2)])
                track.move(track.box + shift, 0.0)
        return astray

    def _detect(self, frame: VideoFrame, step: TrackedFrame) -> bool:
        """Correct the tracks by what the detector sees; True if that was not as expected."""
        found, doubtful = self._prefetcher.result(frame, doubt=self._may_doubt())
        boxes = found.boxes.astype(np.float64)
        pairs = dict(associate(self._boxes(), boxes, MIN_IOU))
        eventful = False
        shown: dict[int, _Track] = {}
        rest: list[_Track] = []
        for i, track in enumerate(self._tracks):
            if i in pairs:
                eventful |= self._see(track, found, pairs[i], step)
                track.score, track.seen = float(found.scores[pairs[i]]), frame.pts
                track.hits += 1
                shown[pairs[i]] = track
            else:
                rest.append(track)
        for j in range(len(boxes)):
            if j not in shown:
                shown[j] = _Track(self._next, boxes[j], float(found.scores[j]), None, frame.pts)
                if found.landmarks is not None:
                    shown[j].landmarks = found.landmarks[j].astype(np.float64)
                step.opened.append(self._next)
                self._next += 1
                eventful = True
        # What the detector doubts is still seen where a certain face was, for a while.
        certain = [t for t in rest if t.confirmed and frame.pts - t.seen <= LOW_CONFIDENCE_MAX_AGE]
        where = np.array([track.box for track in certain]).reshape(-1, 4)
        believed = dict(associate(where, doubtful.boxes.astype(np.float64), MIN_IOU))
        for i, j in believed.items():
            eventful |= self._see(certain[i], doubtful, j, step)
        kept = [certain[i] for i in believed]
        missed = [track for track in rest if track not in kept]
        for track in missed:
            track.misses += 1
        missed = [t for t in missed if self._remembered(t, frame.pts, boxes)]
        # In the detector's order, so that every frame on its own gives the same rows.
        seen = [shown[j] for j in range(len(boxes))]
        step.faces = [track.observed(detected=True) for track in seen]
        step.faces += [track.observed(detected=True, doubtful=True) for track in kept]
        if not self._policy.always:
            step.faces += [t.observed(detected=False) for t in missed if _shown(t)]
        self._tracks = seen + kept + missed
        return eventful

    def _see(self, track: _Track, found: Detections, j: int, step: TrackedFrame) -> bool:
        """Correct ``track`` by one of what was ``found``; True if it had gone astray."""
        box = found.boxes[j].astype(np.float64)
        strayed = False
        if self._policy.always:
            track.move(box, step.frame.pts - self._pts)
        else:
            strayed = float(iou(track.box[None], box[None])[0, 0]) < GOOD_IOU
            if not strayed:
                step.corrections[track.number] = box - track.box
            track.move(box, 0.0)
        track.misses, track.adrift = 0, False
        if found.landmarks is not None:
            track.landmarks = found.landmarks[j].astype(np.float64)
        return strayed

    def _remembered(self, track: _Track, pts: float, found: Box) -> bool:
        """Whether a track that the detector has just missed is kept."""
        if track.confirmed:
            # What it shares its place with has taken it over.
            taken = len(found) > 0 and iou(track.box[None], found).max() > MIN_IOU
            # Where looks are rare, two seconds are hardly a chance to be seen again.
            return (
                pts - track.seen <= LOST_TRACK_MAX_AGE or track.misses <= MAX_MISSES
            ) and not taken
        return track.misses < CONFIRMED


def backfill(steps: list[TrackedFrame]) -> None:
    """Improve ``steps``, consecutive frames, by what became known at their end."""
    _correct(steps)
    _backfill(steps)


def _correct(steps: list[TrackedFrame]) -> None:
    """Spread each correction over the frames since the face was last detected.

    Flow drifts little by little, so a correction at the end was due, in part, before.
    """
    for at, step in enumerate(steps):
        for track, correction in step.corrections.items():
            since = at - 1
            while since >= 0 and not _detected(steps[since], track):
                since -= 1
            # ``since`` is -1 where it was the last frame of the steps before.
            for i in range(since + 1, at):
                share = (i - since) / (at - since)
                steps[i].faces = [
                    replace(f, box=f.box + share * correction) if f.track_id == track else f
                    for f in steps[i].faces
                ]


def _detected(step: TrackedFrame, track: int) -> bool:
    return any(face.track_id == track and face.detected for face in step.faces)


def _backfill(steps: list[TrackedFrame]) -> None:
    """Carry the faces that open within ``steps``, and were confirmed, back to where they came from.

    They are followed backwards by flow until it loses them, they leave the frame, run into a face
    that is known there, or the scene begins. What was seen of them before their confirmation counts
    as confirmed, too.
    """
    certain = {face.track_id for step in steps for face in step.faces if face.confirmed}
    for step in steps:
        step.faces = [replace(f, confirmed=f.track_id in certain) for f in step.faces]
    for at in range(len(steps) - 1, 0, -1):
        for face in steps[at].faces:
            if face.track_id in steps[at].opened and face.track_id in certain:
                _carry_back(steps[: at + 1], face)


def _carry_back(steps: list[TrackedFrame], face: TrackedFace) -> None:
    box, marks = face.box, face.landmarks
    for later, step in zip(steps[::-1], steps[-2::-1], strict=False):
        if later.cut:
            return
        where = flow.windows(box[None])
        before = flow.cut(later.frame.image, where)
        (motion,) = flow.carry(before, flow.cut(step.frame.image, where), box[None])
        if motion.inliers < MIN_INLIERS or not _plausible(box, motion.box):
            return
        if marks is not None:
            marks = motion.box[:2] + (marks - box[:2]) / box[2:] * motion.box[2:]
        box = motion.box
        known = np.array([other.box for other in step.faces]).reshape(-1, 4)
        if not _inside(box, step.frame) or (iou(box[None], known) > MIN_IOU).any():
            return
        step.faces.append(
            TrackedFace(face.track_id, box, face.score, marks, detected=False, confirmed=True)
        )


def _shown(track: _Track) -> bool:
    """Whether a track that was not detected in this frame is reported all the same."""
    if track.misses == 0:
        return True
    return track.confirmed and not track.adrift and track.misses <= MAX_MISSES


def _plausible(old: Box, new: Box) -> bool:
    shift = np.abs(new[:2] + new[2:] / 2 - old[:2] - old[2:] / 2)
    scale = new[2] / old[2]
    return bool((shift < MAX_SHIFT * old[2:]).all()) and 1 / MAX_SCALE < scale < MAX_SCALE


def _inside(box: Box, frame: VideoFrame) -> bool:
    """Whether the middle of ``box`` lies in the frame, and it is large enough to follow."""
    height, width = frame.image.shape[:2]
    x, y = box[:2] + box[2:] / 2
    return bool(0 <= x < width and 0 <= y < height and box[2:].min() >= 4)
