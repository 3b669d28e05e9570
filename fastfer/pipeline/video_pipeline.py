"""The loop over moving pictures: frames in, results out, in order, none left out.

Frames are taken in groups. A group ends where the detector has looked and every face it saw is
certain, so that faces which came into view in between can be carried back to where they appeared;
all faces of a group that changed go to the network in one batch. Of a live source each frame is a
group of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.base import Classifier
from fastfer.crops import quality_scores, roll_angles
from fastfer.detectors import Detections, Detector
from fastfer.engine import Engine, default_engine
from fastfer.errors import FrameError, UsageError
from fastfer.io.frame_source import FrameSource, VideoFrame
from fastfer.io.lookahead import LookaheadFrames
from fastfer.io.open_source import CameraOptions, open_source
from fastfer.kernels.pack import check_frame
from fastfer.labels import EMOTIONS
from fastfer.pipeline.budget import Budget
from fastfer.results import Face, VideoFrameResult
from fastfer.tracking import (
    AUTO,
    Auto,
    DetectionScheduler,
    TrackedFace,
    TrackedFrame,
    Tracker,
    backfill,
)
from fastfer.tracking.change_detector import ChangeDetector
from fastfer.tracking.smoothing import Smoother

SMOOTH: Final = 0.8
"""Seconds of smoothing by default."""
MAX_GROUP: Final = 48
"""Frames of a group at most; as many again may be read ahead of it."""
MAX_HELD: Final = 256 << 20
"""Bytes of frames held back and read ahead at most."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How much work may be skipped."""

    detect_every: int | Auto = AUTO
    """Frames between detections; with 1 the detector has the only word and nothing is carried."""
    classify_every: int | Auto = AUTO
    """Frames between readings of a face; ``auto`` reads when its crop has changed."""
    smooth: float = SMOOTH
    """Time constant of smoothing in seconds; 0 is none, and no hysteresis."""
    budget_ms: float | None = None
    """Milliseconds per frame to keep within; makes results depend on the speed of the machine."""
    min_quality: float = 0.0
    """Faces of lower quality, 0 to 1, are marked as such; see :class:`fastfer.results.Face`."""

    def __post_init__(self) -> None:
        for name, every in (("detect", self.detect_every), ("classify", self.classify_every)):
            if every != AUTO and (not isinstance(every, int) or every < 1):
                raise UsageError(f"{name}_every must be 1 or more, or 'auto'; got {every!r}.")
        if not 0 <= self.smooth < float("inf"):
            raise UsageError(f"smooth must be 0 seconds or more; got {self.smooth}.")
        if not 0 <= self.min_quality <= 1:
            raise UsageError(f"min_quality must be 0 to 1; got {self.min_quality}.")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise UsageError(f"budget_ms must be above 0; got {self.budget_ms}.")


@dataclass(slots=True)
class RunCounters:
    """What a run has done so far."""

    frames: int = 0
    faces: int = 0
    detections: int = 0
    classifications: int = 0
    cuts: int = 0


