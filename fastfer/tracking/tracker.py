"""Following faces through a video: flow between detections, one id per face."""

from __future__ import annotations

import time
from collections.abc import Iterable

from fastfer.detectors import Detector
from fastfer.detectors.network import NetworkDetector
from fastfer.io.frame_source import VideoFrame
from fastfer.tracking import flow
from fastfer.tracking.detection_prefetch import DetectionPrefetcher
from fastfer.tracking.interpolation import STEP, fill_between
from fastfer.tracking.scene_cut import CutDetector
from fastfer.tracking.scheduler import DetectionScheduler
from fastfer.tracking.search_limit import SearchLimit
from fastfer.tracking.steadying import Steadying, TrackRefiner
from fastfer.tracking.track import (
    MIN_INLIERS,
    Track,
    TrackedFace,
    TrackedFrame,
    boxes_of,
    is_inside,
    is_plausible,
)
from fastfer.tracking.track_update import TrackUpdater


class FaceTracker:
    """Follows the faces of one source, whose frames must come in order."""

    def __init__(
        self,
        detector: Detector,
        scheduler: DetectionScheduler,
        *,
        interpolate: bool = False,
        steady: bool = True,
    ) -> None:
        """Start without tracks.

        Args:
            detector: finds the faces.
            scheduler: decides in which frames.
            interpolate: place the faces of frames that follow within :data:`STEP` seconds when the
                next step is known; :meth:`step` then fills in earlier frames.
            steady: average boxes and landmarks over time, along the motion of the face.
        """
        self._prefetcher = DetectionPrefetcher(detector)
        self._flows = steady or not scheduler.every_frame
        self.refiner = TrackRefiner(detector) if steady else None
        """Corrects tracks in every frame; ``None`` if not ``steady``."""
        self._scheduler = scheduler
        steadying = Steadying.NONE
        if self.refiner is not None:
            steadying = Steadying.REFINED if self.refiner.available else Steadying.MEAN
        self._updater = TrackUpdater(
            every_frame=scheduler.every_frame,
            steadying=steadying,
            score_threshold=_score_threshold(detector),
        )
        self._limit = SearchLimit()
        self._cuts = CutDetector()
        self._tracks: list[Track] = []
        self._pts = 0.0
        self._interpolate = interpolate and not scheduler.every_frame
        self._before: list[TrackedFace] | None = None
        """The faces of the last step."""
        self._between: list[TrackedFrame] = []
        """Frames since then."""

    def step(self, frame: VideoFrame, *, last: bool = False) -> TrackedFrame:
        """Find the faces of the next frame.

        Args:
            frame: the frame.
            last: whether no frame will follow that could complete an interpolation.
        """
        start = time.perf_counter()
        cut = self._cuts.is_cut(*frame.plane[:2])
        if not (cut or last) and self._is_between(frame):
            tracked = TrackedFrame(frame, [], False, False, interpolated=True)
            tracked.all_established = not self._any_unestablished()
            tracked.timings_ms = {"track": (time.perf_counter() - start) * 1e3, "detect": 0.0}
            self._scheduler.skipped()
            self._prefetcher.skip(frame)
            self._between.append(tracked)
            return tracked
        if cut:
            self._tracks.clear()
            self._limit.cut()
        urgent = self._flows and self._carry(frame)
        urgent |= cut
        # Before reporting: a face that has left the frame cannot be cropped.
        self._tracks = [t for t in self._tracks if is_inside(t.box, frame)]
        carried = time.perf_counter()

        detect = self._scheduler.should_detect(
            frame.pts, unconfirmed=self._any_unestablished(), urgent=urgent
        )
        tracked = TrackedFrame(frame, [], detect, cut)
        if detect:
            finest = self._finest(frame)
            found, low_confidence = self._prefetcher.result(
                frame, low_confidence=self._wants_low_confidence(), finest=finest
            )
            self._tracks, eventful = self._updater.update(
                self._tracks, found, low_confidence, tracked
            )
            self._scheduler.detected(frame.pts, eventful=eventful or urgent)
            long_side = max(frame.size)
            self._limit.detected(self._tracks, frame.pts, long_side, finest=finest)
        else:
            self._prefetcher.skip(frame)
            tracked.faces = [t.face(detected=False) for t in self._tracks if t.visible]
        detected = time.perf_counter()

        if self.refiner is not None:
            self.refiner.refine(frame, self._tracks)
            places = {t.track_id: (t.box, t.landmarks) for t in self._tracks}
            tracked.faces = [face.at(*places[face.track_id]) for face in tracked.faces]
        self._tracks = [t for t in self._tracks if is_inside(t.box, frame)]
        if self._flows:
            self._cut_patches(frame)
        if self._between:
            fill_between(self._before or [], self._pts, self._between, tracked)
            self._between = []
        self._before = tracked.faces
        self._pts = frame.pts
        tracked.all_established = self._scheduler.every_frame or not self._any_unestablished()
        tracked.timings_ms = {
            "track": (carried - start + time.perf_counter() - detected) * 1e3,
            "detect": (detected - carried) * 1e3,
        }
        return tracked

    def _is_between(self, frame: VideoFrame) -> bool:
        """Whether ``frame`` follows the last step so fast that it is interpolated."""
        if not self._interpolate or self._before is None or frame.pts - self._pts >= STEP - 1e-3:
            return False
        unconfirmed = self._any_unestablished()
        return not self._scheduler.will_detect(1, frame.pts, unconfirmed=unconfirmed)

    def prefetch(self, coming: Iterable[VideoFrame]) -> None:
        """Start the next scheduled detection in a thread.

        ``coming`` are the frames after the last one of :meth:`step`, as far as they are known.
        """
        if self._scheduler.every_frame or self._prefetcher.pending:
            return
        unconfirmed = self._any_unestablished()
        for ahead, frame in enumerate(coming, start=1):
            if self._scheduler.will_detect(ahead, frame.pts, unconfirmed=unconfirmed):
                self._prefetcher.submit(
                    frame,
                    low_confidence=self._wants_low_confidence(),
                    finest=self._finest(frame),
                )
                return

    def close(self) -> None:
        """Drop a prefetched detection and end its thread."""
        self._prefetcher.close()

    def _any_unestablished(self) -> bool:
        return any(not track.established for track in self._tracks)

    def _wants_low_confidence(self) -> bool:
        """Low-confidence faces only keep known tracks alive."""
        return bool(self._tracks) and not self._scheduler.every_frame

    def _finest(self, frame: VideoFrame) -> int | None:
        """The limit of a detection on ``frame``. With detection in every frame there is none, so
        that each frame has the faces of a photo."""
        if self._scheduler.every_frame:
            return None
        long_side = max(frame.size)
        return self._limit.finest(frame.pts, long_side, self._scheduler.min_frames)

    def _carry(self, frame: VideoFrame) -> bool:
        """Move all tracks on to ``frame``; True if flow has just lost one."""
        if not self._tracks:
            return False
        seconds = frame.pts - self._pts
        boxes = boxes_of(self._tracks)
        after = flow.cut(frame.plane, flow.windows(boxes))
        any_lost = False
        before = [t.patch for t in self._tracks if t.patch is not None]
        motions = flow.carry(before, after, boxes)
        for track, motion in zip(self._tracks, motions, strict=True):
            if motion.inliers >= MIN_INLIERS and is_plausible(track.box, motion.box(track.box)):
                track.lost = track.lost and track.misses > 0
                track.carry(motion, seconds)
            else:
                any_lost |= not track.lost
                track.lost = True
                track.extrapolate(seconds)
        return any_lost

    def _cut_patches(self, frame: VideoFrame) -> None:
        """Renew the patches of all tracks but those that are still: of these the old one is kept,
        so that small changes add up."""
        moved = [track for track in self._tracks if track.patch is None or not track.still]
        if moved:
            patches = flow.cut(frame.plane, flow.windows(boxes_of(moved)))
            for track, patch in zip(moved, patches, strict=True):
                track.patch = patch


def _score_threshold(detector: Detector) -> float | None:
    """The detector's threshold, if its scores are known to be on a scale from 0 to 1."""
    if isinstance(detector, NetworkDetector) and detector.score_threshold < 1:
        return detector.score_threshold
    return None
