"""More weight for older faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.attributes import AttributeClassifier
from tests.helpers.drawn_faces import draw_faces
from training.expression import age_weights
from training.expression.face_sources import ArraySource, as_batch


@pytest.fixture
def faces() -> ArraySource:
    drawn, labels = draw_faces(50, 3)
    return ArraySource(drawn, labels, None, np.arange(len(drawn)), Path("drawn"))


def test_weights_follow_the_probability_of_older_groups(
    faces: ArraySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age_weights, "_BATCH", 16)
    weights = age_weights.older_weights(faces, 3)
    ages = AttributeClassifier(["age"]).predict(as_batch(faces.load(np.arange(50)))).age
    assert ages is not None
    expected = 1 + 2 * ages[:, 6:].sum(axis=1)
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-5)
    assert weights.dtype == np.float32


def test_a_weight_of_one_changes_nothing(faces: ArraySource) -> None:
    np.testing.assert_array_equal(age_weights.older_weights(faces, 1), np.ones(50))
