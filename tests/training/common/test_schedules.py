"""Learning rates by step."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fastfer.errors import UsageError
from tests.helpers.errors import raises
from training.common.schedules import WarmCosine, learning_rate


def rates(schedule: str, epochs: int = 10, steps: int = 100) -> np.ndarray:
    rate = learning_rate(schedule, 0.5, epochs, steps)
    return np.array([float(rate(step)) for step in range(epochs * steps + 50)])


@pytest.mark.parametrize(("schedule", "top"), [("cosine", 100), ("one-cycle", 250)])
def test_a_rate_rises_to_its_peak_and_falls(schedule: str, top: int) -> None:
    found = rates(schedule)
    assert found.argmax() == top
    assert found[top] == pytest.approx(0.5)
    assert found[0] == pytest.approx(0.02)
    assert (np.diff(found[: top + 1]) > 0).all()
    assert (np.diff(found[top:1001]) <= 0).all()
    assert found[1000:] == pytest.approx(0.5e-4), "it never reaches 0, also after the last step"


def test_short_runs_warm_up_for_a_tenth() -> None:
    assert rates("cosine", epochs=1, steps=50).argmax() == 5


def test_plateau_is_a_number() -> None:
    assert learning_rate("plateau", 0.5, 10, 100) == 0.5


def test_a_schedule_survives_serialisation() -> None:
    one = WarmCosine(0.5, 100, 10)
    data = keras.saving.serialize_keras_object(one)
    other = keras.saving.deserialize_keras_object(data)
    assert float(other(37)) == float(one(37))


def test_unknown_schedules_are_refused() -> None:
    with raises(UsageError, "unknown_option", "stairs", "cosine"):
        learning_rate("stairs", 0.5, 10, 100)
