"""Predictors: Keras and ONNX files behind one interface."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.classifiers.native import FLOAT32_MODEL
from fastfer.errors import FastferError
from tests.helpers.errors import raises
from training.expression.metrics import softmax
from training.expression.predictors import FlipPredictor, load_predictor


@pytest.fixture
def images(parts) -> np.ndarray:
    return parts["PublicTest"][0].astype(np.float32)[..., None] / 255


def test_probabilities_are_the_softmax_of_the_logits(trained_run, images):
    predictor = load_predictor(trained_run)
    np.testing.assert_allclose(predictor.predict(images), softmax(predictor.logits(images)))


def test_all_heads_in_one_pass(two_heads, images):
    for predictor in (load_predictor(two_heads), load_predictor(FLOAT32_MODEL)):
        once = predictor.predict_heads(images)
        assert tuple(once) == predictor.heads
        for head, probabilities in once.items():
            np.testing.assert_allclose(probabilities, predictor.predict(images, head), atol=1e-6)


def test_mirror_images_are_averaged(trained_run, images):
    plain = load_predictor(trained_run)
    predictor = FlipPredictor(plain)
    mirrored = images[:, :, ::-1].copy()
    expected = np.sqrt(plain.predict(images) * plain.predict(mirrored))
    expected /= expected.sum(axis=1, keepdims=True)
    found = predictor.predict(images)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found, predictor.predict(mirrored), atol=1e-6)
    assert (predictor.path, predictor.heads, predictor.classes, predictor.bytes) == (
        plain.path, plain.heads, plain.classes, plain.bytes,
    )  # fmt: skip
    for head, rows in predictor.predict_heads(images).items():
        np.testing.assert_allclose(rows, predictor.predict(images, head), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.onnx", None, "not_found"),
        ("model.txt", b"x", "unsupported_format"),
        ("a.keras", b"not a model", "invalid_model"),
        ("a.onnx", b"not a model", "invalid_model"),
    ],
)
def test_other_files_are_rejected(tmp_path, name, content, code):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with raises(FastferError, code, name):
        load_predictor(tmp_path / name)


def test_a_network_of_another_input_is_rejected(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(7)]).save(path)
    with pytest.raises(FastferError) as caught:
        load_predictor(path)
    assert caught.value.code == "invalid_model"
