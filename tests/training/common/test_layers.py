"""Batch normalisation by TensorFlow's fused kernel computes what Keras's layer computes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from training.common.layers import BatchNormalization, convolution


@pytest.mark.parametrize("shape", [(8, 6, 6, 3), (8, 5)])
def test_it_equals_the_layer_of_keras(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    own, kerass = BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(3):
        batch = rng.normal(2, 3, shape).astype(np.float32)
        outputs = [np.array(layer(batch, training=True)) for layer in (own, kerass)]
        np.testing.assert_allclose(*outputs, atol=1e-4)
    outputs = [np.array(layer(batch, training=False)) for layer in (own, kerass)]
    # The fused kernel divides by N - 1, Keras by N.
    np.testing.assert_allclose(*outputs, rtol=0.01, atol=0.01)


def test_a_frozen_layer_does_not_move() -> None:
    layer = BatchNormalization()
    batch = np.random.default_rng(0).normal(2, 3, (4, 6, 6, 3)).astype(np.float32)
    layer(batch, training=True)
    before = [np.array(w) for w in layer.get_weights()]
    layer.trainable = False
    layer(batch + 5, training=True)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_convolution_keeps_the_size_and_is_saved(tmp_path: Path) -> None:
    inputs = keras.Input((12, 16, 1))
    model = keras.Model(inputs, convolution(convolution(inputs, 4), 6, kernel=5, strides=2))
    assert model.output.shape == (None, 6, 8, 6)
    assert not [w for layer in model.layers for w in layer.weights if w.name == "bias"]
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert isinstance(again.layers[2], BatchNormalization)
    batch = np.random.default_rng(0).random((2, 12, 16, 1), np.float32)
    np.testing.assert_array_equal(model(batch), again(batch))
