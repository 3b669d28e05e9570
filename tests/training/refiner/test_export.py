"""Export of the second stage."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from fastfer.detectors import create_detector
from fastfer.detectors.nano_refiner import CONTEXT_SIZE, SIZE
from training.refiner import batches, crops, export
from training.refiner.network import build


def random_inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sides = {"crops": SIZE, "contexts": CONTEXT_SIZE}
    return {name: rng.random((3, n, n, 1), np.float32) for name, n in sides.items()}


def test_the_exported_file_is_a_second_stage(refiner_run, tmp_path, capsys):
    model = tmp_path / "refiner.onnx"
    words = [str(refiner_run), "--out", str(model), "--score-share", "0.5", "--score-shift", "1.5"]
    assert export.main([*words, "--trained-on", "drawings"]) == 0
    assert "largest difference" in capsys.readouterr().out
    assert model.stat().st_size < export.LARGEST
    assert create_detector(f"nano:refiner={model}").name == "nano"


def test_share_and_shift_change_the_score_alone():
    model = build()
    before = np.array(model(random_inputs()))
    after = np.array(export.weighted(model, 0.5, 1.5)(random_inputs()))
    np.testing.assert_allclose(after[:, 0], before[:, 0] * 0.5 + 1.5, atol=1e-5)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-6)


def test_a_refused_export_leaves_no_file(refiner_run, tmp_path, capsys, monkeypatch):
    assert export.main([str(tmp_path / "none"), "--out", str(tmp_path / "refiner.onnx")]) == 3
    assert export.main([str(refiner_run), "--out", str(tmp_path / "refiner.bin")]) == 2
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert export.main([str(refiner_run), "--out", str(tmp_path / "refiner.onnx")]) == 4
    assert "1,000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def inexact(monkeypatch):
    """INT8 changes more in a network that was trained for a moment."""
    monkeypatch.setattr(export, "MAX_PLACE_CHANGE", 0.1)


@pytest.mark.usefixtures("inexact")
def test_int8_keeps_the_outputs_and_is_smaller(refiner_run, tmp_path, capsys):
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    assert export.main([str(refiner_run), "--out", str(plain)]) == 0
    assert export.main([str(refiner_run), "--out", str(small), "--int8"]) == 0
    assert "INT8 changes" in capsys.readouterr().out
    assert small.stat().st_size < 0.8 * plain.stat().st_size
    assert create_detector(f"nano:refiner={small}").name == "nano"


def test_int8_that_changes_the_outputs_is_refused(refiner_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "MAX_SCORE_CHANGE", 0.0)
    assert export.main([str(refiner_run), "--out", str(tmp_path / "a.onnx"), "--int8"]) == 4
    assert "INT8" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_mirrored_outputs_undo_the_mirror():
    targets = np.random.default_rng(2).normal(size=(4, crops.WIDTH)).astype(np.float32)
    values = np.concatenate([targets[:, :1], targets[:, crops.BOX], targets[:, crops.LANDMARKS]], 1)
    mirrored = batches.mirror(targets)
    swapped = np.concatenate(
        [mirrored[:, :1], mirrored[:, crops.BOX], mirrored[:, crops.LANDMARKS]], 1
    )
    np.testing.assert_array_equal(swapped @ export.mirrored_outputs(), values)


@pytest.mark.usefixtures("inexact")
@pytest.mark.parametrize("int8", [False, True])
def test_a_file_that_averages_mirror_images_is_symmetric(refiner_run, tmp_path, int8):
    path = tmp_path / "refiner.onnx"
    words = ["--mirror", *["--int8"] * int8]
    assert export.main([str(refiner_run), "--out", str(path), *words]) == 0
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    faces = random_inputs()
    mirrored = {name: pixels[:, :, ::-1].copy() for name, pixels in faces.items()}
    one, other = (session.run(None, inputs)[0] for inputs in (faces, mirrored))
    np.testing.assert_allclose(other @ export.mirrored_outputs(), one, atol=1e-4)
    assert create_detector(f"nano:refiner={path}").name == "nano"
