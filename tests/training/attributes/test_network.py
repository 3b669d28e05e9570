"""The attribute network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastfer.errors import InputError, ModelError
from tests.helpers.errors import raises
from training.attributes.network import build, load, probability_model
from training.expression.architectures import build as build_expression
from training.expression.architectures import count_macs


def test_outputs_are_probabilities() -> None:
    faces = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
    found = probability_model(build(), {"gender": 1.3, "age": 0.8}).predict(faces, verbose=0)
    assert found["gender"].shape == (3, 2)
    assert found["age"].shape == (3, 9)
    for rows in found.values():
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_it_costs_half_of_the_expression_network() -> None:
    assert count_macs(build()) < 0.5 * count_macs(build_expression("fastfer", 7))


def test_other_networks_are_refused(tmp_path: Path) -> None:
    build_expression("fastfer", 7).save(tmp_path / "other.keras")
    with raises(ModelError, "invalid_model", "other.keras"):
        load(tmp_path / "other.keras")
    with raises(InputError, "not_found", "none.keras"):
        load(tmp_path / "none.keras")
