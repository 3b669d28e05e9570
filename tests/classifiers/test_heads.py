"""Which of two readings of a face the classifier gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper

from fastfer.classifiers.contract import ModelContract
from fastfer.classifiers.custom import ModelSpec
from fastfer.classifiers.native import EmotionClassifier, open_classifier
from fastfer.engine import Engine
from fastfer.errors import UsageError
from tests.helpers.commands import environment
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


def test_two_readings_of_one_file(tmp_path):
    path = two_headed(tmp_path / "two.onnx")
    default = EmotionClassifier(path).predict(BATCH)
    np.testing.assert_array_equal(EmotionClassifier(path, labels="crowd").predict(BATCH), default)
    np.testing.assert_array_equal(
        EmotionClassifier(path, labels="fer2013").predict(BATCH), default[:, ::-1]
    )


@pytest.mark.parametrize(
    ("meaning", "has", "lacks"),
    [("FER-2013 labels", "fer2013", "crowd"), ("FER+ votes", "crowd", "fer2013")],
)
def test_one_reading_answers_to_its_name_alone(tmp_path, meaning, has, lacks):
    contract = ModelContract(name="one", outputs={"probabilities": meaning})
    path = write_model(tmp_path / "one.onnx", contract=contract)
    EmotionClassifier(path, labels=has)
    with pytest.raises(UsageError, match=r"no output learnt from.*probabilities \(FER.*Leave"):
        EmotionClassifier(path, labels=lacks)


def test_unknown_labels_are_refused(tmp_path):
    path = write_model(tmp_path / "one.onnx")
    with pytest.raises(UsageError, match="labels must be 'crowd' or 'fer2013'; got 'both'"):
        EmotionClassifier(path, labels="both")  # type: ignore[arg-type]
    EmotionClassifier(path)


def test_engine_and_command_choose_too(tmp_path):
    path = two_headed(tmp_path / "two.onnx")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    rows = {}
    for labels in ("crowd", "fer2013"):
        (face,) = Engine("nano", path, labels=labels).analyze(cv2.imread(str(photo))).faces
        command = [
            sys.executable,
            "-m",
            "fastfer.image",
            str(photo),
            "--json",
            "--detector",
            "nano",
        ]
        command += ["--model", str(path), "--labels", labels]
        done = subprocess.run(command, capture_output=True, check=True, env=environment())
        (told,) = json.loads(done.stdout)["faces"]
        assert told["probabilities"] == face.probabilities
        rows[labels] = list(face.probabilities.values())
    assert rows["crowd"] == rows["fer2013"][::-1]


def test_a_reading_that_the_network_lacks_is_wrong_usage(tmp_path):
    path = write_model(tmp_path / "one.onnx")
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    command = [sys.executable, "-m", "fastfer.image", str(photo), "--model", str(path)]
    done = subprocess.run(
        [*command, "--labels", "crowd"], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 2
    assert "no output learnt from FER+ votes" in done.stderr


def test_labels_go_with_networks_of_ours_alone(tmp_path):
    path = write_model(tmp_path / "one.onnx")
    with pytest.raises(UsageError, match="threads and labels belong to the classifier"):
        Engine(model=EmotionClassifier(path), labels="fer2013")
    with pytest.raises(UsageError, match="labels='crowd' chooses"):
        open_classifier(path, told=ModelSpec(scale=(1.0,)), labels="crowd")
