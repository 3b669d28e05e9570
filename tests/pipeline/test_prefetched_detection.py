"""Detection of the next frame in another thread: same results, one at a time, no thread left."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastfer.detectors import CropCalibration, Detections
from fastfer.engine import Engine
from fastfer.errors import InputError
from fastfer.io.frame_source import ArraySource, VideoFrame
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.tracking import FaceTracker
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.video_runs import analyze, without_times


class Recording:
    """A detector that records the thread of each call, and fails at one frame."""

    name = "recording"
    crop_calibration = CropCalibration()

    def __init__(self, detector: Any, fails_at: Any = None) -> None:
        self.threads: list[str] = []
        self._detector = detector
        self._fails_at = fails_at

    def detect(self, frame: Any) -> Detections:
        self.threads.append(threading.current_thread().name)
        if frame is self._fails_at:
            raise InputError("this frame", code="damaged")
        found: Detections = self._detector.detect(frame)
        return found


def search_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("fastfer-detect")]


def test_prefetching_changes_no_result(
    engine: Engine, clip: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Recording(engine.detector)
    prefetched = analyze(Engine(detector, engine.classifier), clip)
    assert detector.threads.count("fastfer-detect_0") >= len(detector.threads) // 2
    monkeypatch.setattr(FaceTracker, "prefetch", lambda *_: None)
    plain = analyze(Engine(detector, engine.classifier), clip)
    assert without_times(plain) == without_times(prefetched)


def test_an_error_of_a_prefetched_detection_is_raised_at_its_frame(engine: Engine) -> None:
    frames = moving_face(30)
    detector = Recording(engine.detector, fails_at=frames[9])
    pipeline = VideoPipeline(Engine(detector, engine.classifier), VideoOptions(detect_every=9))
    seen = []
    with pytest.raises(InputError) as caught:
        seen.extend(pipeline.run(ArraySource(frames, 30)))
    assert caught.value.code == "damaged"
    assert len(seen) == 9


def test_frames_read_ahead_fit_the_memory_limit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_read = 0

    def frames() -> Iterator[Any]:
        nonlocal count_read
        for frame in moving_face(40):
            count_read += 1
            yield frame

    room = 6
    size = moving_face(1)[0].nbytes
    monkeypatch.setattr("fastfer.pipeline.video_pipeline.MAX_HELD", room * size)
    monkeypatch.setattr("fastfer.pipeline.track_classifier.MAX_WAITING", room * size)
    for index, _ in enumerate(VideoPipeline(engine).run(ArraySource(frames(), 25))):
        assert count_read <= index + 2 * room + 1  # One is read to learn its size.
    assert count_read == 40


class Counting:
    """A detector whose boxes depend on the number of calls, and that counts concurrent calls."""

    name = "counting"
    crop_calibration = CropCalibration()

    def __init__(self, detector: Any) -> None:
        self.calls = self.concurrent = self.most_concurrent = 0
        self._detector = detector

    def detect(self, frame: Any) -> Detections:
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        self.calls += 1
        found: Detections = self._detector.detect(frame)
        self.concurrent -= 1
        offset = np.float32(self.calls % 5 / 4)
        return Detections(found.boxes + offset, found.scores, found.landmarks)


def test_one_detection_runs_at_a_time_and_always_to_its_end(engine: Engine) -> None:
    # Cuts and a face that leaves: some prefetched detections are dropped, others are urgent.
    frames = (moving_face(9) + empty_scene(4) + moving_face(3, speed=60)) * 4
    seen = []
    for _ in range(3):
        detector = Counting(engine.detector)
        pipeline = VideoPipeline(Engine(detector, engine.classifier))
        seen.append(without_times([result for _, result in pipeline.run(ArraySource(frames, 25))]))
        assert detector.most_concurrent == 1
        assert detector.calls >= pipeline.counters.detections
    assert seen[0] == seen[1] == seen[2]


def test_frames_with_equal_numbers_are_distinct(engine: Engine) -> None:
    class Repeating(ArraySource):
        def __iter__(self) -> Iterator[Any]:
            for frame in super().__iter__():
                yield VideoFrame(frame.image, frame.index // 2, frame.pts)

    frames = [
        frame for pair in zip(moving_face(12), empty_scene(12), strict=True) for frame in pair
    ]
    pipeline = VideoPipeline(engine, VideoOptions(detect_every=3))
    results = [result for _, result in pipeline.run(Repeating(frames, 25))]
    assert len(results) == 24
    assert not any(f.status == "detected" for r in results[1::2] for f in r.faces)


def test_closing_a_run_ends_its_thread(engine: Engine) -> None:
    for stop in range(1, 20, 3):
        results: Any = VideoPipeline(engine).run(ArraySource(moving_face(30), 25))
        for _ in range(stop):
            next(results)
        results.close()
        assert not search_threads()


def test_a_run_may_be_collected_in_its_own_detection_thread(engine: Engine) -> None:
    dropped = threading.Event()
    unraisable: list[Any] = []

    class Collecting(Recording):
        def detect(self, frame: Any) -> Detections:
            found = super().detect(frame)
            if len(self.threads) == 3:  # Started before the first result, which took two.
                dropped.wait(10)
                gc.collect()
            return found

    detector = Collecting(engine.detector)
    pipeline = VideoPipeline(
        Engine(detector, engine.classifier), VideoOptions(detect_every=9, smooth=0)
    )
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    gc.disable()
    try:
        cycle: list[Any] = [pipeline.run(ArraySource(moving_face(30), 25))]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        dropped.set()
        for thread in search_threads():
            thread.join(10)
            assert not thread.is_alive()
    finally:
        gc.enable()
        sys.unraisablehook = hook
    assert len(detector.threads) == 3
    assert not unraisable
