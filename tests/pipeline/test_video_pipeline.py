"""Every frame gets a result, in order, the same each time, and equal to the engine's."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.engine import Engine
from fastfer.errors import FrameError, InputError, UsageError
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.errors import raises
from tests.helpers.video_runs import analyze


def test_full_processing_equals_the_engine(engine: Engine, clip: list[Any]) -> None:
    results = analyze(engine, clip, detect_every=1, classify_every=1, smooth=0)
    photos = Engine(engine.detector, engine.classifier, tta="none")
    last: dict[int, Any] = {}
    for result, frame in zip(results, clip, strict=True):
        expected = photos.analyze(frame)
        assert [f.box for f in result.faces] == [f.box for f in expected.faces]
        for got, want in zip(result.faces, expected.faces, strict=True):
            assert (got.emotion, got.score) == (want.emotion, want.score)
            assert got.probabilities == want.probabilities == got.raw_probabilities
            assert (got.detection_score, got.quality) == (want.detection_score, want.quality)
            assert got.landmarks == want.landmarks
            assert got.status == "detected"
            # Only crops that are identical to the one before are not classified again.
            assert got.classified or last[got.track_id] == got.raw_probabilities
            last[got.track_id] = got.raw_probabilities
    assert sum(len(r.faces) for r in results) >= 36


def test_min_quality_comes_from_the_engine(engine: Engine) -> None:
    blurred = [cv2.GaussianBlur(frame, (0, 0), 4) for frame in moving_face(3)]
    strict = Engine(engine.detector, engine.classifier, min_quality=0.9)
    low = analyze(strict, blurred)
    assert all(result.faces for result in low)
    assert all(face.low_quality for result in low for face in result.faces)
    assert all(face.emotion is face.score is None for result in low for face in result.faces)
    assert all(face.probabilities for result in low for face in result.faces)
    assert not any(f.low_quality for r in analyze(engine, moving_face(3)) for f in r.faces)


def test_results_are_in_order_and_tracks_keep_their_id(engine: Engine, clip: list[Any]) -> None:
    results = analyze(engine, clip)
    assert [r.frame_index for r in results] == list(range(46))
    assert [r.pts for r in results] == pytest.approx([i / 12.5 for i in range(46)])
    tracks = [[f.track_id for f in r.faces if f.confirmed] for r in results]
    assert tracks[:30] == [tracks[0]] * 30
    assert len(tracks[0]) == 1
    assert tracks[30:36] == [[]] * 6
    assert tracks[36:] == [tracks[36]] * 10
    assert tracks[36] != tracks[0]


def test_detections_and_classifications_are_skipped(engine: Engine) -> None:
    pipeline = VideoPipeline(engine, VideoOptions(classify_every="auto"))
    results = [result for _, result in pipeline.run(ArraySource(moving_face(60), 12.5))]
    counters = pipeline.counters
    assert counters.frames == 60
    assert counters.detections == sum(result.detected for result in results) <= 12
    assert counters.faces == sum(map(len, results))
    assert (
        counters.classifications == sum(face.classified for r in results for face in r.faces) <= 40
    )


def test_skipped_faces_keep_their_last_output(engine: Engine) -> None:
    last = None
    for result in analyze(engine, moving_face(40), classify_every="auto"):
        (face,) = result.faces
        assert face.classified or face.raw_probabilities == last
        last = face.raw_probabilities


def test_faces_of_a_group_form_one_batch(engine: Engine) -> None:
    sizes = []

    class Spy(EmotionClassifier):
        def __init__(self) -> None:
            super().__init__(engine.classifier.path)

        def classify(self, batch: Any) -> Any:
            sizes.append(len(batch))
            return super().classify(batch)

    frames = [np.roll(frame, i % 2, axis=0) for i, frame in enumerate(moving_face(40))]
    analyze(Engine(engine.detector, Spy()), frames)
    assert sum(sizes) == 40
    assert max(sizes) >= 8


def test_each_frame_of_a_live_source_has_its_result_before_the_next(engine: Engine) -> None:
    class Live(ArraySource):
        live = True
        count_read = 0

        def __iter__(self) -> Iterator[Any]:
            for frame in super().__iter__():
                self.count_read += 1
                yield frame

    source = Live(moving_face(20), 12.5)
    for index, _ in enumerate(VideoPipeline(engine).run(source), start=1):
        assert source.count_read == index


def test_frames_before_an_error_of_the_source_have_results(engine: Engine) -> None:
    def broken() -> Iterator[Any]:
        yield from moving_face(10)
        raise InputError("the end", code="source_lost")

    seen = []
    with pytest.raises(InputError) as caught:
        seen.extend(VideoPipeline(engine).run(ArraySource(broken(), 25)))
    assert caught.value.code == "source_lost"
    assert len(seen) == 10


def test_frames_before_an_invalid_frame_have_results(engine: Engine) -> None:
    seen = []
    frames = [*moving_face(20), np.zeros((8, 8, 3)), *moving_face(5)]
    with raises(FrameError, "invalid_frame"):
        seen.extend(VideoPipeline(engine).run(ArraySource(frames, 25)))
    assert len(seen) == 20


@pytest.mark.parametrize("pts", [None, "1", float("nan")])
def test_invalid_times_fail_at_their_frame(engine: Engine, pts: Any) -> None:
    frames = [(i / 25, frame) for i, frame in enumerate(moving_face(12))]
    seen = []
    with raises(FrameError, "invalid_frame", "frame 12"):
        seen.extend(VideoPipeline(engine).run(ArraySource([*frames, (pts, frames[0][1])], 25)))
    assert len(seen) == 12


def test_frames_may_be_gray_and_change_their_size(engine: Engine) -> None:
    frames = [f[:, :, 1] for f in moving_face(6)] + moving_face(6, side=240)
    results = analyze(engine, [np.ascontiguousarray(f) for f in frames])
    assert [(r.width, r.height) for r in results] == [(288, 288)] * 6 + [(240, 240)] * 6
    assert all(r.faces for r in results)


@pytest.mark.parametrize(
    "options",
    [
        {"detect_every": 0},
        {"detect_every": 1.5},
        {"classify_every": "often"},
        {"smooth": -1},
        {"smooth": float("nan")},
        {"smooth": "1"},
        {"budget_ms": 0},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    (name,) = options
    for make in (VideoOptions, lambda **changes: VideoOptions.merge(None, changes)):
        with raises(UsageError, "out_of_range", name):
            make(**options)


def test_merged_options() -> None:
    options = VideoOptions(detect_every=3, smooth=1)
    assert VideoOptions.merge(options, {"smooth": 2}) == VideoOptions(detect_every=3, smooth=2)
    assert VideoOptions.merge(None, {}) == VideoOptions()
    with raises(UsageError, "unknown_option", "min_quality"):
        VideoOptions.merge(options, {"min_quality": 0.5})


def test_results_are_native_json(engine: Engine) -> None:
    results = analyze(engine, moving_face(3) + empty_scene(1))
    row = json.loads(json.dumps(results[0].to_dict()))
    assert row["source"] == "arrays"
    assert abs(sum(row["faces"][0]["probabilities"].values()) - 1) < 1e-4
    assert set(results[0].timings_ms) == {"track", "detect", "pack", "classify", "total"}


def test_frames_are_released_once_their_results_are_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = most = 0

    def released() -> None:
        nonlocal alive
        alive -= 1

    class Tracked(ArraySource):
        def __iter__(self) -> Iterator[Any]:
            nonlocal alive, most
            for frame in super().__iter__():
                weakref.finalize(frame.image, released)
                alive += 1
                most = max(most, alive)
                yield frame

    room = 6
    size = moving_face(1)[0].nbytes
    monkeypatch.setattr("fastfer.pipeline.video_pipeline.MAX_HELD", room * size)
    monkeypatch.setattr("fastfer.pipeline.track_classifier.MAX_WAITING", room * size)
    copies = (frame.copy() for frame in moving_face(80))
    for _ in VideoPipeline(engine).run(Tracked(copies, 25)):
        pass
    assert most <= 2 * room + 3
