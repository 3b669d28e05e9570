"""What all classifiers share: batches, their checks, a class of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer import Engine
from fastfer.classifiers.base import Classifier, check_batch, check_output
from fastfer.classifiers.contract import ModelContract
from fastfer.errors import FrameError, ModelError
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut


class Brightness(Classifier):
    """Bright faces are happy, dark ones sad: the smallest class that an engine can use."""

    path = Path("brightness")
    threads = 1
    contract = ModelContract(name="brightness", input_size=20)

    def predict(self, batch: Any) -> NDArray[np.float32]:
        faces = check_batch(batch, self.contract)
        result = np.zeros((len(faces), 7), np.float32)
        result[:, 3] = faces.mean(axis=(1, 2, 3))
        result[:, 4] = 1 - result[:, 3]
        return result


def test_batches_have_the_shape_of_the_contract() -> None:
    batch = Brightness().batch(3)
    assert (batch.shape, batch.dtype) == ((3, 20, 20, 1), np.float32)


def test_classify_adds_no_likeness_by_default() -> None:
    probabilities, likeness = Brightness().classify(np.zeros((2, 20, 20, 1), np.float32))
    assert probabilities[:, 4].tolist() == [1, 1]
    assert likeness is None


@pytest.mark.parametrize("value", [0, 255])
def test_an_engine_takes_any_classifier(value: int) -> None:
    engine = Engine("none", Brightness())
    (face,) = engine.analyze(np.full((60, 60, 3), value, np.uint8))
    assert (face.emotion, face.score) == (("happy", 1.0) if value else ("sad", 1.0))
    assert len(Engine("nano", Brightness()).analyze(astronaut())) == 1


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        (np.zeros((2, 20, 20), np.float32), "(2, 20, 20)"),
        (np.zeros((2, 48, 48, 1), np.float32), "(2, 48, 48, 1)"),
        (np.zeros((2, 20, 20, 1)), "float64"),
        (np.full((1, 20, 20, 1), np.inf, np.float32), "infinity"),
    ],
)
def test_other_batches_are_refused(batch: NDArray[Any], named: str) -> None:
    with raises(FrameError, "invalid_frame", named):
        check_batch(batch, Brightness.contract)


def test_outputs_are_checked() -> None:
    good = np.full((2, 7), 1 / 7, np.float32)
    check_output(good, (2, 7), "scores", "a.onnx")
    with raises(ModelError, "invalid_model", "a.onnx", "'scores'", "(2, 7)"):
        check_output(good, (3, 7), "scores", "a.onnx")
    with raises(ModelError, "not_probabilities", "a.onnx", "'scores'"):
        check_output(good * np.float32("nan"), (2, 7), "scores", "a.onnx")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (None, "invalid_model"),
        (["a"], "invalid_model"),
        (np.full((2, 7), 1 / 7), "invalid_model"),
        (np.full((1, 6), 1 / 6), "invalid_model"),
        (np.full(7, 1 / 7), "invalid_model"),
        (np.full((1, 7), np.nan), "not_probabilities"),
        (np.arange(7.0)[None], "not_probabilities"),
        (np.float32([[-1, 2, 0, 0, 0, 0, 0]]), "not_probabilities"),
        (np.zeros((1, 7)), "not_probabilities"),
    ],
)
@pytest.mark.parametrize("tta", ["none", "flip"])
def test_what_a_class_of_the_user_predicts_is_checked(values: Any, code: str, tta: Any) -> None:
    class Wrong(Brightness):
        def predict(self, batch: Any) -> Any:
            both = isinstance(values, np.ndarray) and len(np.asarray(batch)) == 2
            return np.concatenate([values, values]) if both else values

    with raises(ModelError, code, "Wrong"):
        Engine("none", Wrong(), tta=tta).analyze(np.zeros((60, 60, 3), np.uint8))


def test_lists_of_probabilities_are_taken() -> None:
    class Lists(Brightness):
        def predict(self, batch: Any) -> Any:
            return super().predict(batch).tolist()

    (face,) = Engine("none", Lists()).analyze(np.zeros((60, 60, 3), np.uint8))
    assert (face.emotion, face.score) == ("sad", 1.0)
