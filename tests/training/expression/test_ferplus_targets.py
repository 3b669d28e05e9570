"""Label distributions predicted from votes."""

from __future__ import annotations

import numpy as np

from training.expression.ferplus_targets import label_given_votes


def test_unanimous_votes_predict_the_share_of_their_labels() -> None:
    # All votes for class 0: three in four were labelled so. All for class 1: every one.
    votes = np.repeat(np.eye(3, dtype=np.float32)[:2], [400, 100], axis=0)
    labels = np.array([0, 0, 0, 2] * 100 + [1] * 100)
    likely = label_given_votes(votes, labels)
    assert likely.shape == votes.shape
    assert likely.dtype == np.float32
    np.testing.assert_allclose(likely[0], [0.75, 0, 0.25], atol=0.01)
    np.testing.assert_allclose(likely[-1], [0, 1, 0], atol=0.01)


def test_divided_votes_are_fitted_to_the_labels() -> None:
    rng = np.random.default_rng(3)
    share = rng.integers(0, 11, 20_000) / 10
    votes = np.column_stack([share, 1 - share]).astype(np.float32)
    # Annotators who lean towards the first class.
    chance = np.clip(0.2 + 0.8 * share, 0, 1)
    labels = (rng.random(len(share)) >= chance).astype(np.int64)
    likely = label_given_votes(votes, labels)
    np.testing.assert_allclose(likely.sum(axis=1), 1, atol=1e-5)
    for value in (0.2, 0.5, 0.8):
        rows = likely[np.isclose(share, value), 0]
        np.testing.assert_allclose(rows, 0.2 + 0.8 * value, atol=0.05)


def test_faces_without_votes_are_ignored() -> None:
    votes = np.repeat(np.eye(2, dtype=np.float32), 50, axis=0)
    labels = np.repeat([0, 1], 50)
    silent = np.zeros((30, 2), np.float32)
    likely = label_given_votes(np.concatenate([votes, silent]), np.append(labels, [1] * 30))
    np.testing.assert_array_equal(likely[100:], 0)
    np.testing.assert_array_equal(likely[:100], label_given_votes(votes, labels))
    np.testing.assert_array_equal(label_given_votes(silent, np.zeros(30, np.int64)), 0)
