"""fastfer.Tracker: results of pushed frames, without waiting for later ones."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

import fastfer
from fastfer.engine import Engine
from fastfer.errors import FrameError, UsageError
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.push_tracker import Tracker
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from tests.helpers.clips import moving_face
from tests.helpers.errors import raises
from tests.helpers.video_runs import EVERYTHING, without_times


def test_results_equal_those_of_a_live_source(engine: Engine, clip: list[Any]) -> None:
    class Live(ArraySource):
        live = True

    tracker = Tracker(engine)
    pushed = [tracker.update(frame, i / 12.5) for i, frame in enumerate(clip)]
    live = [result for _, result in VideoPipeline(engine).run(Live(clip, 12.5))]
    assert without_times(pushed) == without_times(live)
    assert tracker.counters.frames == len(clip)
    assert tracker.counters.detections < len(clip)


def test_options(engine: Engine) -> None:
    (frame,) = moving_face(1)
    (face,) = Tracker(engine, options=EVERYTHING).update(frame).faces
    (want,) = Engine(engine.detector, engine.classifier, tta="none").analyze(frame).faces
    assert face.probabilities == want.probabilities
    tracker = Tracker(engine, options=VideoOptions(detect_every=2), smooth=0)
    assert [tracker.update(frame, t).detected for t in (0, 1, 2, 3)] == [True, False] * 2
    with raises(UsageError, "unknown_option", "detectevery"):
        Tracker(engine, detectevery=2)


def test_times_default_to_the_clock(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.04, 100.5])
    tracker = Tracker(engine)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: next(clock))
        times = [tracker.update(frame).pts for frame in moving_face(3)]
    assert times == pytest.approx([0, 0.04, 0.5])


@pytest.mark.parametrize("pts", [0.5, float("nan"), float("inf"), 10**400, "1"])
def test_times_must_not_go_back(engine: Engine, pts: Any) -> None:
    first, second = moving_face(2)
    tracker = Tracker(engine)
    tracker.update(first, 1.0)
    with raises(FrameError, "invalid_frame"):
        tracker.update(second, pts)
    assert tracker.update(second, 1.0).frame_index == 1


def test_an_invalid_frame_does_not_end_the_run(engine: Engine) -> None:
    tracker = Tracker(engine)
    first, second = moving_face(2)
    (face,) = tracker.update(first, 0.0).faces
    nothing: Any = None  # As cameras return it at their end.
    for invalid in (np.zeros((8, 8, 4), np.uint8), nothing):
        with raises(FrameError, "invalid_frame"):
            tracker.update(invalid, 0.1)
    (again,) = tracker.update(second, 0.1).faces
    assert again.track_id == face.track_id


def test_results_convert_to_json(engine: Engine) -> None:
    (frame,) = moving_face(1)
    result = Tracker(engine).update(frame, np.float32(0.5))  # type: ignore[arg-type]
    assert json.loads(json.dumps(result.to_dict()))["pts"] == 0.5


def test_it_is_exported() -> None:
    assert fastfer.Tracker is Tracker
