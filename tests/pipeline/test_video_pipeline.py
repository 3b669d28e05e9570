"""The loop: every frame answered, in order, the same each time, and equal to the reference."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import fastfer
from fastfer.classifiers.native import EmotionClassifier
from fastfer.detectors import CropCalibration, Detections
from fastfer.engine import Engine
from fastfer.errors import FrameError, InputError, UsageError
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.budget import LONGEST, Budget
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from fastfer.results import VideoFrameResult
from fastfer.tracking import Tracker
from tests.helpers.clips import empty_scene, moving_face, write_video
from tests.helpers.commands import environment
from tests.helpers.onnx_models import write_model

EVERYTHING = VideoOptions(detect_every=1, classify_every=1, smooth=0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    model = write_model(tmp_path_factory.mktemp("model") / "random.onnx")
    return Engine("nano", model)


def analyze(
    engine: Engine, frames: Any, fps: float = 12.5, **options: Any
) -> list[VideoFrameResult]:
    loop = VideoPipeline(engine.detector, engine.classifier, VideoOptions(**options))
    return [result for _, result in loop.run(ArraySource(frames, fps))]


def without_times(results: list[VideoFrameResult]) -> list[Any]:
    rows = [result.to_dict() for result in results]
    for row in rows:
        del row["timings_ms"]
    return rows


@pytest.fixture(scope="module")
def clip() -> list[Any]:
    return moving_face(30) + empty_scene(6) + moving_face(10)


def test_everything_on_every_frame_equals_the_engine(engine: Engine, clip: list[Any]) -> None:
    results = analyze(engine, clip, detect_every=1, classify_every=1, smooth=0)
    for result, frame in zip(results, clip, strict=True):
        expected = engine.analyze(frame)
        assert [f.box for f in result.faces] == [f.box for f in expected.faces]
        for got, want in zip(result.faces, expected.faces, strict=True):
            assert (got.emotion, got.score) == (want.emotion, want.score)
            assert got.probabilities == want.probabilities == got.raw
            assert (got.detection_score, got.quality) == (want.detection_score, want.quality)
            assert (got.status, got.classified) == ("detected", True)
    assert sum(len(r.faces) for r in results) >= 36


def test_faces_of_low_quality_are_marked_and_kept(engine: Engine) -> None:
    blurred = [cv2.GaussianBlur(frame, (0, 0), 4) for frame in moving_face(3)]
    low = analyze(engine, blurred, min_quality=0.9)
    assert all(result.faces for result in low)
    assert all(face.low_quality for result in low for face in result.faces)
    assert low[0].to_dict()["faces"][0]["emotion"] is None
    assert not any(f.low_quality for r in analyze(engine, moving_face(3)) for f in r.faces)


def test_every_frame_is_answered_in_order_and_faces_keep_their_number(
    engine: Engine, clip: list[Any]
) -> None:
    results = analyze(engine, clip)
    assert [r.frame_index for r in results] == list(range(46))
    assert [r.pts for r in results] == pytest.approx([i / 12.5 for i in range(46)])
    tracks = [[f.track_id for f in r.faces if f.confirmed] for r in results]
    assert tracks[:30] == [tracks[0]] * 30
    assert len(tracks[0]) == 1
    assert tracks[30:36] == [[]] * 6
    assert tracks[36:] == [tracks[36]] * 10
    assert tracks[36] != tracks[0]


def test_work_is_skipped(engine: Engine) -> None:
    loop = VideoPipeline(engine.detector, engine.classifier)
    frames = moving_face(60)
    list(loop.run(ArraySource(frames, 12.5)))
    assert loop.counts.frames == 60
    assert loop.counts.detections <= 12
    assert loop.counts.classifications <= 40


def test_a_recording_gives_the_same_every_time(engine: Engine, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(30) + empty_scene(5) + moving_face(8))
    first, second = ([*fastfer.pipeline.video_pipeline(path, engine=engine)] for _ in range(2))
    assert without_times(first) == without_times(second)
    assert len(first) == 43


def test_all_faces_of_a_group_are_read_in_one_batch(engine: Engine) -> None:
    sizes = []

    class Spy(EmotionClassifier):
        def __init__(self) -> None:
            super().__init__(engine.classifier.path)

        def predict(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return super().predict(batch)

    loop = VideoPipeline(engine.detector, Spy(), VideoOptions(classify_every=1))
    list(loop.run(ArraySource(moving_face(40), 12.5)))
    assert sum(sizes) == 40
    assert max(sizes) >= 8


def test_a_live_source_is_answered_frame_by_frame(engine: Engine) -> None:
    class Live(ArraySource):
        live = True
        given = 0

        def __iter__(self) -> Iterator[Any]:
            for frame in super().__iter__():
                self.given += 1
                yield frame

    source = Live(moving_face(20), 12.5)
    for index, _ in enumerate(
        VideoPipeline(engine.detector, engine.classifier).run(source), start=1
    ):
        assert source.given == index


def test_what_came_before_an_error_is_given_out(engine: Engine) -> None:
    def broken() -> Iterator[Any]:
        yield from moving_face(10)
        raise InputError("the end")

    seen = []
    results = fastfer.pipeline.video_pipeline(broken(), engine=engine)
    with pytest.raises(InputError, match="the end"):
        seen.extend(results)
    assert len(seen) == 10


def test_a_wrong_frame_ends_the_run_where_its_turn_is(engine: Engine) -> None:
    seen = []
    frames = [*moving_face(20), np.zeros((8, 8, 3)), *moving_face(5)]
    with pytest.raises(FrameError, match="uint8"):
        seen.extend(fastfer.pipeline.video_pipeline(frames, engine=engine))
    assert len(seen) == 20


class Watched:
    """A detector that notes in which thread each frame was searched, and fails at one of them."""

    name = "watched"
    crop_calibration = CropCalibration()

    def __init__(self, detector: Any, fails_at: Any = None) -> None:
        self.threads: list[str] = []
        self._detector = detector
        self._fails_at = fails_at

    def detect(self, frame: Any) -> Detections:
        self.threads.append(threading.current_thread().name)
        if frame is self._fails_at:
            raise InputError("this frame")
        found: Detections = self._detector.detect(frame)
        return found


def test_the_next_search_runs_ahead_and_changes_nothing(
    engine: Engine, clip: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Watched(engine.detector)
    ahead = analyze(Engine(detector, engine.classifier.path), clip)
    assert detector.threads.count("fastfer-search_0") >= len(detector.threads) // 2
    monkeypatch.setattr(Tracker, "prefetch", lambda *_: None)
    assert without_times(analyze(Engine(detector, engine.classifier.path), clip)) == without_times(
        ahead
    )


def test_an_error_of_a_search_ahead_comes_where_its_frame_has_its_turn(engine: Engine) -> None:
    frames = moving_face(30)
    detector = Watched(engine.detector, fails_at=frames[9])
    loop = VideoPipeline(detector, engine.classifier, VideoOptions(detect_every=9))
    seen = []
    with pytest.raises(InputError, match="this frame"):
        seen.extend(loop.run(ArraySource(frames, 30)))
    assert len(seen) == 9


def test_searching_ahead_keeps_to_the_memory_for_held_frames(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = 0

    def frames() -> Iterator[Any]:
        nonlocal given
        for frame in moving_face(40):
            given += 1
            yield frame

    room = 6
    monkeypatch.setattr("fastfer.pipeline.video_pipeline.MAX_HELD", room * moving_face(1)[0].nbytes)
    loop = VideoPipeline(engine.detector, engine.classifier)
    for index, _ in enumerate(loop.run(ArraySource(frames(), 25))):
        assert given <= index + room + 1  # One is read to know its size.
    assert given == 40


class Counting:
    """A detector whose answer depends on how often it was asked, and that minds company."""

    name = "counting"
    crop_calibration = CropCalibration()

    def __init__(self, detector: Any) -> None:
        self.calls = self.at_once = self.most_at_once = 0
        self._detector = detector

    def detect(self, frame: Any) -> Detections:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.calls += 1
        found: Detections = self._detector.detect(frame)
        self.at_once -= 1
        off = np.float32(self.calls % 5 / 4)
        return Detections(found.boxes + off, found.scores, found.landmarks)


def test_one_search_runs_at_a_time_and_always_to_its_end(engine: Engine) -> None:
    # Cuts and a face that leaves: searches that were foreseen are not needed, others are urgent.
    frames = (moving_face(9) + empty_scene(4) + moving_face(3, speed=60)) * 4
    seen = []
    for _ in range(3):
        detector = Counting(engine.detector)
        loop = VideoPipeline(detector, engine.classifier)
        seen.append(without_times([result for _, result in loop.run(ArraySource(frames, 25))]))
        assert detector.most_at_once == 1
        assert detector.calls >= loop.counts.detections
    assert seen[0] == seen[1] == seen[2]


def test_frames_are_told_apart_where_their_numbers_are_the_same(engine: Engine) -> None:
    class Repeating(ArraySource):
        def __iter__(self) -> Iterator[Any]:
            for frame in super().__iter__():
                yield replace(frame, index=frame.index // 2)

    frames = [
        frame for pair in zip(moving_face(12), empty_scene(12), strict=True) for frame in pair
    ]
    loop = VideoPipeline(engine.detector, engine.classifier, VideoOptions(detect_every=3))
    results = [result for _, result in loop.run(Repeating(frames, 25))]
    assert len(results) == 24
    assert not any(f.status == "detected" for r in results[1::2] for f in r.faces)


def test_a_search_ahead_ends_with_its_run(engine: Engine) -> None:
    for stop in range(1, 20, 3):
        results = fastfer.pipeline.video_pipeline(moving_face(30), engine=engine)
        for _ in range(stop):
            next(results)
        results.close()  # type: ignore[attr-defined]
        assert not any(t.name.startswith("fastfer-search") for t in threading.enumerate())


def test_what_is_forgotten_may_be_collected_in_the_thread_that_searches(engine: Engine) -> None:
    forgotten = threading.Event()
    unraisable: list[Any] = []

    class Collecting(Watched):
        def detect(self, frame: Any) -> Detections:
            found = super().detect(frame)
            if len(self.threads) == 3:  # Begun before the first result, which took two.
                forgotten.wait(10)
                gc.collect()
            return found

    detector = Collecting(engine.detector)
    loop = VideoPipeline(detector, engine.classifier, VideoOptions(detect_every=9))
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    gc.disable()
    try:
        cycle: list[Any] = [loop.run(ArraySource(moving_face(30), 25))]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        forgotten.set()
        for thread in threading.enumerate():
            if thread.name.startswith("fastfer-search"):
                thread.join(10)
                assert not thread.is_alive()
    finally:
        gc.enable()
        sys.unraisablehook = hook
    assert len(detector.threads) == 3
    assert not unraisable


def test_a_stream_may_be_left_open_at_exit(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    first, *rest = (Image.fromarray(frame[:, :, ::-1]) for frame in moving_face(60, side=400))
    first.save(path, save_all=True, append_images=rest, duration=80)
    code = "import sys, fastfer; results = fastfer.pipeline.video_pipeline(sys.argv[1]); print(next(results).index)"
    for _ in range(4):
        done = subprocess.run(
            [sys.executable, "-c", code, path], env=environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def test_a_run_may_outlive_the_main_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(40))
    code = (
        "import sys, threading, time, fastfer\n"
        "def run():\n"
        "    time.sleep(0.5)\n"
        "    print(len(list(fastfer.pipeline.video_pipeline(sys.argv[1]))))\n"
        "threading.Thread(target=run).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("40\n", 0), done.stderr


def test_frames_that_were_answered_are_let_go(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    class Tracked(ArraySource):
        def __iter__(self) -> Iterator[Any]:
            nonlocal alive, most
            for frame in super().__iter__():
                weakref.finalize(frame.image, gone)
                alive += 1
                most = max(most, alive)
                yield frame

    room = 6
    monkeypatch.setattr("fastfer.pipeline.video_pipeline.MAX_HELD", room * moving_face(1)[0].nbytes)
    made = (frame.copy() for frame in moving_face(80))
    for _ in VideoPipeline(engine.detector, engine.classifier).run(Tracked(made, 25)):
        pass
    assert most <= room + 3


@pytest.mark.parametrize("pts", [None, "1", float("nan")])
def test_a_wrong_time_is_told_where_it_comes(engine: Engine, pts: Any) -> None:
    frames = [(i / 25, frame) for i, frame in enumerate(moving_face(12))]
    seen = []
    with pytest.raises(FrameError, match="frame 12: its time must be a finite number"):
        seen.extend(fastfer.pipeline.video_pipeline([*frames, (pts, frames[0][1])], engine=engine))
    assert len(seen) == 12


def test_frames_may_be_gray_and_change_their_size(engine: Engine) -> None:
    frames = [f[:, :, 1] for f in moving_face(6)] + moving_face(6, side=240)
    results = analyze(engine, [np.ascontiguousarray(f) for f in frames])
    assert [(r.width, r.height) for r in results] == [(288, 288)] * 6 + [(240, 240)] * 6
    assert all(r.faces for r in results)


def test_wrong_frames_and_options_are_refused(engine: Engine) -> None:
    with pytest.raises(FrameError, match="uint8"):
        list(fastfer.pipeline.video_pipeline([np.zeros((8, 8, 3))], engine=engine))
    for options in (
        {"detect_every": 0},
        {"classify_every": "often"},
        {"smooth": -1},
        {"smooth": float("nan")},
        {"budget_ms": 0},
    ):
        with pytest.raises(UsageError):
            fastfer.pipeline.video_pipeline([], engine=engine, **options)
    with pytest.raises(UsageError, match="not both"):
        fastfer.pipeline.video_pipeline([], engine=engine, options=EVERYTHING, smooth=1)


def test_the_function_and_its_module_share_a_name(engine: Engine) -> None:
    assert callable(sys.modules["fastfer.pipeline.video_pipeline"])
    assert callable(fastfer.pipeline.video_pipeline)
    assert list(fastfer.pipeline.video_pipeline([], engine=engine)) == []


def test_results_are_native_json(engine: Engine) -> None:
    results = analyze(engine, moving_face(3) + empty_scene(1))
    row = json.loads(json.dumps(results[0].to_dict()))
    assert {"schema", "frame", "pts", "detected", "faces", "width", "height"} <= row.keys()
    assert {"track", "status", "classified", "confirmed", "raw"} <= row["faces"][0].keys()
    assert abs(sum(row["faces"][0]["probabilities"].values()) - 1) < 1e-4


class Slow:
    """A detector that takes its time."""

    name = "slow"
    crop_calibration = CropCalibration()

    def detect(self, frame: Any) -> Detections:
        threading.Event().wait(0.03)
        return Detections(np.array([[90, 40, 100, 100]], np.float32), np.ones(1, np.float32))


def test_a_budget_stretches_the_interval_and_says_so(engine: Engine) -> None:
    loop = VideoPipeline(Slow(), engine.classifier, VideoOptions(detect_every=1, budget_ms=10))
    list(loop.run(ArraySource(moving_face(60), 25)))
    assert loop.counts.detections < 30
    assert loop.budget is not None
    assert loop.budget.longest >= 4
    assert "budget of 10 ms a frame" in loop.budget.report()
    tight = VideoPipeline(Slow(), engine.classifier, VideoOptions(budget_ms=0.001))
    list(tight.run(ArraySource(moving_face(5), 25)))
    assert tight.budget is not None
    assert "missed" in tight.budget.report()


@pytest.mark.parametrize(("rest", "verdict"), [(2.0, "held"), (6.5, "held"), (11.0, "missed")])
def test_a_budget_is_held_where_the_rest_leaves_room(rest: float, verdict: str) -> None:
    budget = Budget(10)
    since = LONGEST
    for _ in range(2000):
        detect = since >= budget.interval
        since = 1 if detect else since + 1
        budget.spent(30.0 if detect else None, rest)
    assert f"budget of 10 ms a frame {verdict}" in budget.report()
    assert budget.interval == {2.0: 4, 6.5: 9, 11.0: LONGEST}[rest]


def test_two_streams_in_two_threads_share_an_engine(engine: Engine) -> None:
    frames = moving_face(25)
    alone = without_times(analyze(engine, frames))
    together: list[Any] = []
    threads = [
        threading.Thread(target=lambda: together.append(without_times(analyze(engine, frames))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone, alone]


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow(engine: Engine) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads its memory from /proc, which only Linux has")
    frames = moving_face(80, side=144) + empty_scene(10, side=144)

    def endless() -> Iterator[Any]:
        while True:
            yield from frames

    memory = []
    for index, _ in enumerate(
        fastfer.pipeline.video_pipeline(endless(), engine=engine, detect_every=45)
    ):
        if index in (1000, 4000):
            gc.collect()
            memory.append(resident())
        if index == 4000:
            break
    assert memory[1] - memory[0] < 5 << 20


def test_real_people_are_followed(engine: Engine, shared: Path) -> None:
    path = shared / "media" / "face-demographics-walking-and-pause.gif"
    results = list(fastfer.pipeline.video_pipeline(path, engine=engine))
    assert len(results) == 41
    first = results[0].faces[0].track_id
    assert all(first in [face.track_id for face in result.faces] for result in results)
