"""Durations of frames."""

from __future__ import annotations

import pytest

from fastfer.outputs.frame_times import MAX_FRAME_SECONDS, FrameTimes


def test_a_frame_lasts_until_the_next() -> None:
    times = FrameTimes(0.04)
    assert [times.add(pts) for pts in (5.0, 5.1, 5.3)] == pytest.approx([0, 0.1, 0.2])


def test_the_nominal_rate_counts_until_something_is_measured() -> None:
    times = FrameTimes(0.04)
    assert times.typical == 0.04
    times.add(0.0)
    assert times.typical == 0.04
    times.add(0.5)
    assert times.typical == 0.5


def test_an_outage_is_not_a_long_frame() -> None:
    times = FrameTimes(0.1)
    for index in range(10):
        times.add(index / 10)
    assert times.add(60.0) == MAX_FRAME_SECONDS
    assert times.typical == pytest.approx(0.1)


def test_slow_videos_have_long_frames() -> None:
    times = FrameTimes(0.1)
    for index in range(5):
        times.add(index * 10.0)
    assert times.add(65.0) == 25.0
    assert times.longest == 30.0


def test_the_typical_duration_follows_the_recent_frames() -> None:
    times = FrameTimes(0.1)
    pts = 0.0
    for step in [0.1] * 40 + [0.5] * 10:
        pts += step
        times.add(pts)
    assert times.typical == pytest.approx(0.5)


def test_the_last_frame_ends_with_the_video() -> None:
    times = FrameTimes(0.1)
    for index in range(5):
        times.add(index * 0.5)
    assert times.rest == 0.5
    times.end = 2.2
    assert times.rest == pytest.approx(0.2)
    times.end = 1.9
    assert times.rest == 0.0
