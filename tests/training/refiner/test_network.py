"""The second stage's network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from fastfer.detectors.nano_refiner import CONTEXT_SIZE, SIZE, VALUES
from fastfer.errors import ModelError
from tests.helpers.errors import raises
from training.refiner.network import build, load


def test_size_and_output() -> None:
    model = build()
    sides = {"crops": SIZE, "contexts": CONTEXT_SIZE}
    inputs = {name: np.zeros((3, n, n, 1), np.float32) for name, n in sides.items()}
    assert model(inputs).shape == (3, VALUES)
    assert model.count_params() < 1_300_000, "it runs on every proposal"


def test_a_run_is_loaded_with_its_optimizer(refiner_run: Path) -> None:
    plain, compiled = load(refiner_run), load(refiner_run, compile=True)
    assert getattr(plain, "optimizer", None) is None
    assert int(compiled.optimizer.iterations) > 0


def test_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(file)
    with raises(ModelError, "invalid_model", "other.keras"):
        load(file)
