"""The video pipeline: frames in, one result per frame out, in order.

Frames of a recording are processed in groups. A group ends at a detection frame after which every
face is confirmed, so that a face that appeared between two detection frames can be traced back to
its first frame, and all faces of the group are classified in one batch. For live sources
each frame is a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from fastfer.errors import FrameError, UsageError
from fastfer.io.frame_source import FrameSource, VideoFrame
from fastfer.io.lookahead import LookaheadFrames
from fastfer.kernels.pack import check_frame
from fastfer.pipeline.budget import Budget
from fastfer.pipeline.track_classifier import TrackClassifier
from fastfer.results import Face, VideoFrameResult
from fastfer.tracking import (
    AUTO,
    Auto,
    DetectionScheduler,
    FaceTracker,
    TrackedFrame,
    backfill,
)
from fastfer.validation import check_integer, check_names, check_positive, check_range

if TYPE_CHECKING:
    from fastfer.engine import Engine

SMOOTH: Final = 0.5
"""Default time constant of smoothing in seconds."""
MAX_GROUP: Final = 48
"""Most frames in a group; as many again may be read ahead."""
MAX_HELD: Final = 256 << 20
"""Most bytes of frames held in a group and read ahead."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How often to detect and classify in a video, and how much to smooth the results."""

    detect_every: int | Auto = AUTO
    """Frames from one detection to the next. 1 detects in every frame and does not track; ``auto``
    adapts to what happens in the frames."""
    classify_every: int | Auto = 1
    """Frames from one classification of a face to the next; a crop that is identical to the one
    before is not classified again. ``auto`` classifies a face when its crop has changed by more
    than noise, and of recordings at 24 frames per second and more tracks it in every other frame.
    """
    smooth: float = SMOOTH
    """Time constant in seconds of the average over time. In recordings the average looks as far
    ahead as back, so that it delays nothing. 0 disables smoothing and hysteresis, and leaves boxes
    and landmarks as they were detected."""
    budget_ms: float | None = None
    """Limit of the mean milliseconds per frame, held by detecting less often; the default of
    ``classify_every`` is then ``auto``. Results depend on the speed of the machine."""

    def __post_init__(self) -> None:
        if self.detect_every != AUTO:
            check_integer(detect_every=(self.detect_every, 1))
        if self.classify_every != AUTO:
            check_integer(classify_every=(self.classify_every, 1))
        check_range(smooth=(self.smooth, 0))
        if self.budget_ms is not None:
            check_positive(budget_ms=self.budget_ms)

    @property
    def classification_interval(self) -> int | Auto:
        """:attr:`classify_every` as it is applied."""
        within_budget = self.budget_ms is not None and self.classify_every == 1
        return AUTO if within_budget else self.classify_every

    @classmethod
    def merge(cls, options: VideoOptions | None, changes: Mapping[str, Any]) -> VideoOptions:
        """``options``, or the defaults, with some fields replaced.

        Raises:
            UsageError: a name that is not a field, or a value of another type or out of range.
        """
        if options is not None and not isinstance(options, cls):
            raise UsageError(
                f"options must be fastfer.VideoOptions; got {type(options).__name__}; pass single "
                "options by name, such as detect_every=5",
                code="out_of_range",
            )
        check_names("video options", changes, [field.name for field in fields(cls)])
        return replace(options or cls(), **changes)


@dataclass(slots=True)
class RunCounters:
    """What a run has done so far."""

    frames: int = 0
    faces: int = 0
    """Faces in all results together."""
    detections: int = 0
    """Frames in which the detector ran."""
    classifications: int = 0
    """Faces that the network classified."""
    cuts: int = 0
    """Scene changes."""


