"""Export of the detector."""

from __future__ import annotations

import numpy as np
import onnx

from fastfer.detectors import create_detector
from fastfer.detectors.nano import NanoDetector
from training.detector import export


def test_the_exported_file_is_a_detector(detector_run, tmp_path, capsys):
    model = tmp_path / "nano.onnx"
    assert export.main([str(detector_run), "--out", str(model), "--trained-on", "drawings"]) == 0
    assert "largest difference" in capsys.readouterr().out
    assert model.stat().st_size < export.LARGEST
    detector = create_detector(str(model), score=0.0, detect_size=160)
    assert detector.name == "nano"
    assert detector.detect(np.zeros((90, 120, 3), np.uint8)).boxes.shape[1] == 4


def test_a_refused_export_leaves_no_file(detector_run, tmp_path, capsys, monkeypatch):
    assert export.main([str(detector_run), "--out", str(tmp_path / "nano.bin")]) == 2
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert export.main([str(detector_run), "--out", str(tmp_path / "nano.onnx")]) == 4
    assert "1,000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_int8_keeps_the_faces_and_is_smaller(detector_run, tmp_path, capsys):
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    assert export.main([str(detector_run), "--out", str(plain)]) == 0
    assert export.main([str(detector_run), "--out", str(small), "--int8"]) == 0
    assert "INT8 on" in capsys.readouterr().out
    assert small.stat().st_size < 0.8 * plain.stat().st_size
    about = {p.key: p.value for p in onnx.load(small).metadata_props}
    assert about.items() >= {p.key: p.value for p in onnx.load(plain).metadata_props}.items()
    assert about["fastfer.quantisation"] == '"int8"'
    frame = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    maps = [NanoDetector(file, score=0.0, refiner="none").detect(frame) for file in (plain, small)]
    assert abs(len(maps[0]) - len(maps[1])) <= 0.2 * len(maps[0])


def test_int8_that_changes_the_faces_is_refused(detector_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "_compare", lambda before, after, photos: (6, 0, 100))
    out = tmp_path / "nano.onnx"
    assert export.main([str(detector_run), "--out", str(out), "--int8"]) == 4
    assert "6 of 100" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_first_convolution_and_heads_stay_in_float32(detector_run, tmp_path):
    out = tmp_path / "small.onnx"
    assert export.main([str(detector_run), "--out", str(out), "--int8"]) == 0
    nodes = onnx.load(out).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    quantised = [made_by.get(node.input[1]) == "DequantizeLinear" for node in convolutions]
    assert not quantised[0]
    assert sum(quantised) == 10
    depthwise = [
        any(a.name == "group" and a.i > 1 for a in node.attribute) for node in convolutions
    ]
    assert sum(depthwise) == 3
    assert not any(q and d for q, d in zip(quantised, depthwise, strict=True))
