"""Export of the attribute network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.classifiers.attributes import AttributeClassifier
from training.attributes import export


def test_the_exported_file_is_an_attribute_network(
    attribute_run: Path, attribute_faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "attributes.onnx"
    assert (
        export.main([str(attribute_run), "--data", str(attribute_faces), "--out", str(file)]) == 0
    )
    assert "largest difference" in capsys.readouterr().out
    assert file.stat().st_size <= export.LARGEST
    found = AttributeClassifier(model=file).predict(np.zeros((3, 48, 48, 1), np.float32))
    assert found.gender is not None
    assert found.gender.shape == (3, 2)


def test_a_refused_export_leaves_no_file(
    attribute_run: Path, attribute_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data", str(attribute_faces), "--out", str(tmp_path / "a.onnx")]
    assert export.main([str(tmp_path / "none"), *words]) == 3
    assert (
        export.main(
            [str(attribute_run), "--data", str(attribute_faces), "--out", str(tmp_path / "a.bin")]
        )
        == 2
    )
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert export.main([str(attribute_run), *words]) == 4
    assert not list(tmp_path.iterdir())