class VideoPipeline:
    """One run over one source; :meth:`run` may be called once."""

    def __init__(
        self, detector: Detector, classifier: Classifier, options: VideoOptions | None = None
    ) -> None:
        self.options = options or VideoOptions()
        self.counts = RunCounters()
        self.budget = None if self.options.budget_ms is None else Budget(self.options.budget_ms)
        self._detector = detector
        self._readings = _Readings(detector, classifier, self.options)

    def run(self, source: FrameSource) -> Iterator[tuple[VideoFrame, VideoFrameResult]]:
        """Every frame of ``source`` with its result.

        Raises:
            InputError: the source fails; all frames before have been given out.
            FrameError: a frame of wrong dtype, shape or memory layout.
        """
        for group in self._groups(source):
            backfill(group)
            for step, result in zip(group, self._readings.read(group, self.counts), strict=True):
                self.counts.frames += 1
                self.counts.faces += len(result.faces)
                self.counts.detections += step.detected
                self.counts.cuts += step.cut
                if self.budget is not None:
                    detect = result.timings_ms["detect"]
                    rest = result.timings_ms["total"] - detect
                    self.budget.spent(detect if step.detected else None, rest)
                yield step.frame, result
            group.clear()  # While the next frames gather, these need no memory.

    def _groups(self, source: FrameSource) -> Iterator[list[TrackedFrame]]:
        ahead = not source.live and self.budget is None
        policy = DetectionScheduler(self.options.detect_every, ahead=ahead)
        frames = LookaheadFrames(source)
        group: list[TrackedFrame] = []
        held = 0
        with closing(Tracker(self._detector, policy)) as tracker:
            try:
                for frame in frames:
                    check_frame(frame.image)
                    if self.budget is not None:
                        policy.at_least = self.budget.interval
                    group.append(tracker.step(frame))
                    held += frame.image.nbytes
                    if ahead:
                        tracker.prefetch(_searchable(frames, MAX_HELD - held))
                    looked = group[-1].detected and group[-1].all_confirmed
                    if looked or not ahead or len(group) >= MAX_GROUP or held >= MAX_HELD:
                        yield group
                        group, held = [], 0
            except Exception:
                # What was found before the failure is still good.
                if group:
                    yield group
                raise
            if group:
                yield group


def _searchable(frames: LookaheadFrames, room: int) -> Iterator[VideoFrame]:
    """The frames to come that the detector may be given, as far as ``room`` bytes can hold them."""
    for frame in islice(frames.coming(), MAX_GROUP):
        try:
            check_frame(frame.image)
        except FrameError:  # Raised again where the frame has its turn.
            return
        room -= frame.image.nbytes
        if room < 0:
            return
        yield frame


