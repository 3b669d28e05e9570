"""Export of the detector."""

from __future__ import annotations

import numpy as np

from fastfer.detectors import create_detector
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
