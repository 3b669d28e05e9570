"""The command that measures detectors: reports, second stages, refused options."""

from __future__ import annotations

import json

import keras

from fastfer.detectors.nano import NANO_MODEL
from training.detector import export as detector_export
from training.evaluate_detectors import __main__ as evaluate
from training.refiner import export as refiner_export


def test_a_run_and_its_exported_file_have_the_same_report(detector_run, scenes, tmp_path):
    model = tmp_path / "nano.onnx"
    assert detector_export.main([str(detector_run), "--out", str(model)]) == 0
    out = tmp_path / "report"
    words = [str(detector_run), str(model), "--data", str(scenes), "--size", "160"]
    assert evaluate.main([*words, "--out", str(out), "--worst", "3"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report) == {"run 160", "nano.onnx 160"}
    first, second = report.values()
    assert first["recall"] == second["recall"]
    assert (out / "recall.png").stat().st_size > 5000
    assert len(list((out / f"worst-{scenes.name}-run-160").iterdir())) == 3
    assert "| nano.onnx 160 |" in (out / "report.md").read_text()


def test_a_second_stage_is_a_run_or_its_exported_file(refiner_run, scenes, tmp_path):
    model = tmp_path / "refiner.onnx"
    weights = ["--score-share", "0.5", "--score-shift", "1.5"]
    assert refiner_export.main([str(refiner_run), "--out", str(model), *weights]) == 0
    reports = []
    for name, extra in ((str(model), []), (str(refiner_run), weights)):
        out = tmp_path / f"report{len(reports)}"
        words = ["nano", "--refiner", name, "--data", str(scenes), "--size", "160", *extra]
        assert evaluate.main([*words, "--out", str(out)]) == 0
        (figures,) = json.loads((out / "report.json").read_text()).values()
        reports.append({k: v for k, v in figures.items() if k != "ms"})
    assert reports[0] == reports[1]


def test_refused_options(scenes, tmp_path, capsys):
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(other)
    for code, *words in (
        (2, "auto", "--refiner", "none"),
        (2, "nano", "--score-share", "0.5"),
        (3, "nano", "--refiner", str(tmp_path / "none")),
        (4, "nano", "--refiner", str(other)),
        (4, str(other)),
    ):
        assert evaluate.main([*words, "--data", str(scenes), "--size", "160"]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_rows_have_the_names_of_their_detectors(scenes, tmp_path):
    words = [str(NANO_MODEL), "nano", "nano:refiner=none", "--data", str(scenes), "--size", "160"]
    assert evaluate.main([*words, "--out", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "report.json").read_text())
    assert list(figures) == ["nano.onnx 160", "nano 160", "nano:refiner=none 160"]
    first, second, _ = ({k: v for k, v in f.items() if k != "ms"} for f in figures.values())
    assert first == second