class _Readings:
    """Turns faces into results: packs them, reads the changed ones in one batch, smooths."""

    def __init__(
        self, detector: Detector, classifier: Classifier, options: VideoOptions
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self._reuse = ChangeDetector(options.classify_every, scale=classifier.contract.scale)
        self._smoother = Smoother(options.smooth)
        self._min_quality = options.min_quality
        self._latest: dict[int, tuple[NDArray[np.float32], float]] = {}
        """By track: the last reading, and the quality of the face then."""

    def read(self, group: list[TrackedFrame], counts: RunCounters) -> list[VideoFrameResult]:
        """The results of consecutive frames."""
        fresh: list[NDArray[np.float32]] = []
        quality: list[float] = []
        plans: list[list[int | None]] = []
        for step in group:
            start = time.perf_counter()
            plan: list[int | None] = []
            found, crops, tiles = self._pack(step)
            for i, (face, tile) in enumerate(zip(step.faces, tiles, strict=True)):
                new = self._reuse.should_classify(face.track_id, tile, step.frame.pts)
                plan.append(len(fresh) if new else None)
                if new:
                    one, size = slice(i, i + 1), step.frame.image.shape[1::-1]
                    mask = np.arange(len(found)) == i
                    quality += quality_scores(
                        found.take(mask), crops[one], tiles[one], size
                    ).tolist()
                    fresh.append(tile)
            plans.append(plan)
            step.timings_ms["pack"] = (time.perf_counter() - start) * 1e3

        start = time.perf_counter()
        read = self._classifier.predict(np.stack(fresh)) if fresh else np.empty((0, 7), np.float32)
        each = (time.perf_counter() - start) * 1e3 / max(1, len(fresh))
        counts.classifications += len(fresh)

        results = []
        for step, plan in zip(group, plans, strict=True):
            faces = []
            for face, slot in zip(step.faces, plan, strict=True):
                if slot is not None:
                    self._latest[face.track_id] = read[slot], round(quality[slot], 3)
                faces.append(self._face(face, step.frame.pts, classified=slot is not None))
            step.timings_ms["classify"] = each * sum(slot is not None for slot in plan)
            results.append(_result(step, tuple(faces), self._detector.name))
        self._forget(group[-1])
        return results

    def _pack(
        self, step: TrackedFrame
    ) -> tuple[Detections, NDArray[np.float32], NDArray[np.float32]]:
        """The faces of one frame, their crops and their tiles."""
        marks = [face.landmarks for face in step.faces if face.landmarks is not None]
        found = Detections(
            np.array([face.box for face in step.faces], np.float32).reshape(-1, 4),
            np.array([face.score for face in step.faces], np.float32),
            np.array(marks, np.float32) if marks and len(marks) == len(step.faces) else None,
        )
        crops = self._detector.crop_calibration.crops(found.boxes)
        angles = roll_angles(found.landmarks, len(found))
        return found, crops, self._classifier.pack(step.frame.image, crops, angles)

    def _face(self, face: TrackedFace, pts: float, *, classified: bool) -> Face:
        raw, quality = self._latest[face.track_id]
        smooth, label = self._smoother.update(face.track_id, raw, pts)
        probabilities = _named(smooth)
        marks = face.landmarks
        low = quality < self._min_quality
        return Face(
            box=tuple(face.box.round(2).tolist()),
            detection_score=round(face.score, 4),
            emotion=None if low else EMOTIONS[label],
            score=None if low else probabilities[EMOTIONS[label]],
            probabilities=probabilities,
            landmarks=None if marks is None else tuple(map(tuple, marks.round(2).tolist())),
            quality=quality,
            low_quality=low,
            track_id=face.track_id,
            status="detected" if face.detected and not face.doubtful else "tracked",
            classified=classified,
            confirmed=face.confirmed,
            raw_probabilities=_named(raw),
        )

    def _forget(self, step: TrackedFrame) -> None:
        self._reuse.forget(step.frame.pts)
        self._smoother.forget(step.frame.pts)
        known = self._reuse.known
        for track in [track for track in self._latest if track not in known]:
            del self._latest[track]


def _named(probabilities: NDArray[Any]) -> dict[str, float]:
    """By emotion, rounded to a millionth."""
    return dict(zip(EMOTIONS, probabilities.astype(np.float64).round(6).tolist(), strict=True))


def _result(step: TrackedFrame, faces: tuple[Face, ...], detector: str) -> VideoFrameResult:
    frame = step.frame
    timings = {stage: round(ms, 3) for stage, ms in step.timings_ms.items()}
    timings["total"] = round(sum(step.timings_ms.values()), 3)
    return VideoFrameResult(
        faces=faces,
        width=frame.image.shape[1],
        height=frame.image.shape[0],
        timings_ms=timings,
        detector=detector,
        frame_index=frame.index,
        pts=round(frame.pts, 6),
        detected=step.detected,
    )


def stream(
    source: int | str | os.PathLike[str] | Iterable[Any],
    *,
    engine: Engine | None = None,
    options: VideoOptions | None = None,
    camera: CameraOptions | None = None,
    **changes: Any,
) -> Iterator[VideoFrameResult]:
    """The faces of every frame of a video, camera, stream, or of arrays, one result per frame.

        >>> for result in fastfer.pipeline.video_pipeline("clip.mp4"):
        ...     print(result.pts, [(face.track_id, face.emotion) for face in result.faces])

    Args:
        source: what :func:`fastfer.io.open_source` takes: a camera's number, a path, a URL, or
            an iterable of frames, which is taken for a recording: up to two seconds of it are read
            before the first of their results comes.
        engine: whose detector and network to use; by default one with default settings.
        options: how much work may be skipped.
        camera: how a camera or stream is opened; its ``fps`` also times pictures and arrays.
        changes: fields of :class:`VideoOptions`, in place of ``options``.

    Raises:
        InputError: the source cannot be opened, or fails; what came before has been given out.
        UsageError: an option out of its range.
    """
    if options is not None and changes:
        raise UsageError(f"give options, or {', '.join(changes)}; not both.")
    engine = engine or default_engine()
    options = options or VideoOptions(**{"min_quality": engine.min_quality} | changes)
    loop = VideoPipeline(engine.detector, engine.classifier, options)
    opened = open_source(source, camera)

    def results() -> Iterator[VideoFrameResult]:
        with closing(opened):
            for _, result in loop.run(opened):
                yield result

    return results()
