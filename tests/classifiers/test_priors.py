"""Networks that state the class prior of their outputs, and the likeness of a face."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from fastfer.classifiers.contract import PREFIX, ModelContract
from fastfer.classifiers.custom import ModelSpec
from fastfer.classifiers.native import CHUNK, EmotionClassifier
from fastfer.classifiers.opening import open_classifier
from fastfer.engine import Engine
from fastfer.errors import ModelError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.priors import PRIORS, Prior
from tests.helpers.commands import Run
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut

LEVEL = [0.1, 0.05, 0.15, 0.2, 0.1, 0.15, 0.25]
BATCH = np.random.default_rng(0).random((5, 48, 48, 1)).astype(np.float32)


def stating(path: Path, **changes: object) -> Path:
    values = {"name": "test", "priors": {"probabilities": LEVEL}, "level_prior": LEVEL}
    return write_model(path, contract=ModelContract(**values | changes))  # type: ignore[arg-type]


def with_likeness(path: Path, bias: float, width: int = 1) -> Path:
    """The network of :func:`stating`; its likeness is ``bias`` plus the mean of the logits."""
    stating(path, likeness="likeness")
    model = onnx.load(path)
    weights = np.full((7, width), 1 / 7, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "row"))
    model.graph.initializer.append(
        numpy_helper.from_array(np.full(width, bias, np.float32), "bias")
    )
    model.graph.node.append(helper.make_node("Gemm", ["logits", "row", "bias"], ["likeness"]))
    model.graph.output.append(
        helper.make_tensor_value_info("likeness", onnx.TensorProto.FLOAT, ["N", width])
    )
    onnx.save(model, path)
    return path


def test_probabilities_for_another_prior(tmp_path: Path) -> None:
    path = stating(tmp_path / "net.onnx")
    own = EmotionClassifier(path).predict(BATCH)
    for prior in ("uniform", "fer2013", "photos"):
        found = EmotionClassifier(path, prior=prior).predict(BATCH)
        rows = own * np.array(PRIORS[prior]) / LEVEL
        np.testing.assert_allclose(found, rows / rows.sum(axis=1, keepdims=True), atol=1e-6)
        assert found.dtype == np.float32
    for same in ("level", dict(zip(EMOTIONS, LEVEL, strict=True))):
        np.testing.assert_allclose(
            EmotionClassifier(path, prior=same).predict(BATCH), own, atol=1e-6
        )
    (row,) = EmotionClassifier(path, prior="uniform").predict_heads(BATCH[:1]).values()
    np.testing.assert_array_equal(row, EmotionClassifier(path, prior="uniform").predict(BATCH[:1]))


def test_networks_of_five_classes(tmp_path: Path) -> None:
    labels = ("angry", "happy", "sad", "surprise", "neutral")
    contract = ModelContract(name="five", labels=labels, priors={"probabilities": [0.2] * 5})
    path = write_model(tmp_path / "five.onnx", contract=contract, classes=5)
    own = EmotionClassifier(path).predict(BATCH)
    np.testing.assert_allclose(
        EmotionClassifier(path, prior="uniform").predict(BATCH), own, atol=1e-6
    )
    with raises(UsageError, "unknown_prior", "'level'"):
        EmotionClassifier(path, prior="level")


def test_networks_that_state_no_prior(tmp_path: Path) -> None:
    path = write_model(tmp_path / "old.onnx")
    EmotionClassifier(path)
    with raises(UsageError, "unknown_prior", "old.onnx"):
        EmotionClassifier(path, prior="uniform")
    with raises(UsageError, "unknown_prior", "old.onnx"):
        open_classifier(path, spec=ModelSpec(scale=(1.0,)), prior="uniform")
    with raises(UsageError, "usage", "prior"):
        Engine(model=EmotionClassifier(path), prior="uniform")


@pytest.mark.parametrize(
    "changes",
    [
        {"priors": {"probabilities": LEVEL[:6]}},
        {"priors": {"probabilities": [0.0, 0.15, *LEVEL[2:]]}},
        {"priors": {"probabilities": [0.5, *LEVEL[1:]]}},
        {"priors": {"probabilities": [float("nan"), *LEVEL[1:]]}},
        {"priors": {"probabilities": ["much", *LEVEL[1:]]}},
        {"priors": {"probabilities": 1}},
        {"priors": LEVEL},
        {"level_prior": LEVEL[:6]},
        {"level_prior": 1},
        {"likeness": 1},
    ],
)
def test_bad_metadata(tmp_path: Path, changes: dict[str, object]) -> None:
    path = stating(tmp_path / "bad.onnx", **changes)
    with raises(ModelError, "invalid_model", "bad.onnx", PREFIX + next(iter(changes))):
        EmotionClassifier(path)


def test_likeness(tmp_path: Path) -> None:
    classifier = EmotionClassifier(with_likeness(tmp_path / "net.onnx", bias=2.0))
    for count in (0, 1, CHUNK + 1):
        batch = np.resize(BATCH, (count, 48, 48, 1)).astype(np.float32)
        probabilities, likeness = classifier.classify(batch)
        np.testing.assert_array_equal(probabilities, classifier.predict(batch))
        assert likeness is not None
        assert likeness.shape == (count,)
        np.testing.assert_allclose(likeness, 2, atol=1.5)
    assert EmotionClassifier(stating(tmp_path / "no.onnx")).classify(BATCH).likeness is None


def test_a_likeness_that_the_graph_lacks(tmp_path: Path) -> None:
    stating(tmp_path / "none.onnx", likeness="likeness")
    with_likeness(tmp_path / "wide.onnx", 0, width=2)
    for name in ("none.onnx", "wide.onnx"):
        with raises(ModelError, "invalid_model", name, "'likeness'"):
            EmotionClassifier(tmp_path / name)


@pytest.mark.parametrize("bias", [-9.0, 9.0])
def test_engine_and_command(tmp_path: Path, bias: float, run_fastfer: Run) -> None:
    path = with_likeness(tmp_path / "net.onnx", bias)
    photo, file = tmp_path / "photo.png", tmp_path / "prior.json"
    cv2.imwrite(str(photo), astronaut())
    prior: Prior = {name: i + 1 for i, name in enumerate(EMOTIONS)}
    file.write_text(json.dumps(prior))
    engine = pickle.loads(pickle.dumps(Engine("none", path, prior=prior)))
    (face,) = engine.analyze(cv2.imread(str(photo)))
    (own,) = Engine("none", path).analyze(cv2.imread(str(photo)))
    assert face.probabilities != own.probabilities
    best, second = sorted(face.probabilities.values())[:-3:-1]
    assert face.uncertain is (bias < 0 or best - second < 0.15)
    options = ("--detector", "none", "--model", path, "--prior", file)
    done = run_fastfer("image", photo, "--json", *options)
    assert json.loads(done.stdout)["faces"] == [face.to_dict()]


@pytest.mark.parametrize("prior", ["equal", "uniform"])
def test_priors_that_cannot_be_had_are_usage_errors(
    tmp_path: Path, prior: str, run_fastfer: Run
) -> None:
    path = write_model(tmp_path / "old.onnx")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    done = run_fastfer("image", photo, "--model", path, "--prior", prior)
    assert done.returncode == 2
