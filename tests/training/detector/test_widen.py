"""Wider networks with the function of narrower ones."""

from __future__ import annotations

import numpy as np
import pytest

from fastfer.errors import ModelError
from tests.helpers.errors import raises
from training.detector import network, widen


def test_the_command_keeps_the_function(tmp_path):
    narrow = network.build(1, stem=(8, 8), widths=(16, 24, 24))
    rng = np.random.default_rng(0)
    narrow.set_weights([w + rng.uniform(0, 0.1, w.shape) for w in narrow.get_weights()])
    narrow.save(tmp_path / "narrow.keras")
    out = tmp_path / "wide.keras"
    assert widen.main([str(tmp_path / "narrow.keras"), "--out", str(out)]) == 0
    wide = network.load(out)
    assert wide.count_params() == network.build().count_params()
    picture = rng.uniform(0, 255, (2, 64, 96, 1)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(wide(picture)), np.asarray(narrow(picture)), rtol=1e-3, atol=1e-3
    )
    assert all(np.abs(layer.get_weights()[0]).max() > 0 for layer in wide.layers if layer.weights)


def test_added_channels_are_not_zero():
    narrow, wide = network.build(1, (8, 8), (16, 24, 24)), network.build(1, (8, 16), (24, 32, 32))
    widen.widen(narrow, wide)
    kernel = next(layer for layer in wide.layers if layer.weights).get_weights()[0]
    for layer in wide.layers:
        if type(layer).__name__ == "Conv2D":
            kernel = layer.get_weights()[0]
            assert np.abs(kernel).sum(axis=(0, 1, 2)).all(), layer.name


@pytest.mark.parametrize("widths", [(8, 8, 8), (16, 16, 24)], ids=["narrower", "other layers"])
def test_networks_that_cannot_be_widened(widths):
    narrow = network.build(1, (8, 8), (16, 24, 24))
    with raises(ModelError, "invalid_model"):
        widen.widen(narrow, network.build(1, (8, 8), widths))


def test_the_name_of_the_file(tmp_path):
    assert widen.main([str(tmp_path), "--out", str(tmp_path / "wide.onnx")]) == 2
