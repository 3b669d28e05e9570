"""Smoothing over time, and the hysteresis of labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.tracking.smoothing import HOLD, Smoother


def test_smoothing_depends_on_time_not_on_frames() -> None:
    sad, happy = np.eye(7, dtype=np.float32)[[4, 3]]
    ends = []
    for fps in (10, 50):
        smoother = Smoother(0.5)
        for i in range(10 * fps + 1):
            smoother.update(1, sad, i / fps)
        ends += [smoother.update(1, happy, 10 + i / fps)[0] for i in range(1, fps + 1)][-1:]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-9)
    assert ends[0][3] == pytest.approx(1 - np.exp(-1 / 0.5))


def test_the_first_frames_count_equally() -> None:
    rows = np.eye(7, dtype=np.float32)[[0, 1, 2, 3]]
    smoother = Smoother(0.5)
    means = [smoother.update(1, row, i / 25)[0] for i, row in enumerate(rows)]
    for i, mean in enumerate(means):
        np.testing.assert_allclose(mean, rows[: i + 1].mean(axis=0), atol=1e-9)


def test_the_label_changes_only_with_a_clear_lead() -> None:
    smoother = Smoother(0.001)
    a, b = np.zeros((2, 7), np.float32)
    a[:2], b[:2] = (0.52, 0.48), (0.48, 0.52)
    labels = [smoother.update(1, p, i / 10)[1] for i, p in enumerate((a, b, a, b))]
    assert labels == [0] * 4
    clear = np.eye(7, dtype=np.float32)[1]
    assert smoother.update(1, clear, 0.4)[1] == 1


def test_a_small_lead_changes_the_label_after_a_while() -> None:
    smoother = Smoother(0.001)
    a, b = np.zeros((2, 7), np.float32)
    a[:2], b[:2] = (0.52, 0.48), (0.48, 0.52)
    labels = [smoother.update(1, b if i else a, i / 10)[1] for i in range(40)]
    assert labels == sorted(labels)
    assert labels.index(1) / 10 == pytest.approx(0.1 + HOLD, abs=0.25)


def test_zero_seconds_turn_smoothing_off() -> None:
    smoother = Smoother(0)
    for i, row in enumerate(np.eye(7, dtype=np.float32)):
        probabilities, label = smoother.update(1, row, i)
        assert label == i
        np.testing.assert_array_equal(probabilities, row)


def test_old_tracks_are_forgotten() -> None:
    smoother = Smoother(1)
    smoother.update(1, np.eye(7, dtype=np.float32)[0], 0)
    smoother.forget(60)
    assert smoother.update(1, np.eye(7, dtype=np.float32)[2], 60)[1] == 2


@given(
    st.floats(0.01, 5),
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 6)), min_size=1, max_size=20),
)
def test_smoothed_probabilities_are_a_distribution(
    seconds: float, steps: list[tuple[float, int]]
) -> None:
    smoother, pts = Smoother(seconds), 0.0
    for step, label in steps:
        pts += step
        probabilities, shown = smoother.update(1, np.eye(7, dtype=np.float32)[label], pts)
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities.min() >= 0
        assert 0 <= shown < 7


@pytest.mark.parametrize("seconds", [5e-324, 1e-300, 1e-9, 1e6])
@pytest.mark.parametrize("step", [5e-324, 0.04, 1e9, 1e300])
def test_results_are_finite_for_every_time_constant(seconds: float, step: float) -> None:
    smoother = Smoother(seconds)
    for i in range(20):
        mean, label = smoother.update(1, np.eye(7, dtype=np.float32)[i % 7], i * step)
        assert mean.sum() == pytest.approx(1)
        assert 0 <= label < 7
