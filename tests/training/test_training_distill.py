"""Teachers: who may teach, and how much of the targets is theirs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("keras")

from fastfer.errors import ModelError, UsageError
from training import distill, evaluate
from training.data import FIVE_CLASSES, load_dataset

OTHER_FIVE = ("disgust", "fear", "happy", "sad", "neutral")


def test_a_teacher_of_as_many_other_classes_is_refused(monkeypatch, faces_csv):
    teacher = SimpleNamespace(classes=OTHER_FIVE)
    monkeypatch.setattr(distill, "load_predictor", lambda path: teacher)
    source = load_dataset(faces_csv, classes=5).split("Training")
    with pytest.raises(ModelError) as refused:
        distill.teach(["a.onnx"], source, FIVE_CLASSES)
    assert str(refused.value) == (
        "a.onnx: the teacher knows 5 classes (disgust, fear, happy, sad, neutral), the run 5 "
        "(angry, happy, sad, surprise, neutral)"
    )


def test_a_network_of_as_many_other_classes_is_not_measured(monkeypatch, faces_csv, capsys):
    network = SimpleNamespace(classes=OTHER_FIVE, path=Path("a.onnx"))
    monkeypatch.setattr(evaluate, "load_predictor", lambda path, threads: network)
    assert evaluate.main(["a.onnx", "--data", str(faces_csv)]) == UsageError.exit_code
    assert (
        "a.onnx knows 5 classes (disgust, fear, happy, sad, neutral), the data 5 (angry, happy, "
        "sad, surprise, neutral)"
    ) in capsys.readouterr().err
