"""Presentation times from time stamps."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.io.frame_clock import FrameClock, drop_wild_stamps


def times(stamps: list[float | None], start: float = 0.0, tick: float = 0.1) -> list[float]:
    clock = FrameClock(start, tick)
    return [clock.time(stamp) for stamp in stamps]


def test_times_count_from_the_start_of_the_player() -> None:
    assert times([1.9, 2.0], start=1.4) == pytest.approx([0.5, 0.6])


def test_a_picture_before_the_start_is_at_zero() -> None:
    assert times([1.0, 1.1], start=1.4) == pytest.approx([0, 0.1])


def test_absent_and_repeated_stamps_continue_at_the_rate() -> None:
    assert times([None, None, 0.5, 0.5, None]) == pytest.approx([0, 0.1, 0.5, 0.6, 0.7])


def test_one_wild_time_keeps_the_intervals_after_it() -> None:
    found = times([0, 0.1, 0.2, 9000.2, 0.4, 0.7, 0.8, 0.9])
    assert np.diff(found) == pytest.approx([0.1, 0.1, 9000.0, 0.1, 0.3, 0.1, 0.1])


def test_jumps_back_are_listed() -> None:
    clock = FrameClock(5.0, 0.1)
    for stamp in (5.0, 5.1, 0.0, 0.1, 3.0, 1.0):
        clock.time(stamp)
    assert clock.jumps == [(pytest.approx(0.2), pytest.approx(-0.2)),
                           (pytest.approx(3.3), pytest.approx(-2.3))]  # fmt: skip


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([0, 0.1, 9000.2, 0.3], [0, 0.1, None, 0.3]),  # One wrong stamp.
        ([5, 5.1, 0.0, 5.3, 5.4], [5, 5.1, None, 5.3, 5.4]),
        ([0, 60, 9000, 180, 240], [0, 60, None, 180, 240]),
        ([0, 0.1, 700.1, 700.2], [0, 0.1, 700.1, 700.2]),  # A gap.
        ([9, 9.1, 0, 0.1, 0.2], [9, 9.1, 0, 0.1, 0.2]),  # Joined recordings.
        ([0, 0.1, 700.1, None, 0.4], [0, 0.1, 700.1, None, 0.4]),
        ([0, 0.1, 700.1], [0, 0.1, 700.1]),
        ([0, 2, 4, 6], [0, 2, 4, 6]),
        ([None, None], [None, None]),
        ([], []),
    ],
)
def test_wild_stamps_are_dropped(stamps: list[float | None], expected: list[float | None]) -> None:
    frames = list(range(len(stamps)))
    found = list(drop_wild_stamps(frames, lambda i: stamps[i]))
    assert found == list(zip(frames, expected, strict=True))
