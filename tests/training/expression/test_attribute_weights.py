"""More weight for older faces and for men."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.attributes import AttributeClassifier
from tests.helpers.drawn_faces import draw_faces
from training.expression import attribute_weights as module
from training.expression.attribute_weights import attribute_weights
from training.expression.face_sources import ArraySource, as_batch


@pytest.fixture
def faces() -> ArraySource:
    drawn, labels = draw_faces(50, 3)
    return ArraySource(drawn, labels, None, np.arange(len(drawn)), Path("drawn"))


@pytest.mark.parametrize(("older", "male"), [(3, 1), (1, 2), (2.5, 0.5)])
def test_weights_follow_the_probabilities_of_age_and_gender(
    faces: ArraySource, monkeypatch: pytest.MonkeyPatch, older: float, male: float
) -> None:
    monkeypatch.setattr(module, "_BATCH", 16)
    weights = attribute_weights(faces, older, male)
    predicted = AttributeClassifier().predict(as_batch(faces.load(np.arange(50))))
    assert predicted.age is not None
    assert predicted.gender is not None
    expected = (1 + (older - 1) * predicted.age[:, 6:].sum(axis=1)) * (
        1 + (male - 1) * predicted.gender[:, 1]
    )
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-5)
    assert weights.dtype == np.float32
    assert np.ptp(weights) > 0.01


def test_weights_of_one_change_nothing(faces: ArraySource) -> None:
    np.testing.assert_array_equal(attribute_weights(faces, 1, 1), np.ones(50))
