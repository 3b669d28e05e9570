"""A time budget per frame: longer detection intervals, and a report."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from fastfer.detectors import CropCalibration, Detections
from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.pipeline.budget import LONGEST, Budget
from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
from tests.helpers.clips import moving_face


@pytest.mark.parametrize(("rest", "held"), [(2.0, True), (6.5, True), (11.0, False)])
def test_a_budget_is_held_if_the_other_stages_leave_room(rest: float, held: bool) -> None:
    budget = Budget(10)
    since = LONGEST
    for _ in range(2000):
        detect = since >= budget.interval
        since = 1 if detect else since + 1
        budget.spent(30.0 if detect else None, rest)
    assert budget.held is held
    assert "10 ms" in budget.report()
    assert budget.interval == {2.0: 4, 6.5: 9, 11.0: LONGEST}[rest]


def test_the_pipeline_detects_less_often_to_hold_a_budget(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    class Slow:
        """Takes 30 ms of a clock that stands still otherwise."""

        name = "slow"
        crop_calibration = CropCalibration()

        def detect(self, frame: Any) -> Detections:
            nonlocal now
            now += 0.03
            return Detections(np.array([[90, 40, 100, 100]], np.float32), np.ones(1, np.float32))

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    slow = Engine(Slow(), engine.classifier)
    pipeline = VideoPipeline(slow, VideoOptions(detect_every=1, budget_ms=10))
    list(pipeline.run(ArraySource(moving_face(60), 25)))
    assert pipeline.counters.detections == 20
    assert pipeline.budget is not None
    assert (pipeline.budget.longest, pipeline.budget.held) == (3, True)

    tight = VideoPipeline(slow, VideoOptions(budget_ms=0.001))
    list(tight.run(ArraySource(moving_face(5), 25)))
    assert tight.budget is not None
    assert not tight.budget.held
