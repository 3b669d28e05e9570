"""The loop over moving pictures: frames in, results out, in order, none left out.

Frames are taken in groups. A group ends where the detector has looked and every face it saw is
certain, so that faces which came into view in between can be carried back to where they appeared;
all faces of a group that changed go to the network in one batch. Of a live source each frame is a
group of its own.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.budget import Budget
from fastfer.capture import CameraOptions, Source, VideoFrame, open_source
from fastfer.capture.coming import ComingFrames
from fastfer.classifier import EmotionClassifier
from fastfer.crops import qualities, tilts
from fastfer.detectors import Detections, Detector
from fastfer.engine import Engine, default_engine
from fastfer.errors import FrameError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.preprocess import check_frame
from fastfer.tracking import AUTO, Auto, DetectPolicy, Observation, Step, Tracker, look_back
from fastfer.tracking.reuse import Reuse
from fastfer.tracking.smoothing import Smoother
from fastfer.video_results import VideoFace, VideoResult

SMOOTH: Final = 0.8
"""Seconds of smoothing by default."""
MAX_GROUP: Final = 48
"""Frames of a group at most; as many again may be read ahead of it."""
MAX_HELD: Final = 256 << 20
"""Bytes of frames held back and read ahead at most."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
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
class Counts:
    """What a run has done so far."""

    frames: int = 0
    faces: int = 0
    detections: int = 0
    classifications: int = 0
    cuts: int = 0


class Loop:
    """One run over one source; :meth:`run` may be called once."""

    def __init__(
        self, detector: Detector, classifier: EmotionClassifier, options: LoopOptions | None = None
    ) -> None:
        self.options = options or LoopOptions()
        self.counts = Counts()
        self.budget = None if self.options.budget_ms is None else Budget(self.options.budget_ms)
        self._detector = detector
        self._readings = _Readings(detector, classifier, self.options)

    def run(self, source: Source) -> Iterator[tuple[VideoFrame, VideoResult]]:
        """Every frame of ``source`` with its result.

        Raises:
            InputError: the source fails; all frames before have been given out.
            FrameError: a frame of wrong dtype, shape or memory layout.
        """
        for group in self._groups(source):
            look_back(group)
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

    def _groups(self, source: Source) -> Iterator[list[Step]]:
        ahead = not source.live and self.budget is None
        policy = DetectPolicy(self.options.detect_every, ahead=ahead)
        frames = ComingFrames(source)
        group: list[Step] = []
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
                        tracker.look_ahead(_searchable(frames, MAX_HELD - held))
                    looked = group[-1].detected and group[-1].settled
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


