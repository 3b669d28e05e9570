"""The detector's network."""

from __future__ import annotations

import keras
import numpy as np

from fastfer.errors import ModelError
from tests.helpers.errors import raises
from training.detector.network import build, load


def test_size_and_output():
    model = build(3)
    assert build().count_params() == 251_853
    assert model(np.zeros((1, 64, 96, 3), np.float32)).shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 15)


def test_another_network_is_refused(tmp_path):
    file = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(file)
    with raises(ModelError, "invalid_model", "other.keras"):
        load(file)
