"""When the detector runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer.tracking.scheduler import (
    INITIAL_INTERVAL,
    MAX_INTERVAL_LIVE,
    MAX_INTERVAL_LOOKAHEAD,
    DetectionScheduler,
)


def detections(
    scheduler: DetectionScheduler, count: int, fps: float = 25, **happening: Any
) -> list[int]:
    ran = []
    for i in range(count):
        if scheduler.should_detect(
            i / fps, unconfirmed=False, urgent=i in happening.get("urgent", ())
        ):
            ran.append(i)
            scheduler.detected(i / fps, eventful=i in happening.get("events", ()))
    return ran


def test_a_fixed_interval() -> None:
    assert detections(DetectionScheduler(5), 20) == [0, 5, 10, 15]
    assert detections(DetectionScheduler(1), 4) == [0, 1, 2, 3]
    assert detections(DetectionScheduler(5), 20, urgent=[7]) == [0, 5, 7, 12, 17]


@pytest.mark.parametrize("every", ["auto", 1, 7])
def test_predictions_hold_unless_something_happens(every: Any) -> None:
    scheduler = DetectionScheduler(every)
    assert scheduler.should_detect(0.0, unconfirmed=False, urgent=False)
    scheduler.detected(0.0, eventful=False)
    last = 0
    for round in range(20):
        predicted = [
            scheduler.will_detect(i, (last + i) / 25, unconfirmed=False) for i in range(1, 50)
        ]
        first = last + 1 + predicted.index(True)
        for frame in range(last + 1, first + 1):
            due = scheduler.should_detect(frame / 25, unconfirmed=False, urgent=False)
            assert due == (frame == first)
        scheduler.detected(first / 25, eventful=round == 4)
        last = first


@pytest.mark.parametrize(
    ("lookahead", "longest"), [(True, MAX_INTERVAL_LOOKAHEAD), (False, MAX_INTERVAL_LIVE)]
)
def test_the_interval_grows_without_events_and_shrinks_with_them(
    lookahead: bool, longest: float
) -> None:
    gaps = np.diff(detections(DetectionScheduler(lookahead=lookahead), 300)) / 25
    assert gaps[0] <= INITIAL_INTERVAL * 1.5 + 0.04
    assert list(gaps) == sorted(gaps)
    assert longest - 0.04 <= gaps[-1] <= longest + 0.04
    after = (
        np.diff(detections(DetectionScheduler(lookahead=lookahead), 300, events=range(300))) / 25
    )
    assert after.max() <= INITIAL_INTERVAL + 0.04


def test_a_budget_delays_urgent_detections() -> None:
    scheduler = DetectionScheduler(2)
    scheduler.min_frames = 6
    assert detections(scheduler, 20, urgent=[1, 2]) == [0, 6, 12, 18]


def test_a_misspelt_attribute_is_an_error() -> None:
    """Otherwise a budget that sets it would have no effect."""
    with pytest.raises(AttributeError):
        DetectionScheduler().least_frames = 3  # type: ignore[attr-defined]
