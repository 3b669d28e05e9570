"""Keras's other backends: the same commands, the same files."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_faces import draw_faces

keras = pytest.importorskip("keras")

from fastfer.classifier import EmotionClassifier
from training.export import main as export
from training.predictors import load_predictor

HERE = Path(__file__).parent


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_trains_resumes_and_evaluates(tmp_path, faces_csv, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, str(HERE / "other_backend.py"), str(faces_csv), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"; {backend}, float32" in done.stdout
    assert "export: 2" in done.stdout
    assert f"the backend is {backend}. Run the same command with KERAS_BACKEND=tensorflow" in (
        done.stderr
    )
    run = tmp_path / "parts"
    (report,) = json.loads((run / "report.json").read_text()).values()
    assert report["faces"] == 70

    if keras.backend.backend() != "tensorflow":
        pytest.skip("what follows goes through TensorFlow")
    # The advice holds: the run of one backend is exported by another.
    assert export([str(run), "--out", str(tmp_path / "m.onnx")]) == 0
    faces = draw_faces(9)[0].astype(np.float32)[..., None] / 255
    classifier = EmotionClassifier(tmp_path / "m.onnx")
    logits = load_predictor(run).logits(faces) / classifier.contract.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(faces), expected, atol=1e-4)