class VideoPipeline:
    """Processes one video: by :meth:`run`, once, or frame by frame with :meth:`update`."""

    def __init__(self, engine: Engine, options: VideoOptions | None = None) -> None:
        self.options = options or VideoOptions()
        self.counters = RunCounters()
        self.budget = None if self.options.budget_ms is None else Budget(self.options.budget_ms)
        self._engine = engine
        self._recording = False
        self._source_name = ""

    @cached_property
    def _classifier(self) -> TrackClassifier:
        # Not in the constructor: the network may still be loading.
        return TrackClassifier(self._engine.reader, self.options, lookahead=self._recording)

    @cached_property
    def _live(self) -> tuple[FaceTracker, DetectionScheduler]:
        return self._new_tracker(lookahead=False)

    def _new_tracker(self, *, lookahead: bool) -> tuple[FaceTracker, DetectionScheduler]:
        scheduler = DetectionScheduler(self.options.detect_every, lookahead=lookahead)
        tracker = FaceTracker(
            self._engine.detector,
            scheduler,
            interpolate=lookahead and self.options.classification_interval == AUTO,
            steady=self.options.smooth > 0,
        )
        return tracker, scheduler

    def run(self, source: FrameSource) -> Iterator[tuple[VideoFrame, VideoFrameResult]]:
        """Every frame of ``source`` with its result.

        Raises:
            InputError: the source fails; the results of all frames before it have been yielded.
            FrameError: a frame of unsupported dtype, shape or memory layout.
        """
        self._source_name = source.name
        if source.live or self.budget is not None:
            for frame in source:
                yield frame, self.update(frame)
            return
        self._recording = True
        try:
            for group in self._groups(source):
                self.counters.classifications += self._classifier.classify(group)
                group.clear()  # Frees the frames that are done before the next group gathers.
                for tracked, faces in self._classifier.ready():
                    yield tracked.frame, self._result(tracked, faces)
        except Exception:
            yield from self._rest()  # The frames before the failure are valid.
            raise
        yield from self._rest()

    def update(self, frame: VideoFrame) -> VideoFrameResult:
        """The result of the next frame, without waiting for later ones.

        Raises:
            FrameError: a frame of unsupported dtype, shape or memory layout.
        """
        check_frame(frame.plane.pixels)
        tracker, scheduler = self._live
        if self.budget is not None:
            scheduler.min_frames = self.budget.interval
        group = [tracker.step(frame)]
        backfill(group, tracker.refiner)
        (faces,), classified = self._classifier.read(group)
        self.counters.classifications += classified
        result = self._result(group[0], faces)
        if self.budget is not None:
            detect = result.timings_ms["detect"]
            rest = result.timings_ms["total"] - detect
            self.budget.spent(detect if result.detected else None, rest)
        return result

    def _groups(self, source: FrameSource) -> Iterator[list[TrackedFrame]]:
        tracker, _ = self._new_tracker(lookahead=True)
        with closing(tracker):
            for group in _gather(LookaheadFrames(source), tracker):
                backfill(group, tracker.refiner)
                yield group

    def _rest(self) -> Iterator[tuple[VideoFrame, VideoFrameResult]]:
        """The frames that wait for later ones, when none follows."""
        for tracked, faces in self._classifier.ready(last=True):
            yield tracked.frame, self._result(tracked, faces)

    def _result(self, tracked: TrackedFrame, faces: tuple[Face, ...]) -> VideoFrameResult:
        counters = self.counters
        counters.frames += 1
        counters.faces += len(faces)
        counters.detections += tracked.detected
        counters.cuts += tracked.cut
        frame, timings = tracked.frame, tracked.timings_ms
        return VideoFrameResult(
            faces=faces,
            width=frame.size[0],
            height=frame.size[1],
            timings_ms={stage: round(ms, 3) for stage, ms in timings.items()}
            | {"total": round(sum(timings.values()), 3)},
            detector=self._engine.detector.name,
            source=self._source_name,
            frame_index=frame.index,
            pts=round(frame.pts, 6),
            detected=tracked.detected,
        )


def _gather(frames: LookaheadFrames, tracker: FaceTracker) -> Iterator[list[TrackedFrame]]:
    """The groups of a recording, tracked."""
    group: list[TrackedFrame] = []
    held = 0
    try:
        for frame in frames:
            check_frame(frame.plane.pixels)
            held += frame.nbytes
            full = len(group) + 1 >= MAX_GROUP or held >= MAX_HELD
            group.append(tracker.step(frame, last=full or not frames.more()))
            tracker.prefetch(_searchable(frames, MAX_HELD - held))
            complete = group[-1].detected and group[-1].all_established
            if complete or full:
                yield group
                group, held = [], 0
    except Exception:
        if group:  # The frames before the failure are valid.
            yield group
        raise
    if group:
        yield group


def _searchable(frames: LookaheadFrames, room: int) -> Iterator[VideoFrame]:
    """The next frames that the detector may search, as far as ``room`` bytes can hold them."""
    for frame in islice(frames.coming(), MAX_GROUP):
        try:
            check_frame(frame.plane.pixels)
        except FrameError:  # Raised again when it is the frame's turn.
            return
        room -= frame.nbytes
        if room < 0:
            return
        yield frame
