"""Teachers: who may teach, and how much of the targets is theirs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.drawn_faces import FERPLUS_NAMES, csv_text, draw_faces, votes_text

pytest.importorskip("keras")

from fastfer.errors import ModelError, UsageError
from fastfer.labels import EMOTIONS
from training.expression import distill, evaluate
from training.expression.data import FIVE_CLASSES, balanced_weights, load_dataset
from training.expression.train import _parser, _targets

OTHER_FIVE = ("disgust", "fear", "happy", "sad", "neutral")


def test_a_teacher_of_as_many_other_classes_is_refused(monkeypatch, faces_csv):
    teacher = SimpleNamespace(classes=OTHER_FIVE)
    monkeypatch.setattr(distill, "load_predictor", lambda path, threads: teacher)
    with pytest.raises(ModelError) as refused:
        distill.Teachers(["a.onnx"], FIVE_CLASSES)
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


def test_a_class_weighs_what_it_weighs_also_in_the_teachers_share(tmp_path, monkeypatch):
    """The sum of a row is the weight of its face: of label, votes and teacher alike."""
    faces, labels = draw_faces(70, 3)
    keep = np.flatnonzero((labels != 3) | (np.arange(70) % 2 == 0))
    faces, labels = faces[keep], labels[keep]
    data, votes = tmp_path / "a.csv", tmp_path / "v.csv"
    data.write_text(csv_text({"Training": (faces, labels), "PublicTest": (faces, labels)}))
    counts = [
        {FERPLUS_NAMES[EMOTIONS[k]]: 10} if i % 9 else {"unknown": 10} for i, k in enumerate(labels)
    ] * 2
    votes.write_text(votes_text(["Training"] * len(keep) + ["PublicTest"] * len(keep), counts))
    dataset = load_dataset(data, votes=votes)
    source = dataset.split("Training")
    said = np.random.default_rng(0).dirichlet(np.ones(7), len(source)).astype(np.float32)
    teacher = SimpleNamespace(predict_all=lambda _: {"fer2013": said, "crowd": said})
    monkeypatch.setattr(distill, "Teachers", lambda *_: teacher)
    config = {
        "targets": "both", "class_weight": "balanced", "label_smoothing": 0.0,
        "vote_smoothing": 0.0, "distill": "a.onnx", "distill_share": 0.7,
        "distill_anew": False,
    }  # fmt: skip
    targets, _ = _targets(config, source, source, EMOTIONS)
    weight = balanced_weights(source, 7)[source.labels]
    assert np.ptp(weight) > 0.3
    np.testing.assert_allclose(targets["fer2013"].sum(axis=1), weight, rtol=1e-5)
    voted = source.votes.any(axis=1)
    assert not voted.all()
    for rows, own in (
        (targets["fer2013"], np.eye(7)[source.labels]),
        (targets["crowd"], source.votes),
    ):
        np.testing.assert_allclose(rows, (0.3 * own + 0.7 * said) * weight[:, None], rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "expected"), [("runs/u,", "runs/u"), (" a.onnx , ,b.onnx", "a.onnx,b.onnx")]
)
def test_empty_names_of_teachers_are_left_out(text, expected):
    assert _parser().parse_args(["--distill", text]).distill == expected


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_a_list_without_teachers_is_refused(capsys, text):
    with pytest.raises(SystemExit):
        _parser().parse_args(["--distill", text])
    assert f"--distill: {text!r} names no file; give one or more" in capsys.readouterr().err
