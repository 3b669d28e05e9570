"""The mean of a face and its mirror image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import fastfer
from fastfer.classifiers.base import Classifier, Predictions
from fastfer.classifiers.native import EmotionClassifier
from fastfer.classifiers.tta import classify_with_flips
from fastfer.errors import UsageError
from fastfer.face_reader import FaceReader
from tests.helpers.errors import raises


@pytest.fixture(scope="module")
def network() -> EmotionClassifier:
    return EmotionClassifier(threads=1)


def faces(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).random((count, 48, 48, 1), np.float32)


def test_probabilities_are_the_softmax_of_the_mean_logits(network: EmotionClassifier) -> None:
    batch = faces(5)
    found = classify_with_flips(network, batch)
    for i in range(5):
        straight = network.classify(batch[i : i + 1])
        flipped = network.classify(np.ascontiguousarray(batch[i : i + 1, :, ::-1]))
        logits = (np.log(straight.probabilities[0]) + np.log(flipped.probabilities[0])) / 2
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found.probabilities[i], expected, rtol=1e-4, atol=1e-6)
        assert found.likeness is not None
        assert straight.likeness is not None
        assert flipped.likeness is not None
        mean = (straight.likeness[0] + flipped.likeness[0]) / 2
        assert found.likeness[i] == pytest.approx(mean, rel=1e-4)


def test_a_face_and_its_mirror_image_get_the_same_answer(network: EmotionClassifier) -> None:
    batch = faces(4)
    straight = classify_with_flips(network, batch)
    flipped = classify_with_flips(network, np.ascontiguousarray(batch[:, :, ::-1]))
    np.testing.assert_array_equal(straight.probabilities, flipped.probabilities)


class Sided(Classifier):
    """Answers by the half of the picture that is brighter, without any doubt."""

    def __init__(self, network: EmotionClassifier) -> None:
        self.contract = network.contract

    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        pixels = np.asarray(batch)
        left = pixels[:, :, :24].sum(axis=(1, 2, 3)) > pixels[:, :, 24:].sum(axis=(1, 2, 3))
        return np.eye(7, dtype=np.float32)[np.where(left, 0, 3)]


def test_answers_that_exclude_each_other_share_the_probability(network: EmotionClassifier) -> None:
    found = classify_with_flips(Sided(network), faces(2))
    np.testing.assert_array_equal(found.probabilities[0], [0.5, 0, 0, 0.5, 0, 0, 0])
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.likeness is None


def test_no_faces(network: EmotionClassifier) -> None:
    found = classify_with_flips(network, faces(0))
    assert found.probabilities.shape == (0, 7)


class Counting(EmotionClassifier):
    """Counts the faces that it classifies."""

    seen = 0

    def classify(self, batch: ArrayLike) -> Predictions:
        self.seen += len(np.asarray(batch))
        return super().classify(batch)


@pytest.mark.parametrize(("tta", "each"), [("flip", 2), ("none", 1)])
def test_photos_are_averaged_unless_told_otherwise(tta: Any, each: int) -> None:
    network = Counting(threads=1)
    frame = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    engine = fastfer.Engine("none", network, tta=tta)
    (face,) = engine.analyze(frame)
    assert network.seen == each
    assert engine.tta == tta
    reader: FaceReader = engine.reader
    tile = reader.pack(frame, engine.detector.detect(frame)).tiles
    expected = reader.classify(tile).probabilities[0]
    np.testing.assert_allclose(list(face.probabilities.values()), expected, atol=1e-6)


def test_videos_are_not_averaged() -> None:
    network = Counting(threads=1)
    frame = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    tracker = fastfer.Tracker(engine=fastfer.Engine("none", network))
    tracker.update(frame)
    assert network.seen == 1


def test_another_word_is_refused() -> None:
    with raises(UsageError, "out_of_range", "tta"):
        fastfer.Engine(tta="crop")  # type: ignore[arg-type]
