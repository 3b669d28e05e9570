"""Matching detections to tracks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.tracking.association import assign, associate


@given(
    st.integers(0, 5).flatmap(
        lambda n: st.integers(0, 5).flatmap(
            lambda m: st.lists(
                st.lists(st.floats(0, 1), min_size=m, max_size=m), min_size=n, max_size=n
            )
        )
    )
)
def test_assignment_is_optimal(rows: list[list[float]]) -> None:
    n, m = len(rows), len(rows[0]) if rows else 0
    gain = np.array(rows, np.float64).reshape(n, m)
    chosen = assign(gain)
    used = [j for j in chosen if j >= 0]
    assert len(used) == len(set(used)) == min(n, m)
    short, long = sorted((n, m))
    table = gain if n <= m else gain.T
    best = max(
        (
            sum(table[i, j] for i, j in enumerate(columns))
            for columns in itertools.permutations(range(long), short)
        ),
        default=0.0,
    )
    assert sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0) == pytest.approx(best)


def test_passing_faces_keep_their_tracks() -> None:
    # A greedy match pairs the first track with the first box and leaves the second track over.
    tracks = np.array([[0.0, 0, 100, 100], [40, 0, 100, 100]])
    found = np.array([[25.0, 0, 100, 100], [-30, 0, 100, 100]])
    assert associate(tracks, found, 0.3) == [(0, 1), (1, 0)]


def test_boxes_of_little_overlap_are_not_paired() -> None:
    tracks = np.array([[0.0, 0, 10, 10]])
    assert associate(tracks, np.array([[8.0, 0, 10, 10]]), 0.3) == []
    assert associate(tracks, np.empty((0, 4)), 0.3) == []
    assert associate(np.empty((0, 4)), tracks, 0.3) == []
