"""Output heads of a model."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper

from fastfer.classifiers.contract import ModelContract
from fastfer.classifiers.custom import ModelSpec
from fastfer.classifiers.native import EmotionClassifier
from fastfer.classifiers.opening import open_classifier
from fastfer.engine import Engine
from fastfer.errors import UsageError
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut

BLEND = "0.7 FER+ votes + 0.3 FER-2013 labels"
BATCH = np.random.default_rng(0).random((5, 48, 48, 1)).astype(np.float32)


def two_headed(path: Path) -> Path:
    """``probabilities`` as usual, ``fer2013`` in reverse order of the classes."""
    outputs = {"probabilities": BLEND, "fer2013": "FER-2013 labels"}
    write_model(path, contract=ModelContract(name="two", outputs=outputs))
    model = onnx.load(path)
    graph = model.graph
    graph.initializer.append(
        helper.make_tensor("back", onnx.TensorProto.INT64, [7], range(6, -1, -1))
    )
    graph.node.append(helper.make_node("Gather", ["probabilities", "back"], ["fer2013"], axis=1))
    graph.output.append(helper.make_tensor_value_info("fer2013", onnx.TensorProto.FLOAT, ["N", 7]))
    onnx.save(model, path)
    return path


def test_two_heads(tmp_path):
    path = two_headed(tmp_path / "two.onnx")
    default = EmotionClassifier(path).predict(BATCH)
    np.testing.assert_array_equal(EmotionClassifier(path, head="ferplus").predict(BATCH), default)
    np.testing.assert_array_equal(
        EmotionClassifier(path, head="fer2013").predict(BATCH), default[:, ::-1]
    )


@pytest.mark.parametrize(
    ("targets", "has", "lacks"),
    [("FER-2013 labels", "fer2013", "ferplus"), ("FER+ votes", "ferplus", "fer2013")],
)
def test_one_head(tmp_path, targets, has, lacks):
    contract = ModelContract(name="one", outputs={"probabilities": targets})
    path = write_model(tmp_path / "one.onnx", contract=contract)
    EmotionClassifier(path, head=has)
    with raises(UsageError, "unknown_head", "one.onnx", lacks, targets):
        EmotionClassifier(path, head=lacks)


def test_unknown_heads(tmp_path):
    path = write_model(tmp_path / "one.onnx")
    with raises(UsageError, "unknown_head", "'both'", "ferplus", "fer2013"):
        EmotionClassifier(path, head="both")  # type: ignore[arg-type]
    EmotionClassifier(path)


def test_engine_and_command(tmp_path, run_fastfer):
    path = two_headed(tmp_path / "two.onnx")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    rows = {}
    for head in ("ferplus", "fer2013"):
        (face,) = Engine("nano", path, head=head).analyze(cv2.imread(str(photo))).faces
        options = ("--detector", "nano", "--model", path, "--head", head)
        done = run_fastfer("image", photo, "--json", *options)
        (row,) = json.loads(done.stdout)["faces"]
        assert row["probabilities"] == face.probabilities
        rows[head] = list(face.probabilities.values())
    assert rows["ferplus"] == rows["fer2013"][::-1]


def test_a_missing_head_is_a_usage_error(tmp_path, run_fastfer):
    path = write_model(tmp_path / "one.onnx")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    done = run_fastfer("image", photo, "--model", path, "--head", "ferplus")
    assert done.returncode == 2
    assert "one.onnx" in done.stderr


def test_heads_of_opened_and_custom_classifiers(tmp_path):
    path = write_model(tmp_path / "one.onnx")
    with raises(UsageError, "usage", "head"):
        Engine(model=EmotionClassifier(path), head="fer2013")
    with raises(UsageError, "unknown_head", "one.onnx"):
        open_classifier(path, spec=ModelSpec(scale=(1.0,)), head="ferplus")
