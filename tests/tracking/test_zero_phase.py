"""Smoothing of recordings: no delay, no dependence on the frame rate or on how frames are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastfer.tracking.zero_phase import HOLD, KEPT, ZeroPhaseSmoother

ROWS = np.eye(7, dtype=np.float32)


def smoothed(
    rows: list[NDArray[np.float32]], fps: float, seconds: float = 0.5, ahead: int | None = None
) -> tuple[NDArray[np.float64], list[int]]:
    """Probabilities and labels; frames are added ``ahead`` of what is read, by default all."""
    smoother, found, added = ZeroPhaseSmoother(seconds), [], 0
    for i in range(len(rows)):
        until = len(rows) if ahead is None else min(len(rows), i + ahead + 1)
        while added < until:
            smoother.add(1, rows[added], added / fps)
            added += 1
        found.append(smoother.read(1, i / fps))
    return np.array([mean for mean, _ in found]), [label for _, label in found]


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_change_is_not_delayed(fps: int) -> None:
    rows = [ROWS[4]] * (2 * fps) + [ROWS[3]] * (2 * fps)
    means, labels = smoothed(rows, fps)
    assert labels == [4] * (2 * fps) + [3] * (2 * fps)
    np.testing.assert_allclose(means[2 * fps - 1 : 2 * fps + 1, 3].sum(), 1, atol=1e-9)
    assert (np.diff(means[:, 3]) >= -1e-12).all()


def test_a_glitch_does_not_change_the_label() -> None:
    rows = [ROWS[4]] * 30 + [ROWS[3]] * 4 + [ROWS[4]] * 30
    assert smoothed(rows, 25)[1] == [4] * 64


def test_the_first_frame_does_not_count_more_than_others() -> None:
    assert smoothed([ROWS[1], *[ROWS[4]] * 30], 25)[1] == [4] * 31


def test_a_small_lead_changes_the_label_after_a_while() -> None:
    a, b = np.zeros((2, 7), np.float32)
    a[:2], b[:2] = (0.55, 0.45), (0.45, 0.55)
    _, labels = smoothed([a] * 50 + [b] * 100, 25)
    assert labels == sorted(labels)
    assert labels.index(1) / 25 == pytest.approx(2 + HOLD - 0.3, abs=0.1)


def test_results_depend_on_later_frames_up_to_the_lookahead_only() -> None:
    rng = np.random.default_rng(0)
    rows = list(
        rng.dirichlet(np.full(7, 0.2), 3 * KEPT // 15).astype(np.float32).repeat(15, axis=0)
    )
    lookahead = ZeroPhaseSmoother(0.5).lookahead
    assert lookahead == pytest.approx(0.95)
    means, labels = smoothed(rows, 25)
    some_means, some_labels = smoothed(rows, 25, ahead=round(25 * lookahead) + 1)
    np.testing.assert_array_equal(means, some_means)
    assert labels == some_labels
    assert len(set(labels)) > 3


def test_a_long_time_constant_looks_ahead_for_at_most_one_and_a_half_seconds() -> None:
    assert ZeroPhaseSmoother(20).lookahead == 1.5
    means, _ = smoothed([ROWS[4]] * 50 + [ROWS[3]] * 50, 25, seconds=20)
    assert (means[:24, 3] == 0).all()
    assert means[60, 4] > 0.5


def test_old_tracks_are_forgotten() -> None:
    smoother = ZeroPhaseSmoother(1)
    smoother.add(1, ROWS[0], 0)
    smoother.forget(60)
    smoother.add(1, ROWS[2], 60)
    assert smoother.read(1, 60)[1] == 2


@given(
    st.floats(0.01, 5),
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(0, 7)), min_size=1, max_size=20),
)
def test_smoothed_probabilities_are_a_distribution(
    seconds: float, steps: list[tuple[float, int]]
) -> None:
    smoother = ZeroPhaseSmoother(seconds)
    times = np.cumsum([step for step, _ in steps]).tolist()
    for pts, (_, label) in zip(times, steps, strict=True):
        smoother.add(1, np.eye(8, dtype=np.float32)[label], pts)
    for pts in times:
        probabilities, shown = smoother.read(1, pts)
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities.min() >= 0
        assert 0 <= shown < 8


@pytest.mark.parametrize("seconds", [5e-324, 1e-300, 1e-9, 1e6])
@pytest.mark.parametrize("start", [0.0, 1e9])
def test_results_are_finite_for_every_time_constant(seconds: float, start: float) -> None:
    smoother = ZeroPhaseSmoother(seconds)
    for i in range(2 * KEPT):
        pts = start + i / 25
        smoother.add(1, ROWS[i % 7], pts)
        mean, label = smoother.read(1, pts)
        assert mean.sum() == pytest.approx(1)
        assert 0 <= label < 7
        if seconds < 0.01:
            np.testing.assert_array_equal(mean, ROWS[i % 7])
        smoother.forget(pts)
