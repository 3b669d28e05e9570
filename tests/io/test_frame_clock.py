"""Presentation times from time stamps."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.io.frame_clock import FrameClock


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
