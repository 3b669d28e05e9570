"""Which faces are classified again."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.tracking.change_detector import MAX_AGE, ChangeDetector


def test_an_unchanged_face_is_classified_again_after_some_time() -> None:
    changes, tile = ChangeDetector(), np.full((48, 48, 1), 0.5, np.float32)
    classified = [i for i in range(40) if changes.should_classify(1, tile, i * 0.04)]
    assert classified[0] == 0
    assert np.diff(classified) * 0.04 == pytest.approx(MAX_AGE, abs=0.041)


def test_small_changes_add_up() -> None:
    changes = ChangeDetector()
    tiles = [np.full((48, 48, 1), 0.5 + 0.005 * i, np.float32) for i in range(8)]
    assert [changes.should_classify(1, t, 0.01 * i) for i, t in enumerate(tiles)].index(
        True, 1
    ) == 4


def test_every_nth_frame_of_each_face() -> None:
    changes, tile = ChangeDetector(3), np.zeros((48, 48, 1), np.float32)
    assert [changes.should_classify(1, tile, i) for i in range(7)] == [True, False, False] * 2 + [
        True
    ]
    assert changes.should_classify(2, tile, 7)


def test_an_interval_of_1_leaves_out_identical_crops_only() -> None:
    changes, tile = ChangeDetector(1), np.full((48, 48, 1), 0.5, np.float32)
    other = tile.copy()
    other[5, 5] += 1e-6
    tiles = [tile, tile, other, other, tile]
    assert [changes.should_classify(1, t, i) for i, t in enumerate(tiles)] == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert changes.should_classify(2, tile, 9)


def test_old_tracks_are_forgotten() -> None:
    changes = ChangeDetector()
    changes.should_classify(1, np.zeros((48, 48, 1), np.float32), 0)
    changes.forget(60)
    assert not changes.known
