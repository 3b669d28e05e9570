"""Evaluation: reports of one and several networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest

from fastfer.classifiers.native import INT8_MODEL
from fastfer.errors import InputError, OutputError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import write_folders
from training.common.run_folder import BEST
from training.expression import evaluate
from training.expression.data import FIVE_CLASSES, load_dataset
from training.expression.predictors import FlipPredictor, load_predictor

USAGE = UsageError.exit_code


@pytest.fixture(autouse=True)
def _brief_timing(monkeypatch) -> None:
    monkeypatch.setattr(evaluate, "TIMED_SECONDS", 0.02)


def evaluating(*words: object) -> int:
    return evaluate.main([str(w) for w in words])


def assert_pictures(*paths: Path) -> None:
    for path in paths:
        image = cv2.imread(str(path))
        assert image is not None, path
        assert min(image.shape[:2]) > 200
        assert image.std() > 10


def test_evaluates_a_run(trained_run, faces_csv, votes_csv, tmp_path, parts, capsys):
    out = tmp_path / "report"
    assert evaluating(trained_run, "--data", faces_csv, "--votes", votes_csv, "--out", out) == 0
    names = ("confusion", "reliability", "curves", "confusion-ferplus", "reliability-ferplus")
    assert_pictures(*(out / f"{name}.png" for name in names))
    (report,) = json.loads((out / "report.json").read_text()).values()
    faces, labels = parts["PublicTest"]
    p = load_predictor(trained_run).predict(faces.astype(np.float32)[..., None] / 255)
    assert report["accuracy"] == pytest.approx((p.argmax(axis=1) == labels).mean())
    assert report["accuracy"] > 0.6
    assert report["ferplus"]["faces"] < report["faces"] == 70
    assert list(report["ms_per_face"]) == ["1", "8", "32"]
    weights = keras.saving.load_model(trained_run / BEST, compile=False).count_params() * 4
    assert report["bytes"] == weights < (trained_run / BEST).stat().st_size / 2, (
        "no optimizer state"
    )
    text = (out / "report.md").read_text()
    assert "FER+ majority" in text
    for name in EMOTIONS:
        assert f"| {name} | 10 |" in text
    assert text in capsys.readouterr().out


def test_the_report_of_a_single_keras_model_lies_beside_it(
    trained_run, faces_csv, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    assert evaluating(run, "--data", faces_csv, "--split", "Training") == 0
    assert (run / "report.json").exists()
    assert evaluating(run, run / BEST, "--data", faces_csv) == 0
    assert (tmp_path / "report" / "report.json").exists()


def test_compares_models_of_all_kinds(trained_run, two_heads, faces_csv, tmp_path):
    one, two = tmp_path / INT8_MODEL.name, tmp_path / "n" / INT8_MODEL.name
    two.parent.mkdir()
    for path in (one, two):
        shutil.copyfile(INT8_MODEL, path)
    out = tmp_path / "report"
    words = [trained_run, one, two, two_heads, "--data", faces_csv, "--out", out]
    assert evaluating(*words, "--tta", "flip") == 0
    reports = json.loads((out / "report.json").read_text())
    heads = load_predictor(one).heads
    outputs = sorted(report["output"] for report in reports.values())
    assert outputs == sorted(["probabilities", "fer2013", "ferplus", *heads, *heads])
    assert_pictures(out / "comparison.png", *out.glob("confusion-*.png"))
    assert len(list(out.glob("reliability-*.png"))) == len(reports)
    assert (out / "report.md").read_text().count("| model |") == 1


def test_the_time_is_that_of_all_passes(monkeypatch, faces_csv):
    """A clock that only advances in calls of the network."""
    now = [0.0]
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: now[0])

    class Network:
        def predict(self, faces, head=None):
            now[0] += 0.005
            return np.full((len(faces), 7), 1 / 7, np.float32)

    source = load_dataset(faces_csv).split("PublicTest")
    for network, passes in ((Network(), 1), (FlipPredictor(Network()), 2)):
        times = evaluate.time_per_face(network, source)
        for batch in (1, 8, 32):
            assert times[str(batch)] * batch == pytest.approx(5 * passes, rel=0.01)


def test_five_classes_are_evaluated_as_such(five_classes, tmp_path, faces_csv, capsys):
    out = tmp_path / "report"
    assert evaluating(five_classes, "--data", faces_csv, "--out", out) == 0
    (report,) = json.loads((out / "report.json").read_text()).values()
    assert list(report["per_class"]) == list(FIVE_CLASSES)
    assert report["faces"] == 50
    assert evaluating(five_classes, "--data", faces_csv, "--classes", 7) == USAGE
    assert "--classes" in capsys.readouterr().err


def test_a_network_with_other_five_classes_is_rejected(monkeypatch, faces_csv, capsys):
    network = SimpleNamespace(
        classes=("disgust", "fear", "happy", "sad", "neutral"), path=Path("a.onnx")
    )
    monkeypatch.setattr(evaluate, "load_predictor", lambda path, threads: network)
    assert evaluating("a.onnx", "--data", faces_csv) == USAGE
    assert "a.onnx" in capsys.readouterr().err


def test_what_cannot_be_evaluated_is_rejected(trained_run, faces_csv, tmp_path, capsys):
    text = tmp_path / "model.txt"
    text.write_text("x")
    for words, code, named in (
        ([tmp_path / "none.onnx"], InputError.exit_code, "none.onnx"),
        ([text], InputError.exit_code, "model.txt"),
        ([trained_run, "--out", text], OutputError.exit_code, str(text)),
        ([trained_run, "--split", "PrivateTest"], USAGE, "PrivateTest"),
        ([trained_run, "--split", "Training", "--val-fraction", 0.2], USAGE, "--split"),
    ):
        assert evaluating(*words, "--data", faces_csv) == code
        assert named in capsys.readouterr().err


def test_the_validation_folder_is_the_default(trained_run, tmp_path, parts, monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK", 16)
    for name in ("validation", "test"):
        data = tmp_path / name
        write_folders(data, {"train": parts["Training"], name: parts["PublicTest"]}, ".png")
        assert evaluating(trained_run, "--data", data, "--out", tmp_path / "report") == 0
        (report,) = json.loads((tmp_path / "report" / "report.json").read_text()).values()
        assert (report["split"], report["faces"]) == (name, 70)


def test_measures_on_held_out_faces(trained_run, tmp_path, parts, capsys):
    data = write_folders(tmp_path / "data", {"train": parts["Training"]}, ".png")
    out = tmp_path / "report"
    assert evaluating(trained_run, "--data", data) == USAGE
    assert "--val-fraction" in capsys.readouterr().err
    words = ["--data", data, "--val-fraction", 0.2, "--seed", 3, "--out", out]
    assert evaluating(trained_run, *words) == 0
    (report,) = json.loads((out / "report.json").read_text()).values()
    held = load_dataset(data).training_and_validation(0.2, 3)[1]
    faces = held.load(np.arange(42)).astype(np.float32)[..., None] / 255
    hits = load_predictor(trained_run).predict(faces).argmax(axis=1) == held.labels
    assert report["faces"] == 42
    assert report["accuracy"] == pytest.approx(hits.mean())