def _searchable(frames: ComingFrames, room: int) -> Iterator[VideoFrame]:
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
        self, detector: Detector, classifier: EmotionClassifier, options: LoopOptions
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self._reuse = Reuse(options.classify_every, scale=classifier.contract.scale)
        self._smoother = Smoother(options.smooth)
        self._min_quality = options.min_quality
        self._latest: dict[int, tuple[NDArray[np.float32], float]] = {}
        """By track: the last reading, and the quality of the face then."""

    def read(self, group: list[Step], counts: Counts) -> list[VideoResult]:
        """The results of consecutive frames."""
        fresh: list[NDArray[np.float32]] = []
        quality: list[float] = []
        plans: list[list[int | None]] = []
        for step in group:
            start = time.perf_counter()
            plan: list[int | None] = []
            found, crops, tiles = self._pack(step)
            for i, (face, tile) in enumerate(zip(step.faces, tiles, strict=True)):
                new = self._reuse.needs(face.track, tile, step.frame.pts)
                plan.append(len(fresh) if new else None)
                if new:
                    one, size = slice(i, i + 1), step.frame.image.shape[1::-1]
                    mask = np.arange(len(found)) == i
                    quality += qualities(found.take(mask), crops[one], tiles[one], size).tolist()
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
                    self._latest[face.track] = read[slot], round(quality[slot], 3)
                faces.append(self._face(face, step.frame.pts, classified=slot is not None))
            step.timings_ms["classify"] = each * sum(slot is not None for slot in plan)
            results.append(_result(step, tuple(faces), self._detector.name))
        self._forget(group[-1])
        return results

    def _pack(self, step: Step) -> tuple[Detections, NDArray[np.float32], NDArray[np.float32]]:
        """The faces of one frame, their crops and their tiles."""
        marks = [face.landmarks for face in step.faces if face.landmarks is not None]
        found = Detections(
            np.array([face.box for face in step.faces], np.float32).reshape(-1, 4),
            np.array([face.score for face in step.faces], np.float32),
            np.array(marks, np.float32) if marks and len(marks) == len(step.faces) else None,
        )
        crops = self._detector.framing.crops(found.boxes)
        angles = tilts(found.landmarks, len(found))
        return found, crops, self._classifier.pack(step.frame.image, crops, angles)

    def _face(self, face: Observation, pts: float, *, classified: bool) -> VideoFace:
        raw, quality = self._latest[face.track]
        smooth, label = self._smoother.update(face.track, raw, pts)
        probabilities = _named(smooth)
        marks = face.landmarks
        return VideoFace(
            box=tuple(face.box.round(2).tolist()),
            det_score=round(face.score, 4),
            emotion=EMOTIONS[label],
            score=probabilities[EMOTIONS[label]],
            probabilities=probabilities,
            landmarks=None if marks is None else tuple(map(tuple, marks.round(2).tolist())),
            quality=quality,
            low_quality=quality < self._min_quality,
            track=face.track,
            status="detected" if face.detected and not face.doubtful else "tracked",
            classified=classified,
            confirmed=face.confirmed,
            raw=_named(raw),
        )

    def _forget(self, step: Step) -> None:
        self._reuse.forget(step.frame.pts)
        self._smoother.forget(step.frame.pts)
        known = self._reuse.known
        for track in [track for track in self._latest if track not in known]:
            del self._latest[track]


def _named(probabilities: NDArray[Any]) -> dict[str, float]:
    """By emotion, rounded to a millionth."""
    return dict(zip(EMOTIONS, probabilities.astype(np.float64).round(6).tolist(), strict=True))


def _result(step: Step, faces: tuple[VideoFace, ...], detector: str) -> VideoResult:
    frame = step.frame
    timings = {stage: round(ms, 3) for stage, ms in step.timings_ms.items()}
    timings["total"] = round(sum(step.timings_ms.values()), 3)
    return VideoResult(
        faces=faces,
        width=frame.image.shape[1],
        height=frame.image.shape[0],
        timings_ms=timings,
        detector=detector,
        index=frame.index,
        pts=round(frame.pts, 6),
        detected=step.detected,
    )


def stream(
    source: int | str | os.PathLike[str] | Iterable[Any],
    *,
    engine: Engine | None = None,
    options: LoopOptions | None = None,
    camera: CameraOptions | None = None,
    **changes: Any,
) -> Iterator[VideoResult]:
    """The faces of every frame of a video, camera, stream, or of arrays, one result per frame.

        >>> for result in fastfer.stream("clip.mp4"):
        ...     print(result.pts, [(face.track, face.emotion) for face in result.faces])

    Args:
        source: what :func:`fastfer.capture.open_source` takes: a camera's number, a path, a URL, or
            an iterable of frames, which is taken for a recording: up to two seconds of it are read
            before the first of their results comes.
        engine: whose detector and network to use; by default one with default settings.
        options: how much work may be skipped.
        camera: how a camera or stream is opened; its ``fps`` also times pictures and arrays.
        changes: fields of :class:`LoopOptions`, in place of ``options``.

    Raises:
        InputError: the source cannot be opened, or fails; what came before has been given out.
        UsageError: an option out of its range.
    """
    if options is not None and changes:
        raise UsageError(f"give options, or {', '.join(changes)}; not both.")
    engine = engine or default_engine()
    options = options or LoopOptions(**{"min_quality": engine.min_quality} | changes)
    loop = Loop(engine.detector, engine.classifier, options)
    opened = open_source(source, camera)

    def results() -> Iterator[VideoResult]:
        with closing(opened):
            for _, result in loop.run(opened):
                yield result

    return results()


class _Callable(types.ModuleType):
    """Lets ``fastfer.stream(...)`` work whether or not this module was imported by its name, which
    puts the module in the function's place."""

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[VideoResult]:
        return stream(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
