"""How soon labels follow changes of expression."""

from __future__ import annotations

import math

import pytest

from fastfer.pipeline.expression_delay import Delays, Seen, expression_delays


def track(*phases: tuple[str, str | None, float], fps: float = 20) -> list[Seen]:
    """Phases of raw emotion, label and seconds."""
    seen = [(raw, label) for raw, label, seconds in phases for _ in range(round(seconds * fps))]
    return [Seen(i / fps, *each) for i, each in enumerate(seen)]


def test_the_time_until_the_label_follows() -> None:
    face = track(("sad", "sad", 1), ("happy", "sad", 0.3), ("happy", "happy", 1))
    assert expression_delays([face]) == Delays(1, 1, pytest.approx(0.3))
    other = track(
        ("sad", "sad", 1), ("happy", "happy", 1), ("sad", "happy", 0.1), ("sad", "sad", 1)
    )
    assert expression_delays([face, other]) == Delays(3, 3, pytest.approx((0.3 + 0 + 0.1) / 3))


def test_a_label_that_never_follows() -> None:
    face = track(("sad", "sad", 1), ("happy", None, 1), ("angry", "angry", 1))
    assert expression_delays([face]) == Delays(2, 1, pytest.approx(0))


def test_glitches_and_short_phases_are_no_changes() -> None:
    glitch = track(("sad", "sad", 1), ("happy", "sad", 0.1), ("sad", "sad", 1))
    short = track(("sad", "sad", 1), ("happy", "sad", 0.4), ("sad", "sad", 1))
    begins = track(("fear", "fear", 0.3), ("sad", "sad", 2))
    found = expression_delays([glitch, short, begins])
    assert (found.changes, found.followed) == (0, 0)
    assert math.isnan(found.mean)


def test_a_glitch_within_a_change_does_not_delay_it() -> None:
    face = track(
        ("sad", "sad", 1), ("happy", "sad", 0.25), ("sad", "sad", 0.1), ("happy", "happy", 1)
    )
    assert expression_delays([face]) == Delays(1, 1, pytest.approx(0.35))
